"""Runs a command on a new pseudo-terminal and reports how it left the terminal.

Usage: run_on_pty.py STEPS COMMAND...   STEPS is a JSON list; each step waits for `wait` in the output, then
sends the text `send` or the signal `signal`. Prints JSON: output, status (as a shell reports it), raw
(whether the modes had been changed at the first step) and restored (whether they are as before).
"""
import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time


class Session:
    def __init__(self, command):
        self.master, self.slave = pty.openpty()
        self.before = self.modes()
        self.output = b""
        self.seen = 0
        self.child = subprocess.Popen(
            command,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def modes(self):
        return termios.tcgetattr(self.slave)

    def read(self):
        """Takes what there is; False once the command has ended and everything is read."""
        ended = self.child.poll() is not None
        # The poll interval only bounds how late the end is noticed.
        if select.select([self.master], [], [], 0 if ended else 0.1)[0]:
            self.output += os.read(self.master, 65536)
            return True
        return not ended

    def wait_for(self, wanted):
        while (at := self.output.find(wanted, self.seen)) < 0:
            if not self.read():
                sys.exit(f"{wanted!r} was not printed; the output: {self.output!r}")
        self.seen = at + len(wanted)

    def obey(self, step):
        if "send" in step:
            os.write(self.master, step["send"].encode("latin-1"))
        if "signal" in step:
            self.child.send_signal(getattr(signal, step["signal"]))


def main():
    steps, session, raw = json.loads(sys.argv[1]), Session(sys.argv[2:]), None
    for step in steps:
        session.wait_for(step["wait"].encode())
        raw = session.modes() != session.before if raw is None else raw
        session.obey(step)
    while session.read():
        pass
    code, patience = session.child.returncode, time.monotonic() + 5
    # After SIGKILL the modes are restored by a process that outlives the command.
    while session.modes() != session.before and time.monotonic() < patience:
        time.sleep(0.01)
    report = {
        "output": session.output.decode("latin-1"),
        "status": 128 - code if code < 0 else code,
        "raw": raw,
        "restored": session.modes() == session.before,
    }
    print(json.dumps(report))


main()
