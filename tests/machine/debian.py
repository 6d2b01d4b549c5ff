#!/usr/bin/env python3
"""Debian's own compiler and interpreter in the guest: what they do is the same by every engine."""
import difflib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]
from harness import debian, initramfs  # noqa: E402
from harness.failure import Failure  # noqa: E402
from harness.machines import cache_folder  # noqa: E402
from support import guest  # noqa: E402
from support.guest import DOPPEL, check  # noqa: E402

GUEST = pathlib.Path(__file__).resolve().parent / "debian_guest"
PACKAGES = ("gcc", "libc6-dev", "python3", "libpython3[.][0-9]+-testsuite")
MODULES = ("json", "re", "struct", "math", "decimal")  # of python's own tests
PATIENCE = 3400  # seconds: the interpreter needs a fortieth of a processor's speed
MEMORY = "2G"    # the initramfs, twice while it is unpacked
LEVELS = 5       # of optimisation, in debian_guest/init
TESTS_AT_LEAST = {"json": 150, "re": 100, "struct": 30, "math": 60, "decimal": 300}


def skip_without_translator():
    done = subprocess.run([DOPPEL, "run", "--explain", "--json", "tiny"], capture_output=True, text=True, check=False)
    if '"engine": "translate"' not in done.stdout:
        guest.skip("this build has no translator")


def make_initramfs(path):
    """Of Debian's packages over tiny, and the work."""
    try:
        tree, _ = debian.tree_of(PACKAGES, cache_folder() / "tests")
    except Failure as problem:
        guest.skip(f"no packages: {problem}")
    with initramfs.over(guest.tiny()[1], path, tree) as cpio:
        cpio.program("init", (GUEST / "init").read_bytes())
        cpio.folder("checks")
        for name in ("compiled.c", "pythons_tests.py"):
            cpio.program(f"checks/{name}", (GUEST / name).read_bytes())


def run(engine, image, work, folder):
    """{name: output} of the work, by this engine."""
    kernel, _, append = guest.tiny()
    stats = pathlib.Path(folder) / f"{engine}.json"
    command = [DOPPEL, "run", "--engine", engine, "--memory", MEMORY, f"--stats={stats}", "--kernel", kernel, "--initrd", image,
               "--append", f"{append} quiet WORK={','.join(work)}"]
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    output = done.stdout.decode(errors="replace").replace("\r\n", "\n")
    check(done.returncode == 0, engine, "ended with", done.returncode, output[-3000:], done.stderr.decode(errors="replace"))
    check(json.loads(stats.read_text())["engine"] == engine, "another engine ran")
    found = {}
    for name in work:
        match = re.search(rf"DEBIAN begin {name}\n(.*)DEBIAN end {name} 0\n", output, re.S)
        check(match, name, "failed by", engine, output[-3000:])
        found[name] = re.sub(r"\b\d+\.\d+s\b", "TIME", match.group(1))
    return found


def check_alike(name, one, other):
    difference = list(difflib.unified_diff(one.splitlines(), other.splitlines(), "interpret", "translate", lineterm=""))
    check(not difference, name, "\n" + "\n".join(difference[:100]))


def long_a_debian_guest_compiles_and_runs_programs_alike_by_both_engines():
    skip_without_translator()
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        image = pathlib.Path(folder) / "initramfs"
        make_initramfs(image)
        interpreted, translated = (run(engine, image, ("compile",), folder) for engine in ("interpret", "translate"))
    check_alike("compile", interpreted["compile"], translated["compile"])
    lines = [line for line in translated["compile"].splitlines() if not re.match("[0-9a-f]{64} ", line)]
    check(len(lines) % LEVELS == 0 and lines == lines[:len(lines) // LEVELS] * LEVELS, "levels differ:", translated["compile"])


def long_pythons_own_tests_pass_alike_by_both_engines():
    skip_without_translator()
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        image = pathlib.Path(folder) / "initramfs"
        make_initramfs(image)
        interpreted, translated = (run(engine, image, MODULES, folder) for engine in ("interpret", "translate"))
    for name in MODULES:
        check_alike(name, interpreted[name], translated[name])
        ran = re.search(r"^Ran (\d+) tests", translated[name], re.M)
        check(ran and int(ran.group(1)) >= TESTS_AT_LEAST[name], name, translated[name][-1000:])


if __name__ == "__main__":
    guest.main(globals())
