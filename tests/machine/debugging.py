#!/usr/bin/env python3
"""GDB debugs machines."""
import os
import pathlib
import random
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import Machine, booted, check  # noqa: E402
from support.verdict import check_failure  # noqa: E402

KERNEL_START = 0x80200000


def wait_for_location(machine):
    return machine.expect(rb"target remote (\S+)\r?\n").group(1).decode()


def gdb(location, *commands, program=None):
    """What gdb-multiarch prints for the commands."""
    if shutil.which("gdb-multiarch") is None:
        guest.skip("gdb-multiarch was not found")
    line = ["gdb-multiarch", "-nx", "-batch", "-iex", "set architecture riscv:rv64", "-iex", "set pagination off",
            "-iex", "set confirm off", "-iex", "set debuginfod enabled off", "-ex", f"target remote {location}"]
    for command in commands:
        line += ["-ex", command]
    if program:
        line.append(str(program))
    done = subprocess.run(line, capture_output=True, text=True, timeout=guest.PATIENCE * 4, stdin=subprocess.DEVNULL,
                          check=False)
    print(done.stdout, done.stderr, sep="")
    return done.stdout


def expect_in_order(text, *patterns):
    at = 0
    for pattern in patterns:
        match = re.compile(pattern).search(text, at)
        check(match, pattern, "is missing in:\n" + text[at:])
        at = match.end()


def debugged(*options):
    return Machine("--gdb", "0", "--firmware", guest.program("debugged"), *options)


class Client:
    """A debugger of few words."""

    def __init__(self, location):
        host, port = location.split(":")
        self.socket = socket.create_connection((host, int(port)), guest.PATIENCE)
        self.received = b""

    def send(self, payload):
        data = payload.encode()
        self.socket.sendall(b"$" + data + b"#%02x" % (sum(data) % 256))

    def reply(self):
        while not (match := re.search(rb"\$([^#]*)#..", self.received)):
            data = self.socket.recv(4096)
            check(data, "the machine hung up")
            self.received += data
        self.received = self.received[match.end():]
        return re.sub(r"(.)\*(.)", lambda run: run[1] * (ord(run[2]) - 28), match.group(1).decode())

    def ask(self, payload):
        self.send(payload)
        return self.reply()

    def close(self):
        self.socket.close()


def test_gdb_steps_the_kernel_from_its_first_instruction():
    with Machine("--gdb", "0", *guest.tiny_arguments()) as machine:
        shown = gdb(wait_for_location(machine), "p/x $pc", "p $priv", "p $a0", "stepi", "stepi", "p/x $pc", "detach")
        expect_in_order(shown, rf"= {KERNEL_START:#x}", r"= 1\b", r"= 0\b", r"= 0x802[0-9a-f]+", r"detached")
        machine.expect(guest.PROMPT)  # it runs on
        machine.send("poweroff\r")
        machine.ends_with(0)


def test_gdb_breaks_in_start_kernel_and_the_guest_boots_on_with_four_harts():
    with booted("--append", "nokaslr") as machine:
        symbols = machine.ask("grep -E ' (start_kernel|linux_banner|jiffies)$' /proc/kallsyms")
    address = {name: int(value, 16) for value, _, name in (line.split() for line in symbols.splitlines())}
    check("start_kernel" in address, symbols)
    with Machine("--gdb", "0", "--cpus", "4", *guest.tiny_arguments("nokaslr")) as machine:
        location = wait_for_location(machine)
        shown = gdb(location, f"hbreak *{address['start_kernel']:#x}", "continue", "p/x $pc", "p/x ($satp >> 60) & 0xf",
                    f"x/s {address['linux_banner']:#x}", f"awatch *(long*){address['jiffies']:#x}", "continue", "p/x $priv",
                    "info threads", "detach")
        expect_in_order(shown, r"Breakpoint 1, ", rf"= {address['start_kernel']:#x}", r"= 0x[89a]\b", r"Linux version",
                        r"Hardware access", r"= 0x1\b", r"\(hart 0, started, S-mode\)", r"\(hart 3, ", "detached")
        machine.expect(guest.PROMPT)
        check(machine.ask("nproc") == "4", "nproc")
        check("rcu:" not in machine.ask("dmesg | grep -E 'stall|lockup' || true"), "the kernel noticed that it was halted")
        # A second debugger later finds it running, and leaves it so.
        shown = gdb(location, "info threads", "detach")
        expect_in_order(shown, r"\(hart 0, (started|suspended), [SU]-mode\)", r"detached")
        check(machine.ask("echo $((6 * 7))") == "42", "it does not run on")
        machine.send("poweroff\r")
        machine.ends_with(0)


def test_gdb_shows_variables_registers_and_calls_of_a_program():
    program = guest.program("debugged")
    with debugged() as machine:
        shown = gdb(wait_for_location(machine), "p $priv", "p $mhartid", "info registers mtvec", "break add_to_place", "continue",
                    "p *place", "p by", "bt", "finish", "p here", "p/x touched", "set var here.x = 77", "p here", "p $ft0",
                    "p $fcsr", "p/x $misa & 0x1", "p $minstret > 0", "p/x $pmpaddr15", "p/x *(char*)0x10000000",
                    "set var goes_on = 0", "delete", "continue", program=program)
        expect_in_order(shown, r"= 3\b", r"= 0\b", r"mtvec", r"Breakpoint 1, add_to_place", r"x = 3, y = 4", r"= 2\b",
                        r"#1 .* main ", r"Value returned is \$\d+ = 10", r"x = 5, y = 2", r"= 0x1122334455667788", r"x = 77, y = 2",
                        r"float = ", r"= 0\b", r"= 0x1\b", r"= 1\b", r"= 0x[0-9a-f]+",
                        r"exited normally")
        check("Cannot access memory at address 0x10000000" not in shown, "that is on stderr")
        machine.ends_with(0)


def test_gdb_shows_and_changes_vectors():
    code = 0x80100000
    vsetivli, vadd = 0xcd8272d7, 0x021101d7  # vsetivli t0, 4, e64, m1, ta, ma; vadd.vv v3, v1, v2
    with debugged("--vlen", "256") as machine:
        shown = gdb(wait_for_location(machine), "p sizeof($v0)", "p/x $vlenb", "p $v3.l", f"set *(unsigned int*){code:#x} = {vsetivli:#x}",
                    f"set *(unsigned int*){code + 4:#x} = {vadd:#x}", f"set $pc = {code:#x}", "set $mstatus = $mstatus | 0x600",
                    "set $v1.l[0] = 100", "set $v1.l[3] = 7", "set $v2.l[0] = 1", "set $v2.w[6] = 70", "p $vtype < 0", "stepi",
                    "p $vl", "p/x $vtype", "stepi", "p $v3.l", "p $v3.b[0]", "set $vcsr = 7", "p $vxrm", "p $vxsat", "p $vstart",
                    "info registers vector", "kill")
        expect_in_order(shown, r"= 32\b", r"= 0x20\b", r"= \{0, 0, 0, 0\}", r"= 1\b", r"= 4\b", r"= 0xd8\b",
                        r"= \{101, 0, 0, 77\}", r"= 101\b", r"= 3\b", r"= 1\b", r"= 0\b", r"v0 .*\{", r"v31 .*\{")
        machine.ends_with(137)
    with debugged() as machine:  # without any
        shown = gdb(wait_for_location(machine), "p $v0", "p $vl", "p $priv", "kill")
        expect_in_order(shown, r"= void", r"= void", r"= 3\b")


def test_gdb_watches_a_variable():
    with debugged() as machine:
        shown = gdb(wait_for_location(machine), "watch touched", "continue", "continue", "delete", "rwatch here.y",
                    "break touch", "kill", program=guest.program("debugged"))
        expect_in_order(shown, r"Hardware watchpoint 1: touched", r"Old value = 1234605616436508552", r"New value = 42",
                        r"Old value = 42", r"New value = 43", r"Hardware read watchpoint 2: here\.y")
        machine.ends_with(137)


def test_gdb_sees_four_harts_as_threads():
    with debugged("--cpus", "4") as machine:
        shown = gdb(wait_for_location(machine), "info threads", "break secondary", "continue", "p $mhartid > 0", "delete",
                    "thread 3", "p $mhartid", "set scheduler-locking on", "stepi", "p $mhartid", "set scheduler-locking off",
                    "hbreak touch", "continue", "p $mhartid", "thread apply all p $mhartid", "set var goes_on = 0", "detach",
                    program=guest.program("debugged"))
        expect_in_order(shown, r"Thread 1 \(hart 0, started, M-mode\)", r"Thread 4 \(hart 3, started, M-mode\)",
                        r"hit Breakpoint 1[.\d]*, secondary", r"= 1\b", r"Switching to thread 3", r"= 2\b", r"= 2\b",
                        r"hit Breakpoint 2, touch", r"= 0\b", r"= 3\b", r"= 2\b", r"= 1\b", r"= 0\b", r"detached")
        machine.ends_with(0)


def test_an_interrupt_halts_and_the_monitor_commands_work():
    with debugged() as machine:
        client = Client(wait_for_location(machine))
        check(client.ask("?").startswith("T05thread:1;"), "it does not begin halted")
        client.send("vCont;c")
        machine.expect(rb"here\r?\n")
        client.socket.sendall(b"\x03")
        check(client.reply().startswith("T02thread:1;"), "Ctrl-C does not halt")

        def monitor(command):
            return bytes.fromhex(client.ask("qRcmd," + command.encode().hex())).decode()

        check("instructions" in monitor("stats"), "monitor stats")
        check("1 hart" in monitor("info"), "monitor info")
        first = "%016x" % int.from_bytes((0x1000).to_bytes(8, "little"), "big")
        check("boots anew" in monitor("reset"), "monitor reset")
        check(client.ask("p20") == first, "not at the first instruction after monitor reset")
        client.send("vCont;c")
        machine.expect(rb"here\r?\n")
        client.socket.sendall(b"\x03")
        client.reply()
        check("ends" in monitor("quit"), "monitor quit")
        machine.ends_with(0)
        client.close()


def test_a_debugger_that_sends_garbage_does_no_harm():
    chance = random.Random(5)
    with Machine("--gdb", "0", *guest.tiny_arguments()) as machine:
        location = wait_for_location(machine)
        for _ in range(20):
            client = Client(location)
            client.socket.sendall(chance.randbytes(5000) + b"$" + b"x" * 40000 + b"$m0,ffffffff#00-+++" + b"$vCont;s:77#00")
            if chance.random() < 0.5:
                for payload in ("QNonStop:1", "Gzz", "vCont;x:9", "M0,4:0", "qXfer:features:read:target.xml:zz", "X" + "0" * 99):
                    client.send(payload)
            client.close()
        waiting = [Client(location) for _ in range(3)]  # one is served, the others are turned away
        for client in waiting:
            client.close()
        shown = gdb(location, "p/x $pc", "detach")
        expect_in_order(shown, rf"= {KERNEL_START:#x}", r"detached")
        machine.expect(guest.PROMPT)
        # Nor does one that comes and goes while the guest runs, without a debugger's question.
        for _ in range(5):
            client = Client(location)
            client.socket.sendall(b"GET / HTTP/1.1\r\n\r\n" + chance.randbytes(1000))
            client.close()
        check(machine.ask("echo $((6 * 7))") == "42", "it does not run on")
        machine.send("poweroff\r")
        machine.ends_with(0)


def test_gdb_connects_by_a_socket_that_only_its_owner_may_use():
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        path = pathlib.Path(folder) / "gdb"
        with Machine("--gdb", path, "--firmware", guest.program("debugged")) as machine:
            check(wait_for_location(machine) == str(path), "the location")
            check(stat.S_IMODE(path.stat().st_mode) == 0o600, "the socket's mode")
            gdb(path, "monitor quit")
            machine.ends_with(0)
        check(not path.exists(), "the socket is left behind")


def test_wrong_places_for_gdb_are_refused():
    program = guest.program("debugged")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for where, code, says in ((str(port), 125, f"127.0.0.1:{port}"), ("65536", 2, "--gdb"), ("", 2, "--gdb"),
                                  ("/nowhere/gdb", 125, "/nowhere/gdb"), ("/" + "x" * 200, 2, "--gdb")):
            done = subprocess.run([guest.DOPPEL, "run", "--gdb", where, "--firmware", program], capture_output=True, text=True,
                                  timeout=guest.PATIENCE, check=False)
            check_failure(where, done, code=code, says=[re.escape(says)])


if __name__ == "__main__":
    os.environ.pop("DEBUGINFOD_URLS", None)
    guest.main(globals())
