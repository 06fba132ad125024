"""Runs a command as a background job of a terminal that background jobs may not write to.

    in_background.py COMMAND…

Prints `stopped` when the job stops for it, and else how it ended.
"""
import os
import pty
import signal
import sys
import termios

pid, terminal = pty.fork()
if pid == 0:  # the leader of the terminal's session
    settings = termios.tcgetattr(2)
    settings[3] |= termios.TOSTOP
    termios.tcsetattr(2, termios.TCSANOW, settings)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.execvp(sys.argv[1], sys.argv[1:])
    _, status = os.waitpid(job, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        os.killpg(job, signal.SIGKILL)
        os._exit(125)
    os._exit(os.waitstatus_to_exitcode(status))
try:
    while os.read(terminal, 4096):
        pass
except OSError:
    pass  # the terminal has no other side any more
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print("stopped" if code == 125 else f"ended with {code}")
