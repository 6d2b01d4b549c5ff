#!/usr/bin/env python3
"""The verbs that take a terminal: console, shell and exec -t."""
import hashlib
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import check  # noqa: E402
from support.instances import Terminal, forever, instances  # noqa: E402


def interrupt(terminal):
    """Ctrl-C, until there is a prompt: a shell that has not made its program the foreground yet lets it live."""
    deadline = time.monotonic() + guest.PATIENCE
    while not re.search(guest.PROMPT, terminal.seen[terminal.at:]):
        check(time.monotonic() < deadline, "nothing is interrupted:", terminal.tail())
        terminal.send("\x03")
        until = time.monotonic() + 2
        while time.monotonic() < until and not re.search(guest.PROMPT, terminal.seen[terminal.at:]):
            terminal.read(0.1)
    terminal.expect(guest.PROMPT)


def test_the_console_is_entered_and_left_and_the_machine_goes_on():
    guest.tiny()
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", "tiny")
        some.wait_for_log("dev", "tiny:~# ")
        for round_number in range(2):
            with Terminal(some, "console", "dev") as console:
                console.expect(b"Ctrl-\\] leaves it")
                console.send("\r")
                console.expect(guest.PROMPT)
                check(console.terminal_mode() != console.mode_before, "the terminal is not raw")
                check(console.ask(f"echo round-{round_number}").endswith(f"round-{round_number}"), "no answer")
                console.send("echo sta''rted; sleep 1000\r")
                console.expect(b"started")
                interrupt(console)  # the guest's, not doppel's
                console.send("\x1d")
                console.expect(b"goes on")
                console.ends_with(0)
                console.expect_terminal_restored()
        check("round-0" in some.succeed("logs", "dev") and some.state_of("dev") == "running", "the log")


def test_the_console_ends_with_the_machine():
    guest.tiny()
    with instances() as some:
        with Terminal(some, "run", "--name", "dev", "tiny") as console:
            console.expect(guest.PROMPT)
            with Terminal(some, "console", "dev") as second:
                second.send("\r")
                second.expect(guest.PROMPT)
                second.send("poweroff\r")
                console.ends_with(0)
                second.ends_with(0)
                for one in (console, second):
                    one.expect_terminal_restored()
        some.expect_nothing_runs()
        some.fail("console", "dev", says="it is stopped.*doppel start dev")


def test_a_machine_goes_on_when_who_ran_it_leaves():
    guest.tiny()
    with instances() as some:
        with Terminal(some, "run", "--name", "dev", "tiny") as console:
            console.expect(guest.PROMPT)
            console.send("\x1d")
            console.expect(b"doppel console dev comes back")
            console.ends_with(0)
        check(some.succeed("exec", "dev", "echo", "on") == "on\n", "it ended")
        some.succeed("kill", "dev")


def test_a_mebibyte_pasted_into_the_console_arrives_whole():
    guest.tiny()
    with instances() as some:
        with Terminal(some, "run", "--name", "dev", "tiny") as console:
            console.expect(guest.PROMPT)
            lines = [f"{number:05} " + "äöü€" * 10 + "\n" for number in range(12000)]
            text = "".join(lines).encode()
            check(len(text) > 1 << 20, "the text is too short")
            console.send("stty -echo; echo rea''dy; cat > /tmp/pasted; stty echo; wc -c < /tmp/pasted; sha256sum < /tmp/pasted; echo do''ne\r")
            console.expect(b"ready\r\n")
            console.type_much(text + b"\x04")
            answer = console.expect(rb"(\d+)\r\n([0-9a-f]{64})  -\r\ndone\r\n")
            check(int(answer.group(1)) == len(text), "arrived:", answer.group(1), "of", len(text))
            check(answer.group(2).decode() == hashlib.sha256(text).hexdigest(), "what arrived is not what was sent")


def test_a_shell_has_the_terminals_size_its_keys_and_its_characters():
    guest.tiny()
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", "tiny")
        with Terminal(some, "shell", "dev", size=(40, 120)) as shell:
            shell.expect(guest.PROMPT)
            check(shell.ask("stty size").endswith("40 120"), "the size")
            shell.resize(33, 99)
            shell.send("while test \"$(stty size)\" != '33 99'; do sleep 0.1; done; echo re''sized\r")
            shell.expect(b"resized")
            shell.expect(guest.PROMPT)
            shell.send("echo sta''rted; sleep 1000\r")
            shell.expect(b"started\r\n")
            interrupt(shell)
            check(shell.ask("printf '%s' 'grüße €' | wc -c").endswith("11"), "the characters")
            shell.send("exit 7\r")
            shell.ends_with(7)
            shell.expect_terminal_restored()


def test_top_shows_what_runs_until_it_is_left():
    with instances() as some:
        some.fail("top", says="no terminal")
        some.succeed("run", "-d", "--name", "dev", *forever())
        with Terminal(some, "top") as top:
            top.expect(rb"Name +state +Cpu%.*dev +running")
            top.send("n")
            top.expect(b"sorted by n")
            top.send("q")
            top.ends_with(0)
            top.expect_terminal_restored()


def test_the_log_is_followed_to_the_end():
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", *forever())
        with Terminal(some, "logs", "-f", "dev") as log:
            log.expect(b"waiting")
            some.succeed("kill", "dev")
            log.ends_with(0)
        check(some.succeed("logs", "-n", "1", "dev").strip() == "waiting", "the last line")


if __name__ == "__main__":
    guest.main(globals())
