#!/usr/bin/env python3
"""Two makers at once: one makes, the other says that it waits, and both have the image."""

from support import fake_mirror
from support.image_test import check, finish, home, make_tiny

with fake_mirror.mirror() as mirror, home() as user:
    mirror.hold.clear()
    first = user.start(*make_tiny(mirror))
    check(mirror.asked_for_package.wait(60), "no package was asked for")
    second = user.start(*make_tiny(mirror))
    line = second.stderr.readline()
    check("waiting" in line, line)
    mirror.hold.set()
    for maker in (first, second):
        done = finish(maker)
        check(done.returncode == 0, done.stderr)
    check(len(mirror.packages_asked_for()) == 2, mirror.packages_asked_for())
    check(len(user.list()) == 1, user.list())
