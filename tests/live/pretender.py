#!/usr/bin/python3
"""Pretends to be a process under Coroner that is asked: pretender.py SHIM WAY [RECORDING].

It has SHIM mapped, takes the signal, and answers in the WAY that is named: as the protocol has it
(runtime/live/ask.h), or as nobody should.  Prints "ready" when it can be asked.
"""
import ctypes
import mmap
import os
import pathlib
import signal
import socket
import struct
import sys
import time

SIGNAL = 64
PLACES = ("/tmp", "/dev/shm", "/var/tmp", "/run")
HELLO_CHILD, HELLO_CONDUCTOR, BUSY, REFUSED, WORKING, RECORDING, OVER = range(7)
COOKIE_AT = 24  # in siginfo_t: si_value
libc = ctypes.CDLL(None, use_errno=True)


def wait_for_signal():
    """Answers the cookie that came with the signal."""
    mask = ctypes.create_string_buffer(128)
    info = ctypes.create_string_buffer(128)
    libc.sigemptyset(mask)
    libc.sigaddset(mask, SIGNAL)
    while libc.sigwaitinfo(mask, info) != SIGNAL:
        pass
    return struct.unpack_from("Q", info.raw, COOKIE_AT)[0]


def frame(kind, payload=b"", size=None):
    return struct.pack("IIQ", kind, 0, len(payload) if size is None else size) + payload


def over(given_up=0, copied=8192):
    return frame(OVER, struct.pack("QQQII", 1500000, copied, 0, given_up, 0))


class Peer:
    def __init__(self, place, hello=None):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(place / "socket"))
        if hello is not None:
            self.send(frame(hello))
            self.request = self.socket.recv(32)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    def close(self):
        self.socket.close()


def answer(place, way, recording):
    """Answers in one way."""
    if way == "busy":
        Peer(place, HELLO_CONDUCTOR).send(frame(BUSY, struct.pack("I", 4711)))
    elif way == "refused":
        peer = Peer(place, HELLO_CONDUCTOR)
        peer.send(frame(REFUSED, b"it is\x1b[2Jending") + over())
    elif way == "garbage":
        Peer(place).send(os.urandom(4096))
    elif way == "huge":
        Peer(place, HELLO_CHILD).send(frame(RECORDING, b"x" * 100, size=1 << 62))
    elif way == "large":  # more than there is memory for
        Peer(place, HELLO_CHILD).send(frame(RECORDING, b"x" * 100, size=1 << 35))
    elif way == "cut":
        Peer(place, HELLO_CHILD).send(frame(RECORDING, recording[:200], size=len(recording)))
    elif way == "no_recording":
        Peer(place, HELLO_CHILD).send(frame(RECORDING, b"\0" * 4096))
        Peer(place, HELLO_CONDUCTOR).send(over())
    elif way == "given_up":
        Peer(place, HELLO_CHILD)
        Peer(place, HELLO_CONDUCTOR).send(over(1, 300 << 20))
    elif way == "killed":
        Peer(place, HELLO_CHILD).close()
        Peer(place, HELLO_CONDUCTOR).send(over())
    elif way == "file":
        part = place / "answer.part"
        part.write_bytes(frame(HELLO_CHILD) + frame(RECORDING, recording) + over())
        part.rename(place / "answer")
    elif way == "end":
        os._exit(0)
    elif way == "stay":
        pass
    elif way == "pause":
        pathlib.Path("asked").touch()
        Peer(place, HELLO_CHILD)
        time.sleep(60)
    elif way == "foul":  # links and files of others' names in the directory are nobody's business
        (place / "answer").symlink_to("/etc/passwd")
        (place / "answer.part").mkdir()
        time.sleep(0.3)
        (place / "answer.part").rmdir()
        answer(place, "plain", recording)
    elif way == "gone":  # everything in /tmp is removed
        (place / "socket").unlink()
        place.rmdir()
    else:
        child = Peer(place, HELLO_CHILD)
        assert struct.unpack_from("II", child.request) == (0x4b534143, 1)
        if way == "slow":
            for at in range(0, len(recording) + 16, 997):
                child.send(frame(RECORDING, recording)[at:at + 997])
                time.sleep(0.002)
            child.send(frame(WORKING))
        else:
            child.send(frame(RECORDING, recording))
        child.close()
        if way == "ends_answered":
            os._exit(0)
        if way != "no_over":
            Peer(place, HELLO_CONDUCTOR).send(over())


def main():
    shim, way = sys.argv[1:3]
    recording = pathlib.Path(sys.argv[3]).read_bytes() if len(sys.argv) > 3 else b""
    with open(shim, "rb") as file:
        mapping = mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ)
    if way != "uncaught":
        signal.signal(SIGNAL, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, [SIGNAL])
    print("ready", flush=True)
    while way in ("blocked", "uncaught"):
        time.sleep(60)
    while True:
        name = f"coroner-{wait_for_signal():016x}"
        for place in PLACES:
            if (pathlib.Path(place) / name).is_dir():
                answer(pathlib.Path(place) / name, way, recording)
                break
    return mapping


if __name__ == "__main__":
    main()
