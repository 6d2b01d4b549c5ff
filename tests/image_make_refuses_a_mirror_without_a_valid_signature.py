#!/usr/bin/env python3
"""Unsigned, changed after signing, or signed by a stranger: refused."""

from support import fake_mirror
from support.image_test import home, make_tiny

with fake_mirror.mirror() as mirror:
    genuine = mirror.release.read_bytes()

    def expect_refusal(*says):
        with home() as user:
            user.fail(*make_tiny(mirror), says=["fetch package index", mirror.address, *says])
            user.expect_nothing_left()

    mirror.release.write_bytes(genuine.replace(b"Codename: fake", b"Codename: evil"))
    expect_refusal("no valid signature by a key in", str(mirror.key.keyring))

    stranger = fake_mirror.Key(mirror.folder / "stranger")
    mirror.publish(key=stranger)
    stranger.close()
    expect_refusal("no valid signature by a key in")

    mirror.release.unlink()
    (mirror.release.parent / "Release").write_bytes(mirror.release_text())
    expect_refusal("is not signed")
