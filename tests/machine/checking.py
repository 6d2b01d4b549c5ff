#!/usr/bin/env python3
"""Machines whose translated code the interpreter checks."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import booted, check  # noqa: E402

guest.PATIENCE = 400  # seconds: everything is executed twice, and compared


def skip_without_translator():
    done = subprocess.run([guest.DOPPEL, "run", "--explain", "--json", "tiny"], capture_output=True, text=True, check=False)
    if '"engine": "translate"' not in done.stdout:
        guest.skip("this build has no translator")


def works_without_a_difference(work, *arguments):
    skip_without_translator()
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        path = pathlib.Path(folder) / "stats.json"
        with booted("--engine", "check", f"--stats={path}", *arguments) as machine:
            machine.ask(work)
            machine.send("poweroff\r")
            machine.ends_with(0)
        check(not re.search(rb"doppel: (error|warning)", machine.seen), machine.tail())
        stats = json.loads(path.read_text())
    check(stats["engine"] == "check" and stats["comparisons"] > 100_000, stats)
    check(stats["translated_instructions"] > 0.9 * stats["instructions"] and stats["regions_translated"] > 100, stats)


def test_a_guest_boots_while_its_translated_code_is_checked():
    if guest.INSTRUMENTED:
        guest.skip("a sanitizer's build takes too long")
    works_without_a_difference("echo 7 2.5 | awk '{ print $1 / $2, int($2 * 3) }'")


def long_four_harts_work_while_their_translated_code_is_checked():
    works_without_a_difference("for i in 1 2 3 4; do find /bin /etc /lib | sort | sha256sum & done; wait; "
                               "ls -lR /sys/class | gzip | gunzip | wc -l", "--cpus", "4")


if __name__ == "__main__":
    guest.main(globals())
