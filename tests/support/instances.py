"""What the tests of instances share: a state folder of their own, in which nothing may run when they are over."""
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
import uuid

from support import guest
from support.verdict import check, check_failure


class Instances:
    """One user's instances, and doppel's verbs on them."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.mark = f"DOPPEL_TEST_MARK={uuid.uuid4()}"
        self.environment = os.environ | dict([self.mark.split("=")]) | {"DOPPEL_STATE": str(self.state), "TERM": "dumb"}

    def run(self, *words, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
        if "input" in options:
            del options["stdin"]
        return subprocess.run([guest.DOPPEL, *map(str, words)], env=self.environment, timeout=5 * guest.PATIENCE, check=False, **options)

    def start(self, *words, **options):
        return subprocess.Popen([guest.DOPPEL, *map(str, words)], env=self.environment, **options)

    def succeed(self, *words, **options):
        done = self.run(*words, **options)
        check(done.returncode == 0, words, "ended with", done.returncode, done.stdout, done.stderr)
        return done.stdout

    def fail(self, *words, code=1, says=""):
        check_failure(words, self.run(*words), code=code, says=[says])

    def list(self, *options):
        return {one["name"]: one for one in json.loads(self.succeed("ls", "--json", *options))}

    def state_of(self, name):
        return self.list()[name]["state"]

    def wait_for_state(self, name, state):
        deadline = time.monotonic() + guest.PATIENCE
        while (now := self.state_of(name)) != state:
            check(time.monotonic() < deadline, name, "is", now, "and not", state)
            time.sleep(0.05)

    def info(self, name):
        return json.loads(self.succeed("info", "--json", name))[0]

    def directory(self, name):
        return pathlib.Path(self.info(name)["directory"])

    def keeper(self, name):
        return json.loads((self.directory(name) / "status").read_text())["keeper"]

    def wait_for_log(self, name, pattern):
        deadline = time.monotonic() + guest.PATIENCE
        while not re.search(pattern, log := self.succeed("logs", name)):
            check(time.monotonic() < deadline, pattern, "did not come:", log[-2000:])
            time.sleep(0.05)

    def processes(self):
        """Of keepers and machines, by what they were started with."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes():
                    command = (entry / "cmdline").read_bytes().decode(errors="replace")
                    if command:
                        found[int(entry.name)] = command
        return found

    def expect_nothing_runs(self):
        deadline = time.monotonic() + guest.PATIENCE
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        check(not left, "processes left behind:", left)
        run = self.state / "run"
        sockets = sorted(str(path) for path in run.rglob("*")) if run.exists() else []
        check(not sockets, "left in the runtime folder:", sockets)

    def end_all(self):
        for pid in self.processes():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def instances():
    with tempfile.TemporaryDirectory(prefix="doppel-test-", ignore_cleanup_errors=True) as folder:
        some = Instances(folder)
        try:
            yield some
        finally:
            some.end_all()


def forever():
    """Options of run for a guest that starts at once, prints "waiting" and never ends."""
    return ["--firmware", guest.program("wait_forever"), "--memory", "16M", "--engine", "interpret"]


class Terminal(guest.Machine):
    """A verb of doppel on a terminal of its own, driven as guest.Machine drives `doppel run`."""

    def __init__(self, some, *words, size=(50, 200)):  # pylint: disable=super-init-not-called
        self.seen = b""
        self.at = 0
        self.before = None
        self.master, self.slave = pty.openpty()
        self.resize(*size)
        self.mode_before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen([guest.DOPPEL, *map(str, words)], stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                        env=some.environment, start_new_session=True, preexec_fn=self._take_terminal)
        self.input = self.output = self.master

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type_much(self, data):
        """Reads what comes back meanwhile."""
        deadline = time.monotonic() + 5 * guest.PATIENCE
        while data:
            check(time.monotonic() < deadline, "the terminal takes nothing more")
            _, writable, _ = select.select([], [self.master], [], 0.2)
            if writable:
                data = data[os.write(self.master, data[:4096]):]
            while self.read(0):
                pass
