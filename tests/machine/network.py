#!/usr/bin/env python3
"""Networks, as a stock kernel and its programs use them: --net user, --publish."""
import contextlib
import hashlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]
from harness import initramfs  # noqa: E402
from support import guest  # noqa: E402
from support.guest import Machine, booted, check  # noqa: E402

HOST = "10.0.2.2"  # what the guest knows this host by
MEGABYTE = 1 << 20


def networked(*arguments, **options):
    return booted("--net", "user", *arguments, **options)


@contextlib.contextmanager
def with_datagrams(*arguments):
    """A networked guest that has the program of tests/guests/datagrams.c."""
    program = guest.PROGRAMS / "datagrams"
    if not program.exists():
        guest.skip("tests/guests/datagrams.c is not built: riscv64-linux-gnu-gcc or its static C library was not found")
    kernel, initrd, append = guest.tiny()
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        image = pathlib.Path(folder) / "initramfs"
        with initramfs.over(initrd, image) as cpio:
            cpio.program("bin/datagrams", program.read_bytes())
        with Machine("--net", "user", *arguments, "--kernel", kernel, "--initrd", image, "--append", append) as machine:
            machine.expect(guest.PROMPT)
            yield machine


def serve_words(machine, port):
    machine.ask(f"(while true; do echo served | nc -l -p {port}; done) >/dev/null 2>&1 & :")


def expect_words(machine, port):
    """From the published port."""
    deadline, heard = time.monotonic() + guest.PATIENCE, b""
    while heard != b"served\n":
        check(time.monotonic() < deadline, "the port gave", heard)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as client:
            heard = client.recv(100)
        machine.read(0.1)


def pattern(count):
    block = bytes((i * 2654435761 >> 24) & 0xff for i in range(1 << 16))
    return (block * (count // len(block) + 1))[:count]


def digest(data):
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def service(serve, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    """Serves one client after another on a port of this host's loopback; yields the port."""
    with socket.socket(family, kind) as listener:
        listener.settimeout(guest.PATIENCE)
        listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            listener.listen(8)

        def loop():
            with contextlib.suppress(OSError):
                while True:
                    if kind == socket.SOCK_DGRAM:
                        serve(listener)
                        continue
                    client, _ = listener.accept()
                    with client:
                        client.settimeout(guest.PATIENCE)
                        serve(client)
        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        yield listener.getsockname()[1]


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask_until(machine, command, wanted):
    deadline = time.monotonic() + guest.PATIENCE
    while wanted not in (answer := machine.shell(command)[1]):
        check(time.monotonic() < deadline, command, "never gave", wanted, "but", answer)


def network_processes(of):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = (entry / "stat").read_text().rsplit(")", 1)
            if entry.name.isdigit() and fields[0].endswith("(doppel-nat") and int(fields[1].split()[1]) == of:
                found.append(int(entry.name))
    return found


def test_a_guest_gets_addresses_routes_and_name_servers():
    with networked() as machine:
        check("inet 10.0.2.15/24" in machine.ask("ip addr show eth0"), machine.tail())
        check("default via 10.0.2.2" in machine.ask("ip route"), machine.tail())
        check("nameserver 10.0.2.3" in machine.ask("cat /etc/resolv.conf"), machine.tail())
        ask_until(machine, "ip -6 addr show eth0", "inet6 fd00:646f:7070:656c:")
        machine.ask("ping -c 1 10.0.2.2 && ping6 -c 1 fd00:646f:7070:656c::2")


def test_a_guest_exchanges_data_with_services_of_the_host():
    data, heard = pattern(8 * MEGABYTE), []

    def give(client):
        client.sendall(data)

    def take(client):
        got = bytearray()
        while piece := client.recv(1 << 16):
            got += piece
        heard.append(bytes(got))

    with networked() as machine, service(give) as giver, service(take) as taker:
        check(machine.ask(f"nc {HOST} {giver} </dev/null | sha256sum").startswith(digest(data)), machine.tail())
        machine.ask(f"dd if=/dev/urandom of=/run/data bs=64k count=64 2>/dev/null; nc {HOST} {taker} </run/data")
        want = machine.ask("sha256sum /run/data").split()[0]
        deadline = time.monotonic() + guest.PATIENCE
        while not heard:
            check(time.monotonic() < deadline, "the host heard nothing")
            machine.read(0.1)
        check(digest(heard[0]) == want and len(heard[0]) == 4 * MEGABYTE, "the host heard", len(heard[0]), "bytes")


def test_many_connections_of_a_guest_stay_apart():
    def echo(client):
        while piece := client.recv(1 << 16):
            client.sendall(piece)

    with networked() as machine, service(echo) as port:
        machine.ask(f"for i in $(seq 40); do (seq $i 1000 | nc {HOST} {port} | sha256sum >/run/$i) & done; wait")
        machine.ask("for i in $(seq 40); do seq $i 1000 | sha256sum | cmp - /run/$i || exit 1; done")


def test_datagrams_go_out_and_their_answers_come_back():
    def answer(listener):
        text, sender = listener.recvfrom(2000)
        listener.sendto(text.upper(), sender)

    with with_datagrams() as machine, service(answer, kind=socket.SOCK_DGRAM) as port:
        check(machine.ask(f"datagrams ask {HOST} {port} hello") == "HELLO", machine.tail())


def test_published_ports_lead_to_the_guest():
    tcp, udp = free_port(), free_port(socket.SOCK_DGRAM)
    with with_datagrams("--publish", f"127.0.0.1:{tcp}:80", "--publish", f"127.0.0.1:{udp}:53/udp") as machine:
        serve_words(machine, 80)
        machine.ask("datagrams echo 53 >/dev/null 2>&1 & :")
        expect_words(machine, tcp)
        deadline = time.monotonic() + guest.PATIENCE
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            while True:
                check(time.monotonic() < deadline, "no datagram came back")
                client.sendto(b"ping", ("127.0.0.1", udp))
                with contextlib.suppress(OSError):
                    check(client.recv(100) == b"ping", "another datagram")
                    break
                machine.read(0)


def test_a_restricted_network_reaches_nothing_but_published_ports_lead_in():
    port = free_port()

    def give(client):
        client.sendall(b"secret")

    with booted("--net", "user,restrict", "--publish", f"127.0.0.1:{port}:80") as machine, service(give) as outside:
        check("inet 10.0.2.15/24" in machine.ask("ip addr show eth0"), machine.tail())
        check("secret" not in machine.shell(f"nc -w 3 {HOST} {outside} </dev/null")[1], "it came out")
        serve_words(machine, 80)
        expect_words(machine, port)


def test_a_port_of_the_host_that_is_taken_is_one_line():
    kernel = guest.tiny()[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run([guest.DOPPEL, "run", "--publish", f"127.0.0.1:{port}:80", "--kernel", kernel], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=guest.PATIENCE, check=False)
    check(done.returncode == 125, done)
    line = done.stderr.strip().splitlines()[-1]
    check(line == f"doppel: publish a port: 127.0.0.1:{port}:80: Address already in use; choose another port of the host", line)


def test_a_machine_goes_on_without_a_link_when_its_network_is_gone():
    with networked() as machine:
        machine_process = [int(child) for child in subprocess.run(["pgrep", "-P", str(machine.pid)], capture_output=True, text=True,
                                                                  check=False).stdout.split()]
        owners = [machine.pid, *machine_process]
        processes = [one for owner in owners for one in network_processes(owner)]
        check(len(processes) == 1, "network processes of", owners, "are", processes)
        status = pathlib.Path(f"/proc/{processes[0]}/status").read_text()
        if os.environ.get("DOPPEL_INSTRUMENTED") != "1":
            check("Seccomp:\t2" in status and "NoNewPrivs:\t1" in status, status)
        check(machine.ask("cat /sys/class/net/eth0/carrier") == "1", machine.tail())
        os.kill(processes[0], signal.SIGKILL)
        ask_until(machine, "cat /sys/class/net/eth0/carrier", "0")
        machine.send("poweroff\r")
        machine.ends_with(0)


def test_a_network_ends_with_its_machine_however_that_ends():
    guest.tiny()
    with guest.surroundings() as around:
        for how in (signal.SIGTERM, signal.SIGKILL):
            kernel, initrd, append = guest.tiny()
            with guest.Machine("--net", "user", "--kernel", kernel, "--initrd", initrd, "--append", append,
                               environment=around.environment) as machine:
                machine.expect(guest.PROMPT)
                check(any("doppel-nat" in name for _, name in around.processes()), around.processes())
                os.kill(machine.pid, how)
                machine.wait()
            around.expect_nothing_left()


if __name__ == "__main__":
    guest.main(globals())
