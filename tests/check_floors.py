#!/usr/bin/env python3
"""No include climbs a floor, and none crosses to a library that is not linked.

The floors stand in src/CMakeLists.txt: "# floor N" comments above doppel_library(FOLDER LINK ...) lines. A file may include its own
folder's headers, those of the libraries that its folder links (through others too), and none of a higher floor. X_main.cpp is an
executable, which links what it likes from its own floor down.
Usage: check_floors.py SOURCE_FOLDER
"""
import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
HOUSE = re.compile(r"^#\s*floor\s+(?P<floor>\d+)\s*$|^[ \t]*doppel_library\(\s*(?P<folder>[^\s)]+)(?P<rest>[^)]*)\)", re.MULTILINE)


def read_house(text):
    """Folder -> floor, and folder -> the folders that it links directly."""
    floors, links, floor = {}, {}, None
    for match in HOUSE.finditer(text):
        if match["floor"]:
            floor = int(match["floor"])
            continue
        if floor is None:
            raise ValueError(f"{match['folder']} stands on no floor")
        floors[match["folder"]] = floor
        links[match["folder"]] = match["rest"].split()
    by_target = {"doppel_" + folder.replace("/", "_"): folder for folder in floors}
    return floors, {folder: [by_target[t] for t in targets if t in by_target] for folder, targets in links.items()}


def reachable(folder, links):
    seen, todo = set(), [folder]
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo += links[at]
    return seen


def check_links(floors, links):
    return [
        f"src/CMakeLists.txt: {folder} (floor {floors[folder]}) links {other} (floor {floors[other]})"
        for folder in floors
        for other in links[folder]
        if floors[other] > floors[folder]
    ]


def check_file(name, text, floors, links):
    """`name` is relative to the source folder; yields a line for each include that breaks the rule."""
    folder = str(Path(name).parent)
    if folder not in floors:
        yield f"src/{name}: its folder is no doppel_library in src/CMakeLists.txt"
        return
    allowed = reachable(folder, links)
    for match in INCLUDE.finditer(text):
        included = match[1]
        other = str(Path(included).parent)
        if other not in floors:
            yield f'src/{name}: includes "{included}", which is not "FOLDER/FILE" from src/'
        elif floors[other] > floors[folder]:
            yield f'src/{name}: floor {floors[folder]} includes "{included}" of floor {floors[other]}'
        elif other not in allowed and not name.endswith("_main.cpp"):
            yield f'src/{name}: includes "{included}", but {folder} does not link {other}'


def check_tree(source):
    floors, links = read_house((source / "CMakeLists.txt").read_text())
    problems = check_links(floors, links)
    files = sorted(p for p in source.rglob("*") if p.suffix in {".h", ".cpp"})
    for path in files:
        problems += check_file(str(path.relative_to(source)), path.read_text(), floors, links)
    if not files:
        problems.append(f"{source}: no source files")
    return problems


def self_test():
    """The check itself finds what it is for."""
    house = "# floor 0\ndoppel_library(base)\n# floor 1\ndoppel_library(memory LINK doppel_base)\n"
    house += "doppel_library(disk\n  LINK doppel_base x::y)\n# floor 2\ndoppel_library(a/b LINK doppel_memory)\n"
    floors, links = read_house(house)
    cases = [
        ("a/b/x.cpp", '#include "a/b/x.h"\n#include "memory/m.h"\n  # include "base/b.h"\n#include <c/d.h>\n', 0),
        ("base/x.cpp", '#include "memory/m.h"\n', 1),
        ("memory/x.cpp", '#include "disk/d.h"\n', 1),
        ("memory/x.cpp", '#include "m.h"\n', 1),
        ("memory/x_main.cpp", '#include "disk/d.h"\n', 0),
        ("memory/x_main.cpp", '#include "a/b/x.h"\n', 1),
        ("elsewhere/x.cpp", "", 1),
    ]
    for name, text, expected in cases:
        found = list(check_file(name, text, floors, links))
        if len(found) != expected:
            return [f"self-test: {name} {text!r} gave {found}"]
    climbing = read_house(house + "doppel_library(c)\n# floor 0\ndoppel_library(d LINK doppel_c)\n")
    return [] if len(check_links(*climbing)) == 1 else ["self-test: a climbing link was not found"]


def main():
    problems = self_test() + check_tree(Path(sys.argv[1]))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
