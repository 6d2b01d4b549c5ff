#!/usr/bin/env python3
"""The smaller virtio devices, as a stock kernel drives them: balloon, power key, vsock, and all of them over MMIO."""
import contextlib
import pathlib
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]
from harness import initramfs  # noqa: E402
from support import guest  # noqa: E402
from support.guest import Machine, booted, check  # noqa: E402
from support.intruder import Intruder  # noqa: E402

MEGABYTE = 1 << 20


def load(machine, *modules):
    """The image may be older than its modules' names here."""
    for module in modules:
        code, output = machine.shell(f"modprobe {module}")
        if code != 0:
            guest.skip(f"the image tiny has no {module}: doppel image make tiny --refresh ({output.strip()})")


def test_memory_that_the_guest_frees_returns_to_the_host():
    with booted("--memory", "512M") as machine:
        load(machine, "virtio_balloon")
        machine.ask("dd if=/dev/zero of=/run/file bs=1M count=200 2>/dev/null")
        most = guest.status(machine.pid)["RssShmem"]
        check(most > 200 * MEGABYTE, "the file takes", most)
        machine.ask("rm /run/file")
        deadline = time.monotonic() + guest.PATIENCE
        while (now := guest.status(machine.pid)["RssShmem"]) > most - 150 * MEGABYTE:
            check(time.monotonic() < deadline, "resident:", most, "then", now)
            machine.read(0.2)
        # And it is memory as ever.
        machine.ask("dd if=/dev/urandom of=/run/file bs=1M count=40 2>/dev/null")
        machine.ask("cp /run/file /run/copy && cmp /run/file /run/copy")
        check("Call Trace" not in machine.ask("dmesg"), machine.tail())


def test_a_rebooted_machine_has_no_more_memory_in_use_than_a_new_one():
    with booted("--memory", "512M") as machine:
        before = guest.status(machine.pid)["RssShmem"]
        machine.send("reboot\r")
        machine.expect(rb"Restarting system")
        machine.expect(guest.PROMPT)
        after = guest.status(machine.pid)["RssShmem"]
        check(after < before * 3 // 2, "resident:", before, "after the reboot", after)


def test_the_guest_has_a_power_key():
    with booted() as machine:
        load(machine, "virtio_input", "evdev")
        devices = machine.ask("cat /proc/bus/input/devices")
        check('Name="doppel power key"' in devices, devices)
        # KEY_POWER, 116, alone, of words of 64 bits.
        check("B: KEY=10000000000000 0" in devices, devices)


def test_the_same_devices_work_over_mmio():
    with booted("--virtio", "mmio") as machine:
        load(machine, "virtio_mmio", "virtio-rng", "virtio_balloon")
        found = machine.ask("cat /sys/bus/virtio/devices/*/device").split()
        check({"0x0004", "0x0005", "0x0012"} <= set(found), found)
        check(machine.ask("cat /sys/class/misc/hw_random/rng_current").startswith("virtio_rng"), "rng")
        check(machine.ask("dd if=/dev/hwrng bs=1k count=64 2>/dev/null | sha256sum | cut -c1-8") != "", "no entropy")
        pci = machine.ask("cat /sys/bus/pci/devices/*/vendor 2>/dev/null; true")
        check("0x1af4" not in pci, "on the PCI bus too:", pci)


@contextlib.contextmanager
def machine_with_vsock(*options):
    """(machine at its shell, path of its socket)."""
    program = guest.PROGRAMS / "vsock"
    if not program.exists():
        guest.skip("tests/guests/vsock.c is not built: riscv64-linux-gnu-gcc or its static C library was not found")
    kernel, initrd, append = guest.tiny()
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        image, path = pathlib.Path(folder) / "initramfs", pathlib.Path(folder) / "vsock"
        with initramfs.over(initrd, image) as cpio:
            cpio.program("bin/vsock", program.read_bytes())
        with Machine("--vsock", path, *options, "--kernel", kernel, "--initrd", image, "--append", append) as machine:
            machine.expect(guest.PROMPT)
            load(machine, "vmw_vsock_virtio_transport")
            yield machine, path
            machine.send("poweroff\r")
            machine.ends_with(0)
            check(not path.exists(), "the socket is left behind")


def connect(path, port):
    """A stream to the guest's port; none when the guest refuses."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(guest.PATIENCE)
    client.connect(str(path))
    client.sendall(b"CONNECT %d\n" % port)
    answer = b""
    while not answer.endswith(b"\n"):
        piece = client.recv(1)
        if not piece:
            client.close()
            return None
        answer += piece
    check(answer.startswith(b"OK "), answer)
    return client


def exchange(stream, data, answers):
    """Sends all of `data` while it reads what comes back, to the end."""
    def send():
        stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)
    sender = threading.Thread(target=send)
    sender.start()
    heard = bytearray()
    while piece := stream.recv(1 << 16):
        heard += piece
    sender.join()
    answers.append(bytes(heard))


def pattern(count):
    return bytes((i * 2654435761 >> 24) & 0xff for i in range(count))


def one_more(data):
    return data.translate(bytes((i + 1) % 256 for i in range(256)))


def test_clients_of_the_host_reach_a_port_of_the_guest():
    with machine_with_vsock() as (machine, path):
        check(connect(path, 5000) is None, "nobody listens there yet")
        clients = 8
        machine.send(f"vsock serve 5000 {clients}; echo a''ll\r")
        machine.expect(rb"listening\r\n")
        sent = [pattern(300_000 + i) for i in range(clients - 1)] + [pattern(3 * MEGABYTE)]
        answers, threads = {}, []
        for i, data in enumerate(sent):
            answers[i] = []
            threads.append(threading.Thread(target=exchange, args=(connect(path, 5000), data, answers[i])))
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                machine.read(0.05)
                thread.join(0.01)
        for i, data in enumerate(sent):
            check(answers[i] == [one_more(data)], "client", i, "got", [len(a) for a in answers[i]], "bytes of", len(data))
        machine.expect(rb"served\r\nall\r\n")
        machine.expect(guest.PROMPT)


def test_the_guest_reaches_services_of_the_host():
    with machine_with_vsock() as (machine, path):
        code, output = machine.shell("vsock send 7000 1")
        check(code == 1 and "connect: " in output, "nobody listens there", code, output)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{path}_7000")
            server.listen(1)
            server.settimeout(guest.PATIENCE)
            count = 3 * MEGABYTE
            heard = []

            def serve():
                stream, _ = server.accept()
                with stream:
                    stream.settimeout(guest.PATIENCE)
                    data = bytearray()
                    while piece := stream.recv(1 << 16):
                        data += piece
                        stream.sendall(one_more(piece))
                    heard.append(bytes(data))
            thread = threading.Thread(target=serve)
            thread.start()
            answer = machine.ask(f"vsock send 7000 {count}")
            thread.join()
        check(heard == [pattern(count)], "the host got", [len(data) for data in heard])
        total = 0
        for byte in one_more(pattern(count)):
            total = (total * 31 + byte) & 0xffffffffffffffff
        check(answer == f"got {count} bytes, sum {total:x}", answer)


def test_a_reboot_ends_the_connections_of_the_guest():
    with machine_with_vsock() as (machine, path):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{path}_7000")
            server.listen(1)
            server.settimeout(guest.PATIENCE)
            machine.send("vsock hang 7000 &\r")
            stream, _ = server.accept()
            machine.expect(rb"connected\r\n")
            machine.send("reboot\r")
            stream.settimeout(guest.PATIENCE)
            check(stream.recv(1) == b"", "the connection lives on")
            machine.expect(rb"Restarting system")
            machine.expect(guest.PROMPT)
            machine.ask("modprobe vmw_vsock_virtio_transport")
            machine.send("vsock hang 7000; echo a''gain\r")
            stream, _ = server.accept()
            machine.expect(rb"connected\r\n")
            stream.close()
            machine.expect(rb"ended 0\r\nagain\r\n")
            machine.expect(guest.PROMPT)


def test_a_machine_with_vsock_connects_nowhere_by_itself():
    if guest.INSTRUMENTED:
        guest.skip("sanitizers need some of these calls")
    with guest.surroundings() as around, socket.socket(socket.AF_UNIX) as server:
        other, path = str(around.folder / "other"), around.folder / "vsock"
        server.bind(other)
        server.listen(1)
        address = struct.pack("=H108s", socket.AF_UNIX, other.encode())
        with Machine("--vsock", path, "--firmware", guest.program("wait_forever"), on_terminal=False) as machine:
            deadline = time.monotonic() + guest.PATIENCE
            tasks = pathlib.Path(f"/proc/{machine.pid}/task")
            while any("Seccomp:\t2" not in (task / "status").read_text() for task in tasks.iterdir()):
                check(time.monotonic() < deadline, "never confined")
                machine.read(0.05)
            for task in tasks.iterdir():
                with Intruder(machine.pid, int(task.name)) as intruder:
                    for call in (("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0), ("connect", 0, address, len(address)),
                                 ("sendto", 0, address, 1, 0, address, len(address)), ("fork",)):
                        answer = intruder.call(*call)
                        check(answer == signal.SIGSYS, "thread", task.name, call, "was answered", answer)
            guest.end_by_signal(machine, signal.SIGTERM)
        around.expect_nothing_left(other)


if __name__ == "__main__":
    guest.main(globals())
