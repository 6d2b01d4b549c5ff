#!/usr/bin/env python3
"""No source file has more than 500 lines.

Usage: check_sizes.py FOLDER...
"""
import sys
from pathlib import Path

LIMIT = 500
SUFFIXES = {".h", ".cpp", ".py", ".S", ".cmake"}


def main():
    files = sorted(p for folder in sys.argv[1:] for p in Path(folder).rglob("*") if p.suffix in SUFFIXES)
    lengths = {path: len(path.read_text().splitlines()) for path in files}
    too_long = [f"{path}: {length} lines, {LIMIT} allowed" for path, length in lengths.items() if length > LIMIT]
    if not files:
        too_long.append("no source files")
    print("\n".join(too_long))
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
