#!/usr/bin/env python3
"""The console on the user's terminal, and how it is left."""
import hashlib
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import Machine, booted, check  # noqa: E402


def test_ctrl_a_x_quits_with_0_and_the_terminal_is_restored():
    with booted() as machine:
        check(machine.terminal_mode() != machine.mode_before, "the terminal is not raw")
        machine.send(b"\x01x")
        machine.ends_with(0)
        machine.expect_terminal_restored()


def test_ctrl_a_x_quits_a_guest_that_reads_nothing():
    with Machine("--firmware", guest.program("spin")) as machine:
        machine.expect(rb"running")
        machine.send(b"x" * 3000 + b"\x01x")
        machine.ends_with(0)
        machine.expect_terminal_restored()


def test_ctrl_a_h_prints_help_and_the_guest_sees_none_of_it():
    with booted() as machine:
        machine.send(b"echo a\x01hb\r")
        machine.expect(rb"Ctrl-A x +quit")
        machine.expect(rb"\nab\r")


def test_ctrl_c_interrupts_the_guests_command_and_not_the_machine():
    with booted() as machine:
        machine.send("echo sta''rted; sleep 1000\r")
        machine.expect(rb"started\r\n")
        machine.send(b"\x03")
        machine.expect(guest.PROMPT)
        check(machine.ask("echo on") == "on", "the shell does not go on")


def test_a_signal_restores_the_terminal_and_leaves_nothing():
    guest.tiny()
    guest.alone_with_temporary_folders()
    with guest.surroundings() as around:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            with Machine(*guest.tiny_arguments(), environment=around.environment) as machine:
                machine.expect(guest.PROMPT)
                guest.end_by_signal(machine, number)
                machine.expect_terminal_restored()
            around.expect_nothing_left()


def test_sigkill_leaves_no_process_and_no_file():
    guest.tiny()
    guest.alone_with_temporary_folders()
    with guest.surroundings() as around:
        with Machine(*guest.tiny_arguments(), "--cpus", "4", environment=around.environment) as machine:
            machine.expect(guest.PROMPT)
            guest.end_by_signal(machine, signal.SIGKILL)
        around.expect_nothing_left()


def test_a_closed_terminal_ends_the_machine():
    with guest.surroundings() as around:
        with Machine("--firmware", guest.program("wait_forever"), environment=around.environment) as machine:
            machine.expect(rb"waiting")
            for descriptor in (machine.slave, machine.master):
                os.close(descriptor)
            machine.master = machine.slave = None
            machine.process.wait(guest.PATIENCE)
            check(machine.process.returncode == 128 + signal.SIGHUP, "exit code", machine.process.returncode)
        around.expect_nothing_left()


def test_four_kib_pasted_at_once_arrive_whole():
    with booted() as machine:
        # Lines as long as a tty takes, without echo, so that only the result comes back.
        lines = [f"{number:03} " + "abcdefghij" * 12 + "\n" for number in range(34)]
        text = "".join(lines)
        check(len(text) > 4096, "the text is too short")
        machine.send("stty -echo; echo rea''dy; cat > /tmp/pasted; stty echo; wc -c < /tmp/pasted; sha256sum < /tmp/pasted; echo do''ne\r")
        machine.expect(rb"ready\r\n")
        machine.send(text + "\x04")
        answer = machine.expect(rb"(\d+)\r\n([0-9a-f]{64})  -\r\ndone\r\n")
        check(int(answer.group(1)) == len(text), "arrived:", answer.group(1), "of", len(text))
        check(answer.group(2).decode() == hashlib.sha256(text.encode()).hexdigest(), "what arrived is not what was sent")


if __name__ == "__main__":
    guest.main(globals())
