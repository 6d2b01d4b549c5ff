"""What the tests of whole machines share: the image tiny, a machine on a terminal of its own, and what it may leave.

Each test file is called with the path of doppel, the folder of the bare-metal programs and the name of one of its
functions.
"""
import contextlib
import errno
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
import sys
import tempfile
import termios
import time
import uuid

from support.verdict import check, skip, tested_program

DOPPEL = tested_program()
PROGRAMS = pathlib.Path(sys.argv[2]).resolve()
PATIENCE = 60  # seconds until a test gives up: the host may be busy; nothing is expected to take that long
PROMPT = rb"tiny:[^\r\n]*# "
INSTRUMENTED = os.environ.get("DOPPEL_INSTRUMENTED") == "1"  # a sanitizer's build: its memory and time say nothing


def main(tests):
    """Runs the function that the command line names."""
    (tests.get("test_" + sys.argv[3]) or tests["long_" + sys.argv[3]])()


def program(name):
    path = PROGRAMS / f"{name}.elf"
    if not path.exists():
        skip("the guest programs are not built: riscv64-linux-gnu-gcc was not found")
    return path


def tiny():
    """(kernel, initrd, append) of the image that the fixture has made."""
    listed = subprocess.run([DOPPEL, "image", "ls", "--json"], capture_output=True, text=True, check=True)
    if not any(image["name"] == "tiny" for image in json.loads(listed.stdout)):
        skip("there is no image tiny: see the test fixture.tiny_image")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "doppel" / "images" / "tiny-riscv64"
    return folder / "kernel", folder / "initrd", json.loads((folder / "image.json").read_text())["append"]


class Machine:
    """`doppel run` with the given arguments, on a terminal of its own (`on_terminal`) or between pipes."""

    def __init__(self, *arguments, on_terminal=True, environment=None, program=DOPPEL, before=None):
        """`before` is called in the machine's process, before it is one."""
        self.seen = b""  # all output so far
        self.at = 0      # how much of it expect() has passed
        environment = dict(os.environ if environment is None else environment, TERM="dumb")
        self.before = before
        command = [str(program), "run", *map(str, arguments)]
        if on_terminal:
            self.master, self.slave = pty.openpty()
            fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
            self.mode_before = termios.tcgetattr(self.slave)
            self.process = subprocess.Popen(command, stdin=self.slave, stdout=self.slave, stderr=self.slave, env=environment,
                                            start_new_session=True, preexec_fn=self._take_terminal)
            self.input = self.output = self.master
        else:
            self.master = self.slave = None
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, env=environment)
            self.input, self.output = self.process.stdin.fileno(), self.process.stdout.fileno()

    def _take_terminal(self):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if self.before:
            self.before()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self.master, self.slave):
            if descriptor is not None:
                os.close(descriptor)

    @property
    def pid(self):
        return self.process.pid

    def terminal_mode(self):
        return termios.tcgetattr(self.slave)

    def expect_terminal_restored(self):
        check(self.terminal_mode() == self.mode_before, "the terminal's mode is", self.terminal_mode(), "not", self.mode_before)

    def read(self, seconds):
        """Takes what has arrived within `seconds`; false when nothing did, or at the end."""
        ready, _, _ = select.select([self.output], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.output, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        self.seen += data
        return bool(data)

    def expect(self, pattern):
        """Waits for `pattern` behind what was expected before; returns the match."""
        deadline = time.monotonic() + PATIENCE
        while not (match := re.compile(pattern, re.S).search(self.seen, self.at)):
            alive = self.process.poll() is None
            if not self.read(0.2) and not alive:
                check(False, "the machine ended with", self.process.returncode, "before", pattern, "came:", self.tail())
            check(time.monotonic() < deadline, pattern, "did not come:", self.tail())
        self.at = match.end()
        return match

    def tail(self):
        return "\n" + self.seen[-3000:].decode(errors="replace")

    def send(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        while data:
            select.select([], [self.input], [], PATIENCE)
            data = data[os.write(self.input, data[:512]):]
            self.read(0)

    def shell(self, command):
        """Runs `command` in the guest's shell; returns (exit code, output). The typed line itself holds no marker."""
        self.send(f"echo be''gin; {command}; echo e''nd:$?:\r")
        self.expect(rb"begin\r\n")
        match = self.expect(rb"(.*?)end:(\d+):\r\n")
        self.expect(PROMPT)
        return int(match.group(2)), match.group(1).decode(errors="replace").replace("\r\n", "\n")

    def ask(self, command):
        code, output = self.shell(command)
        check(code == 0, command, "ended with", code, "in the guest:", output)
        return output.strip()

    def wait(self):
        """Reads to the end; returns the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            self.read(0.2)
            check(time.monotonic() < deadline, "the machine did not end:", self.tail())
        while self.read(0):
            pass
        return self.process.returncode

    def ends_with(self, code):
        got = self.wait()
        check(got == code, "exit code", got, "not", code, self.tail())


@contextlib.contextmanager
def booted(*arguments, **options):
    """The tiny guest at its shell."""
    tiny()
    with Machine(*arguments, "tiny", **options) as machine:
        machine.expect(PROMPT)
        yield machine


class Surroundings:
    """A user's directories of their own, in which nothing may be left, and a mark by which the processes are known."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.mark = f"DOPPEL_TEST_MARK={uuid.uuid4()}"
        names = {"HOME": "home", "TMPDIR": "tmp", "XDG_RUNTIME_DIR": "run", "XDG_DATA_HOME": "data", "XDG_CONFIG_HOME": "config",
                 "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache"}
        self.environment = os.environ | dict([self.mark.split("=")])
        for variable, name in names.items():
            (self.folder / name).mkdir(mode=0o700)
            self.environment[variable] = str(self.folder / name)
        self.before = self.files()

    def files(self):
        return sorted(str(path) for folder in (self.folder, *PRIVATE) for path in folder.rglob("*"))

    def processes(self):
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes():
                    found.append((entry.name, (entry / "cmdline").read_bytes().decode(errors="replace")))
        return found

    def expect_nothing_left(self, *allowed):
        deadline = time.monotonic() + PATIENCE
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        check(not self.processes(), "processes left behind:", self.processes())
        left = set(self.files()) - set(self.before) - set(map(str, allowed))
        # What machines have translated is kept for later ones, whole.
        translations = self.folder / "cache" / "doppel" / "translations"
        left -= {str(translations.parent), str(translations), str(translations / ".lock"), *map(str, translations.glob("*.code"))}
        check(not left, "files left behind:", left)


# Folders that belong to this test alone once alone_with_temporary_folders() has come back.
PRIVATE = []


def alone_with_temporary_folders():
    """Starts the test anew in a mount namespace where /tmp and /dev/shm are empty, so that other users' files there do
    not matter. Where the host forbids namespaces only the user's own directories are looked at."""
    if os.environ.get("DOPPEL_TEST_ALONE") == "1":
        PRIVATE.extend([pathlib.Path("/tmp"), pathlib.Path("/dev/shm")])
        return
    script = 'mount -t tmpfs none /tmp && mount -t tmpfs none /dev/shm && exec "$@"'
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    within_tmp = any(path.is_relative_to("/tmp") for path in (DOPPEL, PROGRAMS, tiny()[0], pathlib.Path(sys.argv[0]).resolve()))
    if within_tmp or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        print("no mount namespace here: /tmp and /dev/shm are not looked at")
        return
    os.environ["DOPPEL_TEST_ALONE"] = "1"
    os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])


@contextlib.contextmanager
def surroundings():
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        yield Surroundings(folder)


def tiny_arguments(append=""):
    """The image's parts as options of run, for a user whose cache is empty."""
    kernel, initrd, own = tiny()
    return ["--kernel", kernel, "--initrd", initrd, "--append", f"{own} {append}"]


def end_by_signal(machine, number):
    os.kill(machine.pid, number)
    expected = -signal.SIGKILL if number == signal.SIGKILL else 128 + number
    machine.ends_with(expected)


def smaps_rollup(pid):
    """Bytes by name."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {key: int(value) * 1024 for key, value in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}


def status(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {key: int(value) * 1024 for key, value in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}
