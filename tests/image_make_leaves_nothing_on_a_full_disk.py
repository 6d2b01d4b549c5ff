#!/usr/bin/env python3
"""No room: refused before anything is fetched where that is known, and cleaned up where it is not."""

import contextlib
import os
import subprocess
import tempfile

from support import fake_mirror
from support.image_test import Home, check, make_tiny
from support.verdict import skip

if os.geteuid() != 0:
    skip("a small file system can only be mounted by root")


@contextlib.contextmanager
def small_disk(size):
    with tempfile.TemporaryDirectory(prefix="dpl-") as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "doppel-test", folder], capture_output=True, text=True)
        if mounted.returncode != 0:
            skip(f"a small file system cannot be mounted here: {mounted.stderr}")
        try:
            yield Home(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


# The kernel's size shows only when it is unpacked.
with fake_mirror.mirror(kernel=bytes(120 << 20)) as mirror:
    with small_disk("10m") as user:
        user.fail(*make_tiny(mirror), says=["make image", "MiB are free", "needed; free some space there"])
        check(not mirror.requests, "asked for", mirror.requests)
        user.expect_nothing_left()
    with small_disk("110m") as user:
        user.fail(*make_tiny(mirror), says=["kernel", "No space left on device", "free some space there"])
        check(mirror.packages_asked_for(), "the disk was full too early for this test")
        user.expect_nothing_left()
