#!/usr/bin/env python3
"""Wrong usage is one line that names the option, and exit code 2."""

from support.cli_test import launcher

with launcher() as doppel:
    for says, *arguments in (("a verb is missing",), ("did you mean run?", "rnu"), ("no such verb", "elephant"), ("nothing to run", "run"),
                             ("--cpus", "run", "--cpus", "0", "tiny"), ("--cpus", "run", "--cpus", "1000", "tiny"),
                             ("--cpus", "run", "--cpus", "two", "tiny"), ("--memory", "run", "--memory", "1K", "tiny"),
                             ("--memory", "run", "--memory", "99999999999999999999", "tiny"), ("--memory", "run", "--memory"),
                             ("did you mean --memory?", "run", "--memroy", "1G", "tiny"), ("--arch", "run", "--arch", "z80", "tiny"),
                             ("--engine", "run", "--engine", "steam", "tiny"), ("--console", "run", "--console", "tty", "tiny"),
                             ("-t", "run", "-t", "tiny"), ("--json", "run", "--json", "tiny"), ("--as", "run", "--as", "cloud", "tiny"),
                             ("not expected", "version", "now"), ("no such shell", "completion", "tcsh"), ("no such verb", "help", "elephant"),
                             ("its verb is missing", "image"), ("did you mean make?", "image", "mkae")):
        doppel.fail(*arguments, code=2, says=says)
