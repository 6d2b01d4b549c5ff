"""The shell of the image tiny, on the terminal of a machine that is measured."""
import os
import pty
import re
import select
import subprocess
import time

from harness.failure import fail

PROMPT = re.compile(rb"tiny:[^\r\n]*# ")
PATIENCE = 300  # seconds


class Shell:
    """Starts the machine, waits for the prompt, and ends the machine when it is left."""

    def __init__(self, command):
        self.seen = b""
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(list(map(str, command)), stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.pid = self.process.pid

    def __enter__(self):
        self.wait_for(PROMPT)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def run(self, command):
        """Fails unless the guest's command ends with 0."""
        os.write(self.master, f"{command}; echo en''ded:$?:\r".encode())
        code = self.wait_for(re.compile(rb"ended:(\d+):")).group(1)
        self.wait_for(PROMPT)
        if code != b"0":
            fail(f"{command}: ended with {code.decode()} in the guest")

    def wait_for(self, pattern):
        deadline = time.monotonic() + PATIENCE
        while not (found := pattern.search(self.seen)):
            if time.monotonic() > deadline or self.process.poll() is not None:
                fail(f"no {pattern.pattern!r} came: {self.seen[-500:]!r}")
            if select.select([self.master], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    fail(f"the machine ended: {self.seen[-500:]!r}")
        self.seen = self.seen[found.end():]
        return found
