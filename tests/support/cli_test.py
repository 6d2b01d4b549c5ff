"""What the tests of the launcher share. Each is called with the path of doppel."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from support.verdict import check, check_failure, tested_program

DOPPEL = tested_program()


class Launcher:
    """doppel, copied into a directory of its own so that the executables beside it are the test's, with an empty cache."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.program = self.folder / "bin" / "doppel"
        self.program.parent.mkdir()
        shutil.copy2(DOPPEL, self.program)
        self.environment = os.environ | {"XDG_CACHE_HOME": str(self.folder / "cache")}

    def put_beside(self, name, script):
        """An executable of that name beside doppel: a Python script."""
        path = self.program.parent / name
        path.write_text(f"#!{sys.executable}\n{script}")
        path.chmod(0o755)

    def run(self, *arguments, stdin=subprocess.DEVNULL, **options):
        return subprocess.run([self.program, *arguments], stdin=stdin, capture_output=True, text=True, env=self.environment,
                              cwd=self.folder, timeout=120, **options)

    def succeed(self, *arguments):
        done = self.run(*arguments)
        check(done.returncode == 0 and done.stderr == "", arguments, done)
        return done.stdout

    def fail(self, *arguments, code, says=""):
        check_failure(arguments, self.run(*arguments), code=code, says=[re.escape(says)])


@contextlib.contextmanager
def launcher():
    with tempfile.TemporaryDirectory(prefix="doppel-cli-") as folder:
        yield Launcher(folder)
