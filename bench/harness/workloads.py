"""What the guest of the benchmarks of the translator runs, and what it boots from."""
import pathlib

from harness import debian, initramfs
from harness.failure import fail
from harness.machines import cache_folder

PROGRAMS = pathlib.Path(__file__).resolve().parent.parent / "programs"
PACKAGES = ("xz-utils", "gzip", "sqlite3", "python3", "openssl")
# One class, one boot: machines take turns within seconds, and a disturbance of the host meets all of them.
CLASSES = {
    "integer": ("mix", "sha256", "sort_hash"),
    "call/branch": ("bytecode", "fib"),
    "memory": ("chase", "memcpy", "triad"),
    "float": ("nbody", "mandelbrot", "matmul"),
    "processes": ("spawn", "spawn_dynamic"),
    "programs": ("xz", "gzip", "sqlite", "python", "openssl"),
}
NAMES = tuple(name for names in CLASSES.values() for name in names)
MEMORY_MIB = 1024  # what xz -9 needs


def make_initramfs(path, build, initrd, with_debian=False):
    """Of the image's initrd and own programs, with Debian's or without; {package: version} of those."""
    program = build / "bench" / "riscv64" / "bench"
    if not program.exists():
        fail(f"{program}: not built: riscv64-linux-gnu-gcc or its C library was not found when the build was configured")
    tree, versions = debian.tree_of(PACKAGES, cache_folder() / "bench") if with_debian else (None, {})
    initramfs.write(path, initrd, PROGRAMS, program, tree)
    return versions
