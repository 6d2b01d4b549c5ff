#!/usr/bin/env python3
"""Runs a bare-metal program and looks at its exit code and output. Exit code 77 means skipped, and why.

Usage: run_guest.py DOPPEL PROGRAM [--exit CODE] [--input TEXT] [--says REGEX] -- OPTION...
REGEX is matched against the whole console; @NOW@ in it is the host's time in seconds, give or take one.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import time


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("doppel")
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--exit", type=int, default=0)
    parser.add_argument("--input", default="")
    parser.add_argument("--says", default="^$")
    split = sys.argv.index("--")
    asked = parser.parse_args(sys.argv[1:split])
    asked.options = sys.argv[split + 1:]
    return asked


def main():
    asked = arguments()
    if not asked.program.exists():
        print("skipped: the guest programs are not built: riscv64-linux-gnu-gcc was not found")
        return 77
    began = int(time.time())
    done = subprocess.run([asked.doppel, "run", "--firmware", asked.program, *asked.options], input=asked.input.encode(),
                          capture_output=True, check=False)
    seconds = "|".join(str(second) for second in range(began - 1, int(time.time()) + 2))
    says = re.compile(asked.says.replace("@NOW@", f"({seconds})"))
    output = done.stdout.decode(errors="replace")
    print(output, done.stderr.decode(errors="replace"), sep="")
    if done.returncode != asked.exit:
        print(f"failed: exit code {done.returncode}, not {asked.exit}")
        return 1
    if done.stderr or not says.search(output):
        print(f"failed: the output is not {says.pattern!r} alone")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
