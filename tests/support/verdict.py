"""How a test ends, and what every failure of doppel looks like."""
import pathlib
import re
import sys


def tested_program():
    """Every test is called with it."""
    return pathlib.Path(sys.argv[1]).resolve()


def skip(why):
    """To CMake exit code 77 is a skipped test."""
    print("skipped:", why)
    sys.exit(77)


def check(condition, *what):
    if not condition:
        print("failed:", *what)
        sys.exit(1)


def check_failure(asked, done, *, code, says=()):
    """`done` (of subprocess.run, with text) ended with that exit code, having printed nothing but one line, in which each of
    the regular expressions `says` is found."""
    check(done.returncode == code, asked, "ended with", done.returncode, "not", code, done.stdout, done.stderr)
    check(re.fullmatch(r"doppel: [^\n]+\n", done.stderr), asked, "did not say one line:", repr(done.stderr))
    check(done.stdout == "", asked, "printed", done.stdout)
    for pattern in says:
        check(re.search(pattern, done.stderr), asked, "said", repr(done.stderr), "without", repr(pattern))
