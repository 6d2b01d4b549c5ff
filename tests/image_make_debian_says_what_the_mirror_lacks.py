#!/usr/bin/env python3
"""A mirror without a Debian's packages, or without a signature, is one line, and leaves nothing."""

from support import fake_mirror
from support.image_test import home

with fake_mirror.mirror() as mirror:
    def expect_refusal(*says):
        with home() as user:
            user.fail("make", "debian", "--suite", "stable", "--mirror", mirror.address, "--keyring", mirror.key.keyring, says=says)
            user.expect_nothing_left()

    expect_refusal("find packages")
    mirror.release.unlink()
    expect_refusal("fetch package index", mirror.address)
