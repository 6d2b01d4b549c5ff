#!/usr/bin/env python3
"""--console: file, pty, socket, none, and stdio that is no terminal."""
import os
import pathlib
import re
import select
import socket
import stat
import subprocess
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import Machine, check  # noqa: E402


class Line:
    """A descriptor that speaks with a guest."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.seen = b""

    def expect(self, text):
        deadline = time.monotonic() + guest.PATIENCE
        while text not in self.seen:
            check(time.monotonic() < deadline, text, "did not come:", self.seen)
            if select.select([self.descriptor], [], [], 0.2)[0]:
                data = os.read(self.descriptor, 4096)
                check(data, "the console ended before", text, "came:", self.seen)
                self.seen += data


def wait_for(condition, what, machine):
    deadline = time.monotonic() + guest.PATIENCE
    while not condition():
        machine.read(0.1)
        check(machine.process.poll() is None, "the machine ended:", machine.process.returncode, machine.tail())
        check(time.monotonic() < deadline, what, machine.tail())


def test_a_file_console_holds_the_guests_output():
    with guest.surroundings() as around:
        path = around.folder / "console.log"
        with Machine("--firmware", guest.program("uart_output"), "--console", f"file:{path}", on_terminal=False) as machine:
            machine.ends_with(0)
            check(machine.seen == b"", "unexpected output:", machine.seen)
        lines = path.read_text().splitlines()
        check(len(lines) == 65 and lines[-1] == "the end", lines)


def test_a_socket_console_speaks_both_ways_and_goes_with_the_machine():
    with guest.surroundings() as around:
        path = around.folder / "console"
        with Machine("--firmware", guest.program("uart_input"), "--irqchip", "plic", "--console", f"socket:{path}", on_terminal=False) as machine:
            wait_for(path.exists, "no socket", machine)
            check(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, "others may speak with the guest:", oct(path.stat().st_mode))
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(b"first")
                Line(client.fileno()).expect(b"first")
            with socket.socket(socket.AF_UNIX) as client:  # the next one, after the first has gone
                client.connect(str(path))
                client.sendall(b"hello.")
                Line(client.fileno()).expect(b"hello.")
            machine.ends_with(0)
        around.expect_nothing_left()


def test_a_pty_console_says_where_it_is_and_speaks_both_ways():
    with Machine("--firmware", guest.program("uart_input"), "--irqchip", "plic", "--console", "pty", on_terminal=False) as machine:
        path = machine.expect(rb"(/dev/pts/\d+)").group(1).decode()
        terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
        check(not termios.tcgetattr(terminal)[3] & termios.ECHO, "the pty echoes the guest's output back to it")
        os.write(terminal, b"hello")
        Line(terminal).expect(b"hello")
        os.write(terminal, b".")  # ends the program, and with it the terminal
        os.close(terminal)
        machine.ends_with(0)


def test_without_a_console_nothing_is_printed_or_read():
    process = subprocess.run([guest.DOPPEL, "run", "--firmware", guest.program("uart_output"), "--console", "none"],
                             input=b"unread", capture_output=True, check=False)
    check((process.returncode, process.stdout, process.stderr) == (0, b"", b""), process)


def test_the_output_of_a_guest_goes_into_a_pipe_whole():
    process = subprocess.run([guest.DOPPEL, "run", "--firmware", guest.program("uart_output")], stdin=subprocess.DEVNULL,
                             capture_output=True, check=False)
    check(process.returncode == 0 and process.stderr == b"", process)
    line = "".join(map(chr, range(32, 127)))
    check(process.stdout.decode().replace("\r", "") == f"{line}\n" * 64 + "the end\n", process.stdout)


def test_a_reader_that_goes_away_does_not_stop_the_guest():
    with Machine("--firmware", guest.program("uart_output"), on_terminal=False) as machine:
        machine.process.stdout.close()
        check(machine.process.wait(guest.PATIENCE) == 0, "exit code", machine.process.returncode)


def test_a_console_that_cannot_be_opened_is_one_line_and_125():
    for console, code in (("file:/nowhere/at/all", 125), ("socket:/nowhere/at/all", 125), ("file:/", 125), ("tty", 2), ("file:", 2)):
        process = subprocess.run([guest.DOPPEL, "run", "--firmware", guest.program("tohost_pass"), "--console", console],
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        check(process.returncode == code and re.fullmatch(r"doppel: [^\n]+\n", process.stderr), console, process)


if __name__ == "__main__":
    guest.main(globals())
