#!/usr/bin/env python3
"""doppel cache ls and clear: nothing where nothing is, one line for what is damaged, and files that are no translations stay."""
import json

from support.cli_test import check, launcher

with launcher() as doppel:
    # Without a cache there is nothing, and nothing is made.
    check(doppel.succeed("cache", "ls") == "", "not empty")
    check(json.loads(doppel.succeed("cache", "ls", "--json")) == [], "not empty")
    check(doppel.succeed("cache", "clear") == "0 B freed\n", "something was freed")
    check(not (doppel.folder / "cache").exists(), "the cache was made")

    for place, options in ((doppel.folder / "cache" / "doppel" / "translations", ()),
                           (doppel.folder / "elsewhere", ("--translation-cache", "elsewhere"))):
        place.mkdir(mode=0o700, parents=True)
        (place / "0123456789abcdef.code").write_bytes(b"x" * 1000)
        (place / "0123456789abcdef.code").chmod(0o600)
        (place / "notes").write_text("not a translation")
        doppel.fail("cache", "ls", *options, code=1, says="it is no file of translations")
        done = doppel.run("cache", "--json", *options, "ls")
        check(done.returncode == 1 and done.stdout == "[]\n" and done.stderr.count("\n") == 1, done)
        check(json.loads(doppel.succeed("cache", "clear", "--json", *options)) == {"freed_bytes": 1000}, "not freed")
        check(sorted(path.name for path in place.iterdir()) == [".lock", "notes"], list(place.iterdir()))
        check(doppel.succeed("cache", "ls", *options) == "", "not empty")

    doppel.fail("cache", code=2, says="its verb is missing")
    doppel.fail("cache", "lss", code=2, says="did you mean ls?")
    doppel.fail("cache", "ls", "more", code=2)
    doppel.fail("cache", "ls", "--translation-cache", "", code=2, says="its value is empty")
    doppel.fail("cache", "clear", "--sizes", code=2, says="no such option")
    check("Example: doppel cache ls" in doppel.succeed("cache", "ls", "--help"), "no example")
    check("clear" in doppel.succeed("help", "cache"), "no verbs")
