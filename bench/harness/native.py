"""The same workloads on the host itself, with its own programs of the distribution."""
import pathlib
import platform
import subprocess
import tempfile

from harness.failure import fail
from harness.guest import LINE, Measured

# Of workloads that are made of the distribution's programs: the program and the package that says its version.
PROGRAMS = {"spawn_dynamic": ("/usr/bin/gzip", "gzip"), "xz": ("/usr/bin/xz", "xz-utils"), "gzip": ("/usr/bin/gzip", "gzip"),
            "sqlite": ("/usr/bin/sqlite3", "sqlite3"), "python": ("/usr/bin/python3", "python3"),
            "openssl": ("/usr/bin/openssl", "openssl")}


def can_run(name):
    return platform.machine() == "x86_64" and (name not in PROGRAMS or pathlib.Path(PROGRAMS[name][0]).exists())


def run(programs, program, name, scale):
    """`programs` is the folder of the sources, `program` what they were compiled to."""
    with tempfile.TemporaryDirectory(prefix="doppel-bench-") as folder:
        done = subprocess.run([programs / "workload", program, name, str(scale)], cwd=folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
    found = LINE.search(done.stdout)
    if done.returncode != 0 or not found:
        fail(f"{name}: on the host: ended with {done.returncode}: {done.stderr.strip()}")
    return Measured(int(found["ns"]) / 1e9, int(found["cpu_ns"]) / 1e9, found["checksum"])


def versions():
    """{package: version} of what the host has."""
    packages = sorted({package for _, package in PROGRAMS.values()})
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *packages], capture_output=True, text=True,
                          check=False)
    return dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
