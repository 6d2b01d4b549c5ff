#!/usr/bin/env python3
"""A plain user makes an image."""

import os
import shutil

from support import fake_mirror
from support.image_test import DOPPEL_IMAGE, check, home, make_tiny
from support.verdict import skip

NOBODY = 65534

with fake_mirror.mirror() as mirror, home() as user:
    prefix = ()
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            skip("setpriv is not installed")
        prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")
        # What root made for itself, others may not see.
        mirror.folder.chmod(0o755)
        mirror.key.home.chmod(0o755)
        mirror.key.keyring.chmod(0o644)
        os.chown(user.cache, NOBODY, NOBODY)
        program = user.cache / "doppel-image"  # the build tree may be out of reach
        shutil.copy(DOPPEL_IMAGE, program)
        program.chmod(0o755)
        user.program = program
    user.succeed(*make_tiny(mirror), prefix=prefix)
    image = user.images / "tiny-riscv64"
    check((image / "kernel").read_bytes() == fake_mirror.KERNEL, "another kernel")
    if os.geteuid() == 0:
        check((image / "kernel").stat().st_uid == NOBODY, "not made by a plain user")
