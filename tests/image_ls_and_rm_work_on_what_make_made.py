#!/usr/bin/env python3
"""ls shows an image in a table and as JSON, rm removes it, and both refuse what cannot be."""

from support import fake_mirror
from support.image_test import check, home, make_tiny

with fake_mirror.mirror() as mirror, home() as user:
    check(user.list() == [], user.list())
    check(user.succeed("ls") == "", "a table of nothing")
    user.expect_nothing_left()

    user.succeed(*make_tiny(mirror))
    (image,) = user.list()
    check(sorted(image) == ["arch", "created", "description", "kind", "name", "size"], image)
    check((image["name"], image["arch"], image["kind"]) == ("tiny", "riscv64", "machine"), image)
    check(image["size"] == sum((user.images / "tiny-riscv64" / name).stat().st_size for name in ("kernel", "initrd")), image)
    header, row = user.succeed("ls").splitlines()
    check(header.split()[:3] == ["NAME", "ARCH", "KIND"] and row.split()[:3] == ["tiny", "riscv64", "machine"], header, row)

    user.fail("rm", "other", says=["there is no image of that name", "doppel image ls"])
    user.fail("rm", "../images/tiny", code=2, says=["not an image's name"])
    user.succeed("rm", "tiny")
    check(user.list() == [], user.list())
    user.expect_nothing_left()
    user.fail("rm", "tiny", says=["there is no image of that name"])
