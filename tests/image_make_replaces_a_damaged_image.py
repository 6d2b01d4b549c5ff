#!/usr/bin/env python3
"""An image that lost a file is made anew without being asked to."""

from support import fake_mirror
from support.image_test import check, home, make_tiny

with fake_mirror.mirror() as mirror, home() as user:
    user.succeed(*make_tiny(mirror))
    (user.images / "tiny-riscv64" / "kernel").write_bytes(b"cut")
    user.fail("ls", says=["kernel", "size", "doppel image rm tiny"])
    user.succeed(*make_tiny(mirror))
    check((user.images / "tiny-riscv64" / "kernel").read_bytes() == fake_mirror.KERNEL, "still damaged")
    check(len(user.list()) == 1, user.list())
