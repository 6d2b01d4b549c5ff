#!/usr/bin/env python3
"""The machine's process is confined while a guest runs."""
import ctypes
import errno
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import Machine, booted, check  # noqa: E402
from support.intruder import Intruder  # noqa: E402

LANDLOCK_OF_TCP = 4  # the version that first refuses connections
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


def all_confined(machine):
    found = threads(machine.pid)
    return len(found) >= 2 and all(thread["Seccomp"] == "2" for thread in found)


AT_FDCWD = -100
# What a guest that has broken out would like to do.
BREAKOUTS = (("openat", AT_FDCWD, "/etc/passwd", os.O_RDONLY), ("openat", AT_FDCWD, "/tmp/of-the-guest", os.O_WRONLY | os.O_CREAT),
             ("unlink", "/tmp/of-the-guest"), ("execve", "/bin/sh", 0, 0), ("socket", socket.AF_INET, socket.SOCK_STREAM, 0),
             ("connect", 0, 0, 0), ("fork",), ("kill", 1, 0), ("ptrace", 0, 0, 0))


def test_no_thread_of_a_machine_can_open_files_connect_or_start_programs():
    if guest.INSTRUMENTED:
        guest.skip("sanitizers need some of these calls")
    # With a disk, that has threads of its own.
    with tempfile.NamedTemporaryFile() as disk, \
            Machine("--firmware", guest.program("wait_forever"), "--disk", disk.name, on_terminal=False) as machine:
        wait_until(lambda: all_confined(machine), machine, "never confined")
        for thread in threads(machine.pid):
            with Intruder(machine.pid, int(thread["Pid"])) as intruder:
                for call in BREAKOUTS:
                    answer = intruder.call(*call)
                    check(answer == signal.SIGSYS, "thread", thread["Name"], call, "was answered", answer)
        # Nobody has noticed. Where no one drops the signal the machine ends, and it says why.
        check(machine.process.poll() is None, "the machine ended")
        with Intruder(machine.pid, machine.pid) as intruder:
            intruder.call_and_leave(*BREAKOUTS[0])
        machine.ends_with(-signal.SIGSYS)
        check(b"system call openat: its sandbox does not allow it" in machine.seen, machine.tail())


def landlock_version():
    create_ruleset, version = 444, 1
    return max(ctypes.CDLL(None).syscall(create_ruleset, None, 0, version), 0)


def test_landlock_holds_in_every_thread_even_without_the_filter_of_calls():
    """By a tracer before whom the kernel suspends seccomp: what is refused then is refused by landlock."""
    if guest.INSTRUMENTED:
        guest.skip("sanitizers read files")
    if landlock_version() < 1:
        guest.skip("this kernel gives no landlock")
    with guest.surroundings() as around, socket.create_server(("127.0.0.1", 0)) as server:
        file = around.folder / "of-the-host"
        file.write_text("the host's")
        address = struct.pack("!HHI8x", 0, server.getsockname()[1], 0x7f000001)
        address = struct.pack("=H", socket.AF_INET) + address[2:]
        disk = around.folder / "disk"
        disk.write_text("raw")
        for confined in (True, False):
            options = () if confined else ("--sandbox", "off")
            with Machine("--firmware", guest.program("wait_forever"), "--disk", disk, *options, on_terminal=False) as machine:
                machine.expect(rb"waiting")
                wait_until(lambda: not confined or all_confined(machine), machine, "never confined")
                for thread in threads(machine.pid):
                    with Intruder(machine.pid, int(thread["Pid"]), suspend_seccomp=True) as intruder:
                        answers = [intruder.call("openat", AT_FDCWD, str(file), os.O_RDONLY),
                                   intruder.call("openat", AT_FDCWD, str(file), os.O_WRONLY),
                                   intruder.call("openat", AT_FDCWD, str(around.folder), os.O_RDONLY | os.O_DIRECTORY)]
                        if landlock_version() >= LANDLOCK_OF_TCP:
                            client = intruder.call("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
                            check(client >= 0, "no socket:", client)
                            answers.append(intruder.call("connect", client, address, len(address)))
                    if confined:
                        check(all(answer == -errno.EACCES for answer in answers), "thread", thread["Name"], answers)
                    else:  # so it is landlock that refuses, not the test that asks wrongly
                        check(all(answer >= 0 for answer in answers), "unconfined thread", thread["Name"], answers)
                if confined:
                    with Intruder(machine.pid, machine.pid, suspend_seccomp=True) as intruder:
                        check(intruder.call("unlink", str(file)) == -errno.EACCES, "a file can be removed")
                        check(intruder.call("execve", "/bin/sh", 0, 0) == -errno.EACCES, "a program can be started")
                guest.end_by_signal(machine, signal.SIGTERM)
        check(file.read_text() == "the host's", "the file was changed")


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
