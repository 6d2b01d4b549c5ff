#!/usr/bin/env python3
"""The completion script, sourced by bash, offers verbs, options, choices and files; zsh and fish accept theirs where they are installed."""

import os
import shutil
import subprocess

from support.cli_test import check, launcher


def complete(doppel, *words):
    """What bash offers for the last of `words`."""
    line = " ".join(f"'{word}'" for word in ("doppel", *words))
    script = (f"source <('{doppel.program}' completion bash); COMP_WORDS=({line}); COMP_CWORD={len(words)}; _doppel; "
              "((${#COMPREPLY[@]})) && printf '%s\\n' \"${COMPREPLY[@]}\"; complete -p doppel >&2")
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, cwd=doppel.folder, timeout=60,
                          env=os.environ | {"PATH": f"{doppel.program.parent}:{os.environ['PATH']}"})
    check("_doppel doppel" in done.stderr and "rror" not in done.stderr, done)
    return set(done.stdout.splitlines())


with launcher() as doppel:
    (doppel.folder / "Image with space").touch()
    check(complete(doppel, "ru") == {"run"})
    check(complete(doppel, "") >= {"run", "image", "disk", "cache", "doctor", "completion", "version", "help", "ls", "exec"})
    check(complete(doppel, "snap") == set())
    doppel.put_beside("doppel-instance", "import sys; print('gone' if '--deleted' in sys.argv else 'dev\\ndata\\nmail')")
    check(complete(doppel, "stop", "d") == {"dev", "data"})
    check(complete(doppel, "undelete", "") == {"gone"})
    check(complete(doppel, "rm", "--") == {"--help", "--force", "--now"})
    check(complete(doppel, "run", "--me") == {"--memory", "--memory-limit"})
    check(complete(doppel, "run", "--engine", "") == {"auto", "translate", "interpret", "check"})
    check(complete(doppel, "run", "--irqchip", "") == {"aia", "plic"})
    check(complete(doppel, "run", "--console", "s") == {"stdio", "socket:"})
    check(complete(doppel, "run", "--trace", "") == {"insn", "mem", "irq", "trap", "sbi", "translate"})
    check(complete(doppel, "run", "--kernel", "Im") == {"Image with space"})
    check(complete(doppel, "run", "--cpus", "") == set())
    check(complete(doppel, "run", "ti") == {"tiny"})
    check(complete(doppel, "run", "Im") == {"Image with space"})
    check(complete(doppel, "image", "m") == {"make"})
    check(complete(doppel, "image", "make", "") == {"debian", "tiny"})
    check(complete(doppel, "disk", "con") == {"convert"})
    check(complete(doppel, "cache", "") == {"ls", "clear"})
    check(complete(doppel, "cache", "ls", "--j") == {"--json"})
    check(complete(doppel, "run", "--translation-cache", "Im") == {"Image with space"})
    check(complete(doppel, "completion", "f") == {"fish"})
    check(complete(doppel, "doctor", "--") == {"--help", "--json"})
    for shell, check_only in (("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")):
        script = doppel.folder / f"completion.{shell}"
        script.write_text(doppel.succeed("completion", shell))
        if shutil.which(shell):
            done = subprocess.run([shell, check_only, script], capture_output=True, text=True, timeout=60)
            check(done.returncode == 0 and done.stderr == "", done)
