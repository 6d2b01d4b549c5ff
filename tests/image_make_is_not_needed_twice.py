#!/usr/bin/env python3
"""A second make asks the mirror for nothing; --refresh makes the image anew."""

from support import fake_mirror
from support.image_test import check, home, make_tiny

with fake_mirror.mirror() as mirror, home() as user:
    user.succeed(*make_tiny(mirror))
    asked = len(mirror.requests)
    check(asked > 0, "nothing was asked for")
    user.succeed(*make_tiny(mirror))
    check(len(mirror.requests) == asked, mirror.requests[asked:])

    before = (user.images / "tiny-riscv64").stat().st_ino
    user.succeed(*make_tiny(mirror, "--refresh"))
    check(len(mirror.requests) > asked, "--refresh asked for nothing")
    check((user.images / "tiny-riscv64").stat().st_ino != before, "the old image is still there")
