#!/usr/bin/env python3
"""help and version work with no other executable, no home and no cache; help of each verb shows an example; a full disk is noticed."""

import json
import subprocess

from support.cli_test import check, launcher

with launcher() as doppel:
    for variable in ("HOME", "XDG_CACHE_HOME"):
        doppel.environment.pop(variable, None)
    version = doppel.succeed("version")
    check(version.startswith("doppel ") and version == doppel.succeed("--version"), version)
    check(version == "doppel " + json.loads(doppel.succeed("version", "--json"))["version"] + "\n")
    overview = doppel.succeed("help")
    check(overview == doppel.succeed("--help") == doppel.succeed("-h"))
    for verb in ("run", "image", "doctor", "completion", "version", "help"):
        check(f"  {verb} " in overview, overview)
        text = doppel.succeed(verb, "--help")
        check(text == doppel.succeed("help", verb) and "Example: " in text, text)
    check("--no-reboot" in doppel.succeed("run", "--volume", "v", "--help"), "--help after an option that is not built")
    with open("/dev/full", "w") as full:
        done = subprocess.run([doppel.program, "help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    check(done.returncode == 1 and "No space left" in done.stderr, done)
