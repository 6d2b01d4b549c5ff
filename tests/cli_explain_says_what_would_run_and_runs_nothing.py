#!/usr/bin/env python3
"""--explain prints level, architecture, engine and why; nothing is started, made or read."""

import json

from support.cli_test import check, launcher

with launcher() as doppel:
    fastest = "translate" if "translate" in doppel.succeed("run", "--explain", "tiny") else "interpret"
    for engine, *arguments in ((fastest, "tiny"), (fastest, "debian"), (fastest, "debian:sid"), (fastest, "--kernel", "none"), (fastest, "--firmware", "none"),
                               ("interpret", "--arch", "riscv64", "--engine", "interpret", "tiny")):
        text = doppel.succeed("run", "--explain", *arguments)
        check([line.split()[:2] for line in text.splitlines()] ==
              [["level", "machine"], ["architecture", "riscv64"], ["engine", engine]], text)
        answer = json.loads(doppel.succeed("run", "--explain", "--json", *arguments))
        check({key: answer[key] for key in ("level", "arch", "engine")} ==
              {"level": "machine", "arch": "riscv64", "engine": engine}, answer)
        check(all(answer["why"][key] for key in ("level", "arch", "engine")), answer)
    check(json.loads(doppel.succeed("run", "--explain", "--json", "--arch", "riscv64", "tiny"))["why"]["arch"] == "asked by --arch")
    check(not (doppel.folder / "cache").exists(), "the cache was made")
