#!/usr/bin/env python3
"""The machine's process is confined while a guest runs."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import Machine, booted, check  # noqa: E402

CONSOLES = ("stdio", "none", "pty", "file:{}/log", "socket:{}/socket")


def threads(pid):
    """For each thread of the process the values of its status by name."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found.append(dict(re.findall(r"^(\w+):\s+(.*)$", (task / "status").read_text(), re.M)))
    return found


def expect_confined(machine, count):
    all_threads = threads(machine.pid)
    check(len(all_threads) >= count, len(all_threads), "threads, not", count)
    for thread in all_threads:
        check((thread["Seccomp"], thread["NoNewPrivs"]) == ("2", "1"), "a thread is free:", thread)


def wait_until(condition, machine, what):
    deadline = time.monotonic() + guest.PATIENCE
    while not condition():
        machine.read(0.05)
        check(machine.process.poll() is None, "the machine ended:", machine.process.returncode, machine.tail())
        check(time.monotonic() < deadline, what, machine.tail())


def test_every_thread_is_confined_while_the_guest_runs_and_after_a_reboot():
    with booted("--cpus", "4") as machine:
        expect_confined(machine, 5)
        before = sorted(thread["Pid"] for thread in threads(machine.pid))
        machine.send("reboot\r")
        machine.expect(rb"Restarting system")
        machine.expect(guest.PROMPT)
        expect_confined(machine, 5)
        check(before == sorted(thread["Pid"] for thread in threads(machine.pid)), "the threads are others after a reboot")
        check(machine.ask("nproc") == "4", "nproc")
        machine.send("poweroff\r")
        machine.ends_with(0)
        machine.expect_terminal_restored()


def test_the_machine_is_confined_with_every_console():
    for console in CONSOLES:
        with guest.surroundings() as around:
            console = console.format(around.folder)
            with Machine("--firmware", guest.program("wait_forever"), "--console", console, on_terminal=False) as machine:
                wait_until(lambda: any(thread["Seccomp"] == "2" for thread in threads(machine.pid)), machine, "never confined")
                expect_confined(machine, 2)
                guest.end_by_signal(machine, signal.SIGTERM)


def test_stop_and_continue_work_in_the_sandbox():
    with booted() as machine:
        raw = machine.terminal_mode()
        for number in (signal.SIGTSTP, signal.SIGSTOP):
            os.kill(machine.pid, number)
            wait_until(lambda: threads(machine.pid)[0]["State"].startswith("T"), machine, "it does not stop")
            if number == signal.SIGTSTP:
                machine.expect_terminal_restored()
            os.kill(machine.pid, signal.SIGCONT)
            wait_until(lambda: machine.terminal_mode() == raw, machine, "the terminal is not raw again")
        check(machine.ask("echo $((6 * 7))").endswith("42"), "no answer after SIGCONT")
        expect_confined(machine, 2)


def test_a_socket_goes_with_a_machine_that_is_killed():
    with guest.surroundings() as around:
        path = around.folder / "socket"
        with Machine("--firmware", guest.program("wait_forever"), "--console", f"socket:{path}", on_terminal=False) as machine:
            wait_until(path.exists, machine, "no socket")
            wait_until(lambda: all(thread["Seccomp"] == "2" for thread in threads(machine.pid)), machine, "never confined")
            guest.end_by_signal(machine, signal.SIGKILL)
        around.expect_nothing_left()


def test_sandbox_off_says_so_in_one_line_and_confines_nothing():
    with Machine("--sandbox", "off", "--firmware", guest.program("wait_forever"), on_terminal=False) as machine:
        machine.expect(rb"doppel: warning: --sandbox off: [^\n]+\n")
        wait_until(lambda: len(threads(machine.pid)) >= 2, machine, "no hart")
        for thread in threads(machine.pid):
            check((thread["Seccomp"], thread["NoNewPrivs"]) == ("0", "0"), "a thread is confined:", thread)
        guest.end_by_signal(machine, signal.SIGTERM)
        check(machine.seen.count(b"doppel:") == 1, "more than one line:", machine.seen)


def test_a_sandbox_neither_on_nor_off_is_wrong_usage():
    for word in ("maybe", ""):
        process = subprocess.run([guest.DOPPEL, "run", "--sandbox", word, "--firmware", guest.program("tohost_pass")],
                                 capture_output=True, text=True, check=False)
        check(process.returncode == 2 and re.fullmatch(r"doppel: usage: --sandbox: [^\n]+\n", process.stderr), process)


if __name__ == "__main__":
    guest.main(globals())
