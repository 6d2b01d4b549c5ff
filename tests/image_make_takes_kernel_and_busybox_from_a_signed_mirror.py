#!/usr/bin/env python3
"""A good mirror gives an image whose record says what it is made of."""

import hashlib
import json
import os
import pathlib
import sys

from support import fake_mirror
from support.image_test import check, home, make_tiny


def names_in_newc(archive):
    """The names in a cpio archive: Linux, Documentation/driver-api/early-userspace/buffer-format."""
    names, at = [], 0
    while True:
        check(archive[at:at + 6] == b"070701", "no header at", at)
        size, name_size = (int(archive[at + 6 + 8 * field:at + 14 + 8 * field], 16) for field in (6, 11))
        name = archive[at + 110:at + 110 + name_size - 1].decode()
        if name == "TRAILER!!!":
            return names
        names.append(name)
        at += (110 + name_size + 3) // 4 * 4
        at += (size + 3) // 4 * 4


with fake_mirror.mirror() as mirror, home() as user:
    output = user.succeed(*make_tiny(mirror))
    check(fake_mirror.KERNEL_VERSION in output, output)
    image = user.images / "tiny-riscv64"
    check(sorted(os.listdir(image)) == ["image.json", "initrd", "kernel"], os.listdir(image))
    check((image / "kernel").read_bytes() == fake_mirror.KERNEL, "another kernel")

    record = json.loads((image / "image.json").read_text())
    check(record["name"] == "tiny" and record["arch"] == "riscv64" and record["kind"] == "machine", record)
    check(record["kernel_version"] == fake_mirror.KERNEL_VERSION, record)
    # The agent is built where there is a compiler for the guest.
    agent = pathlib.Path(sys.argv[1]).resolve().parent / "agent-riscv64"
    with_agent = {"doppel-agent": hashlib.sha256(agent.read_bytes()).hexdigest()} if agent.exists() else {}
    check(len(record["packages"].pop("doppel-recipe")) == 16, record)
    check(record["packages"] == with_agent | {f"linux-image-{fake_mirror.KERNEL_VERSION}": "6.99.0-1", "busybox-static": "1:1.99.0-1"}, record)
    for name in ("kernel", "initrd"):
        content = (image / name).read_bytes()
        expected = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        check(record["files"][name] == expected, name, record["files"][name])

    names = names_in_newc((image / "initrd").read_bytes())
    check(("bin/doppel-agent" in names) == bool(with_agent), names)
    check({"init", "bin/busybox", "bin/sh", "dev/console"} <= set(names), names)
    check(f"lib/modules/{fake_mirror.KERNEL_VERSION}/{fake_mirror.MODULE}" in names, names)
    check(sorted(os.listdir(user.images)) == [".lock", "tiny-riscv64"], os.listdir(user.images))
