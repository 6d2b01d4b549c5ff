#!/usr/bin/env python3
"""Every header under the source folder compiles alone.

Usage: check_headers.py SOURCE_FOLDER COMPILER [FLAG...]
"""
import concurrent.futures
import subprocess
import sys
from pathlib import Path

JOBS = 2


def compile_alone(header, source, compiler, flags):
    """The compiler's complaints, empty when there are none."""
    command = [compiler, "-x", "c++", "-std=c++20", "-fsyntax-only", f"-I{source}", *flags, "-"]
    unit = f'#include "{header.relative_to(source)}"\n'
    done = subprocess.run(command, input=unit, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{header}: does not compile alone\n{done.stderr}"


def main():
    source, compiler, flags = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    headers = sorted(source.rglob("*.h"))
    if not headers:
        print(f"{source}: no headers")
        return 1
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        results = list(pool.map(lambda header: compile_alone(header, source, compiler, flags), headers))
    failures = [text for text in results if text]
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
