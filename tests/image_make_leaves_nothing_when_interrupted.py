#!/usr/bin/env python3
"""Ctrl-C, a kill and a hang-up remove what is half made; what a SIGKILL leaves, the next make removes."""

import pathlib
import signal
import time

from support import fake_mirror
from support.image_test import check, expect_failure, finish, home, make_tiny


def working_on(directory):
    """The processes that run in `directory` or below."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if pathlib.Path(process / "cwd").readlink().is_relative_to(directory):
                found.append(process.name)
        except OSError:
            pass
    return found


def interrupt_with(number, user, mirror):
    mirror.asked_for_package.clear()
    maker = user.start(*make_tiny(mirror))
    check(mirror.asked_for_package.wait(60), "no package was asked for")
    check(working_on(user.images), "apt is not at work")
    maker.send_signal(number)
    return finish(maker)


def wait_for_apt_to_end(user):
    deadline = time.monotonic() + 60
    while working_on(user.images):
        check(time.monotonic() < deadline, "apt goes on:", working_on(user.images))
        time.sleep(0.05)


with fake_mirror.mirror() as mirror, home() as user:
    mirror.hold.clear()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        expect_failure(interrupt_with(number, user, mirror), 1, ["interrupted; nothing was kept"])
        user.expect_nothing_left()
        check(not working_on(user.images), "apt goes on:", working_on(user.images))

    killed = interrupt_with(signal.SIGKILL, user, mirror)
    check(killed.returncode == -signal.SIGKILL, killed.returncode)
    wait_for_apt_to_end(user)
    check(user.list() == [], user.list())
    mirror.hold.set()
    user.succeed(*make_tiny(mirror))
    left = sorted(path.name for path in user.images.iterdir())
    check(left == [".lock", "tiny-riscv64"], left)
