"""What the tests of `doppel image` share. Each is called with the path of doppel-image."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile

from support.verdict import check, check_failure, tested_program

DOPPEL_IMAGE = tested_program()


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
        return finish(self.start(*arguments, prefix=prefix))

    def succeed(self, *arguments, prefix=()):
        done = self.run(*arguments, prefix=prefix)
        check(done.returncode == 0, arguments, "ended with", done.returncode, done.stderr)
        return done.stdout

    def fail(self, *arguments, code=1, says=(), prefix=()):
        expect_failure(self.run(*arguments, prefix=prefix), code, says)

    def list(self):
        return json.loads(self.succeed("ls", "--json"))

    def expect_nothing_left(self):
        left = [str(path) for path in self.images.rglob("*") if path.name != ".lock"] if self.images.exists() else []
        check(not left, "left behind:", left)


def expect_failure(done, code=1, says=()):
    check_failure(done.args, done, code=code, says=map(re.escape, says))


def finish(process):
    """As subprocess.run of it would."""
    output, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def make_tiny(mirror, *more):
    return ("make", "tiny", "--mirror", mirror.address, "--keyring", mirror.key.keyring, *more)


@contextlib.contextmanager
def home():
    with tempfile.TemporaryDirectory(prefix="dpl-") as folder:
        yield Home(folder)
