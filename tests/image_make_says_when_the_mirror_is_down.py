#!/usr/bin/env python3
"""A mirror that does not answer, or lacks what is asked for, is one line with cause and cure."""

from support import fake_mirror
from support.image_test import check, home, make_tiny

with fake_mirror.mirror() as mirror, home() as user:
    user.fail(*make_tiny(mirror, "--suite", "nosuch"), says=["does not have it (suite nosuch)", "--suite"])

    down = fake_mirror.Mirror(mirror.folder / "down")
    down.serve()
    down.stop_serving()
    down.key.close()
    user.fail(*make_tiny(down), says=[down.address, "cannot be reached", "--mirror"])

    # The environment names a mirror too, and the option has the last word.
    user.environment["DOPPEL_MIRROR"] = down.address
    user.fail("make", "tiny", "--keyring", mirror.key.keyring, says=[down.address, "cannot be reached"])
    user.expect_nothing_left()
    user.succeed(*make_tiny(mirror))
    check(len(user.list()) == 1, user.list())
