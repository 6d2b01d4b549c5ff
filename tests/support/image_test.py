"""What the tests of `doppel image` share. Each is called with the path of doppel-image; exit code 77 means skipped, and why."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

DOPPEL_IMAGE = pathlib.Path(sys.argv[1]).resolve()


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def check(condition, *what):
    if not condition:
        print("failed:", *what)
        sys.exit(1)


class Home:
    """A user's cache of its own."""

    def __init__(self, cache):
        self.cache = pathlib.Path(cache)
        self.images = self.cache / "doppel" / "images"
        self.program = DOPPEL_IMAGE
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("DOPPEL_")}
        # A proxy of the machine's does not reach the mirror on 127.0.0.1.
        self.environment |= {"XDG_CACHE_HOME": str(cache), "no_proxy": "127.0.0.1"}

    def start(self, *arguments, prefix=()):
        return subprocess.Popen([*prefix, self.program, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments, prefix=()):
        process = self.start(*arguments, prefix=prefix)
        process.output, process.errors = process.communicate()
        return process

    def succeed(self, *arguments, prefix=()):
        process = self.run(*arguments, prefix=prefix)
        check(process.returncode == 0, arguments, "ended with", process.returncode, process.errors)
        return process.output

    def fail(self, *arguments, code=1, says=(), prefix=()):
        expect_failure(self.run(*arguments, prefix=prefix), code, says)

    def list(self):
        return json.loads(self.succeed("ls", "--json"))

    def expect_nothing_left(self):
        left = [str(path) for path in self.images.rglob("*") if path.name != ".lock"] if self.images.exists() else []
        check(not left, "left behind:", left)


def expect_failure(process, code=1, says=()):
    """`process` has been waited for by Home.run or finish."""
    check(process.returncode == code, "ended with", process.returncode, process.output, process.errors)
    check(process.errors.count("\n") == 1 and process.errors.startswith("doppel: "), "not one line:", process.errors)
    check(process.output == "", "unexpected output:", process.output)
    for text in says:
        check(text in process.errors, f"{text!r} is not in", process.errors)


def finish(process):
    process.output, process.errors = process.communicate()
    return process


def make_tiny(mirror, *more):
    return ("make", "tiny", "--mirror", mirror.address, "--keyring", mirror.key.keyring, *more)


@contextlib.contextmanager
def home():
    with tempfile.TemporaryDirectory(prefix="dpl-") as folder:
        yield Home(folder)
