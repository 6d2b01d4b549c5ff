#!/usr/bin/env python3
"""A package that is not the one of the signed index is refused: changed, longer, or cut short."""

from support import fake_mirror
from support.image_test import home, make_tiny

with fake_mirror.mirror() as mirror:
    genuine = mirror.kernel_deb.read_bytes()
    changed = genuine[:-20] + bytes([genuine[-20] ^ 1]) + genuine[-19:]
    for content in (changed, genuine + b"x", genuine[:-1]):
        mirror.kernel_deb.write_bytes(content)
        with home() as user:
            user.fail(*make_tiny(mirror), says=["download package", ".deb", "is not what the signed index says", "--mirror"])
            user.expect_nothing_left()
