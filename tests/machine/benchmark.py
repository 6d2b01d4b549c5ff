#!/usr/bin/env python3
"""The programs that bench/translator measures, with as little work as they can do: no time is judged here."""
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]
from harness import guest as bench_guest  # noqa: E402
from harness import initramfs, native  # noqa: E402
from support import guest  # noqa: E402
from support.guest import DOPPEL, check  # noqa: E402

SOURCES, BUILT = ROOT / "bench" / "programs", DOPPEL.parent / "bench"
NAMES = ("mix", "sha256", "sort_hash", "bytecode", "fib", "chase", "memcpy", "triad", "nbody", "mandelbrot", "matmul", "spawn")
MEMORY_MIB, SCALE = 512, 1
PATIENCE = 500  # seconds


def test_the_programs_of_the_benchmark_compute_the_same_natively_and_in_the_guest():
    programs = {isa: BUILT / isa / "bench" for isa in ("native", "riscv64")}
    for path in programs.values():
        if not path.exists():
            guest.skip(f"{path} is not built: a compiler or its static C library was not found")
    kernel, initrd, append = guest.tiny()
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        image = pathlib.Path(folder) / "initramfs"
        initramfs.write(image, initrd, SOURCES, programs["riscv64"])
        command = [DOPPEL, "run", "--memory", f"{MEMORY_MIB}M", "--kernel", kernel, "--initrd", image, "--append",
                   bench_guest.command_line(append, NAMES, SCALE)]
        session = bench_guest.run(command, NAMES, MEMORY_MIB, PATIENCE)
    for name in NAMES:
        expected = native.run(SOURCES, programs["native"], name, SCALE).checksum
        check(session.measured[name].checksum == expected, name, session.measured[name].checksum, "natively", expected)
        check(session.measured[name].wall > 0, name, "took no time")


if __name__ == "__main__":
    guest.main(globals())
