#!/usr/bin/env python3
"""Booting, ending and rebooting."""
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import Machine, booted, check  # noqa: E402


def test_the_guest_reaches_its_shell_with_one_hart():
    with booted("--cpus", "1") as machine:
        check(machine.ask("nproc") == "1", "nproc")
        check(machine.ask("uname -m") == "riscv64", "uname -m")


def test_the_guest_reaches_its_shell_with_four_harts():
    with booted("--cpus", "4") as machine:
        check(machine.ask("nproc") == "4", "nproc")
        # Each of them runs something.
        for hart in range(4):
            check(machine.ask(f"taskset {1 << hart:x} sh -c 'echo $((6 * 7))'").endswith("42"), "hart", hart)


def test_the_guest_reaches_its_shell_with_sixteen_harts():
    with booted("--cpus", "16", "--memory", "1G") as machine:
        check(machine.ask("nproc") == "16", "nproc")


def test_a_command_runs_and_poweroff_ends_with_0():
    with booted() as machine:
        code, output = machine.shell("echo six times seven is $((6 * 7)); false")
        check((code, output) == (1, "six times seven is 42\n"), code, output)
        machine.send("poweroff\r")
        machine.ends_with(0)
        machine.expect_terminal_restored()


def test_the_end_of_the_shell_ends_the_machine_with_0():
    with booted() as machine:
        machine.send("exit\r")
        machine.ends_with(0)


def test_the_guest_reboots():
    with booted("--cpus", "2") as machine:
        machine.ask("echo here > /run/was")
        for _ in range(2):
            machine.send("reboot\r")
            machine.expect(rb"Restarting system")
            machine.expect(guest.PROMPT)
            machine.ask("test ! -e /run/was")
            check(machine.ask("nproc") == "2", "nproc")
        machine.send("poweroff\r")
        machine.ends_with(0)


def test_no_reboot_ends_with_0_when_the_guest_reboots():
    with booted("--no-reboot") as machine:
        machine.send("reboot\r")
        machine.ends_with(0)


def test_a_reset_loads_the_program_anew():
    with Machine("--firmware", guest.program("reset_by_key")) as machine:
        for _ in range(50):
            machine.expect(rb"start 1 of 1\r?\n")
            machine.send("r")
        machine.expect(rb"start 1 of 1\r?\n")
        machine.send(".")
        machine.ends_with(0)


def test_the_kernel_log_shows_no_warning():
    with booted("--cpus", "4", "--append", "loglevel=7") as machine:
        machine.ask("sleep 1")
        log = machine.ask("dmesg")
        check("Linux version" in log, "no kernel log:", log)
        wrong = [line for line in log.splitlines()
                 if any(word in line for word in ("BUG", "WARNING:", "Oops", "rcu: INFO", "stall", "soft lockup", "Call Trace",
                                                  "nobody cared", "Unable to handle", "segfault", "unhandled signal"))]
        check(not wrong, "\n".join(wrong))
        check(machine.ask("cat /proc/sys/kernel/tainted") == "0", "the kernel is tainted")


def test_a_signal_ends_the_machine_with_128_and_its_number():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        with Machine("--firmware", guest.program("wait_forever"), on_terminal=False) as machine:
            machine.expect(rb"waiting")
            guest.end_by_signal(machine, number)
        with Machine("--firmware", guest.program("spin"), "--cpus", "2", on_terminal=False) as machine:
            machine.expect(rb"running")
            guest.end_by_signal(machine, number)


def long_thirty_boots_leave_nothing_behind():
    """Two at a time; each user has a terminal."""
    guest.tiny()
    guest.alone_with_temporary_folders()
    with guest.surroundings() as around:
        for _ in range(15):
            options = [*guest.tiny_arguments(), "--cpus", "2", "--memory", "128M"]
            with Machine(*options, environment=around.environment) as one, \
                    Machine(*options, environment=around.environment) as other:
                for machine in (one, other):
                    machine.expect(guest.PROMPT)
                    machine.send("poweroff -f\r")
                for machine in (one, other):
                    machine.ends_with(0)
                    machine.expect_terminal_restored()
            around.expect_nothing_left()


if __name__ == "__main__":
    guest.main(globals())
