#!/usr/bin/env python3
"""fetch writes one verified file, replaces an older one, and keeps it when it fails."""

from support import fake_mirror
from support.image_test import check, home

with fake_mirror.mirror() as mirror, home() as user:
    tool = user.cache / "new folder" / "tool"

    def fetch(package, member):
        # Straight from a directory: such mirrors exist.
        return ("fetch", "--arch", "riscv64", "--mirror", f"file:{mirror.root}", "--keyring", mirror.key.keyring, package, member, tool)

    output = user.succeed(*fetch("busybox-static", "usr/bin/busybox"))
    check(output == "busybox-static 1:1.99.0-1\n", output)
    check(tool.read_bytes() == fake_mirror.BUSYBOX and tool.stat().st_mode & 0o777 == 0o755, "another file")

    tool.write_bytes(b"old")
    user.fail(*fetch("busybox-static", "usr/bin/other"), says=["is not in it"])
    user.fail(*fetch("no-such-package", "x"), says=["no-such-package", "has no such package"])
    user.fail(*fetch("--option", "x"), code=2)
    check(tool.read_bytes() == b"old", "the old file is gone")
    user.succeed(*fetch("busybox-static", "usr/bin/busybox"))
    check(tool.read_bytes() == fake_mirror.BUSYBOX, "the old file stayed")
    left = sorted(path.name for path in tool.parent.iterdir())
    check(left == [".lock", "tool"], left)
