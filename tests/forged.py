#!/usr/bin/python3
"""Renders forged recordings: whole by their checksum, and made so that a few bytes mean much work.

A test is one recording in one format.  The command must come to an end by itself, with a report of
UTF-8 (JSON must be JSON), or refuse the recording with one line and status 2.  It may take 64 MiB
and 20 times the recording's size, and 10 s of processor time for each MiB of it (of less: as for
one).  No other time is measured.

The layouts are those of runtime/record/format.h.
"""
import argparse
import json
import os
import pathlib
import resource
import struct
import subprocess
import sys
import tempfile

VERSION = 6
MOST = (1 << 64) - 1
SECTIONS = ("process", "strings", "argv", "warnings", "modules", "nodes", "coros", "leaks", "links",
            "findings", "objects", "samples", "live", "memory", "places")
ABANDONED, LOST = 4, 5


def checksum(data):
    value = 0xcbf29ce484222325
    whole = len(data) // 8
    for word in struct.unpack(f"<{whole}Q", data[:whole * 8]):
        value = ((value ^ word) * 0x100000001b3) & MOST
        value ^= value >> 29
    for byte in data[whole * 8:]:
        value = ((value ^ byte) * 0x100000001b3) & MOST
    return value


def process(exe=0, exit_code=0, signal=0, number=0, sample_bytes=0, options=0, suppressions=0,
            flags=1, kind=0):
    """`number` is every count and time of it."""
    return struct.pack("<4I2i2Q2I2Q6Q7Q6QQII", 4711, 1, exe, flags, exit_code, signal, number,
                       number, kind, 1, *[number] * 21, sample_bytes, options, suppressions)


def node(pc, parent):
    return struct.pack("<QII", pc, parent, 0)


def coro(name=0, entry=0, created=0, suspended=0, number=0):
    return struct.pack("<QIIQ4I6Q", 1, 1, 5, entry, name, created, suspended, 1, *[number] * 6)


def leak(verdict=LOST, why=0, stack=0, coroutine=0, first=0, links=0, blocks=1, size=1, behind=0):
    return struct.pack("<8I9Q2I", verdict, 1, why, stack, coroutine, 1, first, links, blocks, size,
                       behind, behind, size, size, size, size, 0, 0, 0)


def link(kind, name=0, coroutine=0, root=0):
    return struct.pack("<6I3Q", kind, root, name, 0, coroutine, 0, 8, 8, 8)


def module(start, end, path):
    return struct.pack("<3Q2I", start, end, 0, path, 0)


def sample(of, stack, size, blocks, is_indirect):
    return struct.pack("<IIQII", of, stack, size, blocks, is_indirect)


def live(stack=0, shape=0, first=0, links=0, number=1):
    return struct.pack("<4I7Q16Q", stack, shape, first, links, *[number] * 23)


def memory(number=1, limit=1):
    return struct.pack("<9Q2I", *[number] * 9, limit, 0)


def texts(words):
    """The strings section of these words, and where each of them begins."""
    section, places = b"\0", []
    for word in words:
        places.append(len(section))
        section += word + b"\0"
    return section, places


def recording(**sections):
    """The bytes of a recording; a section is bytes, with its rows counted, or a list of rows."""
    header_bytes = 32 + 16 * len(SECTIONS)
    directory, body = b"", b""
    sections.setdefault("process", process())
    sections.setdefault("strings", b"\0")
    for name in SECTIONS:
        rows = sections.get(name, [])
        if name == "process":
            data, count = rows, 1
        elif name == "strings":
            data, count = rows, len(rows)
        elif name in ("argv", "warnings"):
            data, count = struct.pack(f"<{len(rows)}I", *rows), len(rows)
        else:
            data, count = b"".join(rows), len(rows)
        directory += struct.pack("<2Q", header_bytes + len(body), count)
        body += data + bytes(-len(data) % 8)
    rest = directory + body
    return b"CORONER\x1a" + struct.pack("<2I2Q", VERSION, header_bytes, header_bytes + len(body),
                                        checksum(rest)) + rest


def chain_of_nodes(depth):
    return [node(0, 0)] + [node(0x1000 + row, row) for row in range(depth)]


def every_node_is_a_stack():
    return recording(nodes=chain_of_nodes(30000),
                     leaks=[leak(stack=30000 - i, size=i + 1) for i in range(6000)])


def every_node_is_sampled():
    return recording(process=process(sample_bytes=512), nodes=chain_of_nodes(30000), leaks=[leak()],
                     samples=[sample(0, 30000 - i, 10, 1, 1) for i in range(20000)])


def many_share_deep_stacks():
    return recording(nodes=chain_of_nodes(2000),
                     coros=[coro(entry=i + 1, created=1999, suspended=1998) for i in range(5000)],
                     leaks=[leak(ABANDONED, stack=1999 - i % 900, coroutine=1 + i % 5000, size=i)
                            for i in range(8000)])


def chains_share_links():
    return recording(coros=[coro()], links=[link(1)] * 5000,
                     leaks=[leak(ABANDONED, coroutine=1, links=5000)] * 3000)


def one_long_chain():
    return recording(coros=[coro()], links=[link(i % 4, coroutine=1) for i in range(15000)],
                     leaks=[leak(ABANDONED, coroutine=1, links=15000)])


def numbers_are_as_large_as_can_be():
    many = (1 << 32) - 1
    return recording(
        process=process(exit_code=-(1 << 31), signal=(1 << 31) - 1, number=MOST, sample_bytes=MOST),
        coros=[coro(number=MOST), coro(number=MOST - 1)],
        leaks=[leak(blocks=MOST, size=MOST, behind=MOST), leak(ABANDONED, coroutine=1, size=MOST),
               leak(ABANDONED, coroutine=2, blocks=MOST, behind=MOST)],
        samples=[sample(i % 3, 0, size, blocks, i % 2)
                 for i, (size, blocks) in enumerate((size, blocks) for blocks in (0, 1, many)
                                                    for size in (0, 1, MOST >> 1, 1 << 63, MOST))])


def a_live_check_of_large_numbers():
    return recording(process=process(number=MOST, flags=1 | 16, kind=1),
                     links=[link(0), link(3)],
                     live=[live(shape=i % 4, links=2 * (i == 0), number=MOST >> i)
                           for i in range(60)],
                     memory=[memory(MOST)])


def live_rows_share_links():
    return recording(links=[link(1)] * 100, live=[live(links=100)] * 2)


def many_paths_of_one_file():
    section, places = texts(b"/usr/bin/" + b"./" * (i % 50) + b"/" * (i // 50) + b"python3"
                            for i in range(5000))
    return recording(strings=section, nodes=[node(0, 0)] + [node(i << 16 | 5, 0)
                                                            for i in range(5000)],
                     modules=[module(i << 16, (i << 16) + 100, place)
                              for i, place in enumerate(places)],
                     leaks=[leak(stack=i + 1) for i in range(5000)])


def patterns_of_many_stars():
    section, places = texts([b"".join(b"leak:%s*x*%d\n" % (b"*" * 100, i) for i in range(5000))])
    return recording(process=process(suppressions=places[0]), strings=section,
                     nodes=chain_of_nodes(20000), leaks=[leak(stack=i) for i in range(1, 4000)])


def one_long_name():
    section, places = texts([b"\xe2\x80\xae\x1b" * 150000])
    name = places[0]
    return recording(process=process(exe=name, options=name), strings=section,
                     argv=places, warnings=places, links=[link(0, name) for _ in range(3000)],
                     coros=[coro(name) for _ in range(3000)],
                     leaks=[leak(ABANDONED, name, coroutine=i + 1, first=i, links=1)
                            for i in range(3000)])


def suffixes_as_names():
    section, places = texts([b"a" * 200000])
    return recording(strings=section, coros=[coro(places[0] + i) for i in range(10000)])


def very_many_warnings():
    section, places = texts(b"%d" % i for i in range(100000))
    return recording(strings=section, warnings=places)


def very_many_empty_arguments():
    return recording(argv=[0] * 250000)


FORGED = (every_node_is_a_stack, every_node_is_sampled, many_share_deep_stacks, chains_share_links,
          one_long_chain, numbers_are_as_large_as_can_be, a_live_check_of_large_numbers,
          live_rows_share_links, many_paths_of_one_file,
          patterns_of_many_stars, one_long_name, suffixes_as_names, very_many_warnings,
          very_many_empty_arguments)
REFUSED = (chains_share_links, live_rows_share_links, suffixes_as_names)
UNWELCOME = {*range(0x20), *range(0x7f, 0xa0), 0x61c, 0x200e, 0x200f, *range(0x2028, 0x202f),
             *range(0x2066, 0x206a)} - {0x0a}


def complaint_about(make, command, kind, path, report):
    """What is wrong with how one recording is rendered; None: nothing."""
    mib = max(1, path.stat().st_size / (1 << 20))
    seconds = int(10 * mib) + 1

    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    how = ["--format=text"] if kind == "page" else ["--coroutines", f"--format={kind}"]
    run = subprocess.Popen([command, "report", *how, f"--output={report}", path],
                           preexec_fn=limit, stderr=subprocess.PIPE)
    said = run.stderr.read().decode("utf-8")
    _, status, usage = os.wait4(run.pid, 0)
    run.returncode = status
    if make in REFUSED:
        return None if status == 2 << 8 and said.count("\n") == 1 else \
            f"expected a refusal, saw status {status:#x} and {said!r}"
    if status != 0:
        return f"status {status:#x}: {said[:500]}"
    if usage.ru_maxrss * 1024 > (64 << 20) + 20 * path.stat().st_size:
        return f"took {usage.ru_maxrss >> 10} MiB"
    with open(report, encoding="utf-8") as file:
        text = file.read()
    bad = UNWELCOME.intersection(map(ord, set(text)))
    if bad:
        return f"the report holds {sorted(map(hex, bad))}"
    if kind == "page" and text.count("\n") > 40:
        return f"{text.count(chr(10))} lines"
    if kind == "json" and len(text) < 1 << 24:
        json.loads(text)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default="build")
    options = parser.parse_args()
    command = options.build.resolve() / "coroner"
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="coroner-forged-") as folder:
        path, report = pathlib.Path(folder) / "forged.crn", pathlib.Path(folder) / "report"
        for make in FORGED:
            path.write_bytes(make())
            for kind in ("text", "json", *["page"] * (make is a_live_check_of_large_numbers)):
                report.unlink(missing_ok=True)
                complaint = complaint_about(make, command, kind, path, report)
                passed += complaint is None
                failed += complaint is not None
                if complaint is not None:
                    print(f"FAILED {make.__name__} as {kind}: {complaint}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
