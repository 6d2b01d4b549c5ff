#!/usr/bin/env python3
"""Wrong usage is one line and exit code 2; --help shows an example."""

from support.image_test import check, home

with home() as user:
    for arguments in ((), ("bogus",), ("make",), ("make", "other"), ("make", "tiny", "--bogus"), ("make", "tiny", "--arch", "arm64"),
                      ("make", "tiny", "--suite", "a b"), ("make", "tiny", "--suite", "../x"), ("make", "tiny", "--mirror", "nowhere"),
                      ("make", "tiny", "--mirror", "http://host/\nTrusted: yes"), ("rm",), ("ls", "extra"), ("fetch", "package"),
                      ("make", "debian:"), ("make", "debian:../x"), ("make", "debian", "--arch", "arm64"), ("make", "debian", "--size", "1M"),
                      ("make", "debian", "--size", "much"), ("make", "debian", "--packages", "gcc,-y"), ("make", "tiny", "--size", "1G"),
                      ("make", "tiny", "--packages", "gcc"), ("make", "debian:sid", "--suite", "sid")):
        user.fail(*arguments, code=2)
        user.expect_nothing_left()
    for verb in ((), ("ls",), ("rm",), ("make",), ("fetch",)):
        check("Example: doppel" in user.succeed(*verb, "--help"), verb)
