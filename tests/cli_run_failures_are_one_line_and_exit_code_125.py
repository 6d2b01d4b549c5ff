#!/usr/bin/env python3
"""What cannot be run, or is not built yet, is one line and exit code 125; an unreadable file is named."""

import os

from support.cli_test import launcher

with launcher() as doppel:
    (doppel.folder / "guest").write_text("#!/bin/sh\n")
    (doppel.folder / "words").write_text("words")
    os.mkfifo(doppel.folder / "fifo")
    for says, *arguments in (("not built yet", "snapshot", "x"), ("not built yet", "disk", "serve"), ("not built yet", "image", "build"),
                             ("not built yet", "run", "--volume", "v:/d", "tiny"), ("not built yet", "run", "--hostname", "x", "tiny"),
                             ("not built yet", "run", "--engine", "kvm", "tiny"), ("not built yet", "run", "--arch", "x86_64", "tiny"),
                             ("not built yet", "run", "--as", "container", "tiny"), ("not built yet", "run", "--as", "container", "./"),
                             ("a script", "run", "./guest"), ("unknown content", "run", "./words"), ("neither", "run", "./fifo"),
                             ("say ./guest", "run", "guest"), ("no image of that name", "run", "nothing"),
                             ("read kernel: ./none", "run", "--kernel", "./none"), ("read kernel: bin", "run", "--kernel", "bin"), ("not a regular file", "run", "--kernel", "fifo"),
                             ("read initrd: ./none", "run", "--kernel", "words", "--initrd", "./none"),
                             ("read firmware: ./none", "run", "--firmware", "./none"),
                             ("side by side", "run", "--kernel", "words"), ("side by side", "run", "tiny")):
        doppel.fail(*arguments, code=125, says=says)
