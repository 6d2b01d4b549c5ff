#!/usr/bin/env python3
"""An index that is not the one of the signed Release file is refused."""

from support import fake_mirror
from support.image_test import home, make_tiny

with fake_mirror.mirror() as mirror:
    genuine = mirror.index.read_bytes()
    for content in (genuine.replace(b"1:1.99.0-1", b"1:1.98.0-1"), genuine + b"\nPackage: more\n"):
        mirror.index.write_bytes(content)
        with home() as user:
            user.fail(*make_tiny(mirror), says=["fetch package index", "is not what the signed index says"])
            user.expect_nothing_left()
