#!/usr/bin/env python3
"""Machines whose code is translated: the bounds of its cache."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import booted, check  # noqa: E402

# Runs much of the kernel and of busybox, again and again.
WORK = "for i in 1 2 3; do find /bin /etc /lib | sort | sha256sum; ls -lR /sys/class | gzip | gunzip | wc -l; done"


def without_translator():
    done = subprocess.run([guest.DOPPEL, "run", "--explain", "--json", "tiny"], capture_output=True, text=True, check=False)
    return '"engine": "translate"' not in done.stdout


def test_a_guest_of_four_harts_works_while_its_code_cache_of_1_mib_is_emptied_again_and_again():
    if without_translator():
        guest.skip("this build has no translator")
    with booted("--cpus", 4, "--code-cache", "1M") as machine:
        lines = machine.ask(WORK + " & " + WORK + "; wait").splitlines()
        check(len(lines) == 12, lines)
        machine.send("poweroff\r")
        machine.ends_with(0)


if __name__ == "__main__":
    guest.main(globals())
