#!/usr/bin/env python3
"""ls shows an image in a table and as JSON, rm removes it, and both refuse what cannot be."""

import json

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

    (record,) = json.loads(user.succeed("inspect", "tiny"))
    check(record["name"] == "tiny" and record["directory"] == str(user.images / "tiny-riscv64") and "kernel" in record["files"], record)
    user.fail("inspect", "other", says=["find image: other"])
    user.fail("export", "tiny", user.images / "tiny.raw", says=["it has no disk"])

    user.succeed("tag", "tiny", "other:1")
    check([one["name"] for one in user.list()] == ["other:1", "tiny"], user.list())
    user.fail("tag", "tiny", "other:1", says=["there is one of that name"])
    user.fail("tag", "nothing", "other:2", says=["there is no image of that name"])
    for wrong in ("../x", "debian", "tiny", "a:b:c"):
        user.fail("tag", "tiny", wrong, code=2)
    user.succeed("rm", "other:1")

    user.fail("rm", "other", says=["there is no image of that name", "doppel image ls"])
    user.fail("rm", "../images/tiny", code=2, says=["not an image's name"])
    user.succeed("rm", "tiny")
    check(user.list() == [], user.list())
    user.expect_nothing_left()
    user.fail("rm", "tiny", says=["there is no image of that name"])
