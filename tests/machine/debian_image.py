#!/usr/bin/env python3
"""The image debian, as `doppel run debian` makes and starts it: takes minutes, and the machine's mirror."""
import hashlib
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]
from support import guest  # noqa: E402
from support.guest import DOPPEL, check  # noqa: E402
from support.instances import instances  # noqa: E402

GIB = 1 << 30
PIECE = bytes(range(256)) * 4096
BOOT = 600  # seconds, for a slow host


def make_image():
    done = subprocess.run([DOPPEL, "image", "make", "debian"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "find mirror" in done.stderr:
        guest.skip(done.stderr)
    check(done.returncode == 0, "doppel image make debian:", done.stderr)


def start(doppel, name, *options):
    """An instance whose systemd has started all that there is to start."""
    doppel.succeed("run", "-d", "--name", name, *options, "debian")
    deadline = time.monotonic() + BOOT
    while (done := doppel.run("exec", name, "systemctl", "is-system-running", "--wait")).returncode in (125, 126, 127):
        check(time.monotonic() < deadline, "no agent:", done.stderr, doppel.succeed("logs", name)[-2000:])
    # Nothing that starts waits for the network.
    while not doppel.run("exec", name, "ip", "-4", "route", "show", "default").stdout:
        check(time.monotonic() < deadline, "no network:", doppel.run("exec", name, "ip", "address").stdout)
        time.sleep(0.5)
    check(done.stdout == "running\n", "systemd says", done.stdout, done.stderr, doppel.run("exec", name, "systemctl", "--failed").stdout)


def inside(doppel, name, script):
    return doppel.succeed("exec", name, "bash", "-ec", script)


def own_disk(doppel, name):
    return pathlib.Path(doppel.info(name)["directory"]) / "system" / "own.qcow2"


def expect_clean(doppel, disk):
    """Its file system, as e2fsck finds it without mending anything."""
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        raw = pathlib.Path(folder) / "disk.raw"
        doppel.succeed("disk", "convert", "-O", "raw", disk, raw)
        e2fsck = shutil.which("e2fsck") or "/usr/sbin/e2fsck"
        done = subprocess.run([e2fsck, "-f", "-n", raw], capture_output=True, text=True, check=False)
        check(done.returncode == 0, "e2fsck ended with", done.returncode, done.stdout[-2000:])
        header = subprocess.run([shutil.which("dumpe2fs") or "/usr/sbin/dumpe2fs", "-h", raw], capture_output=True, text=True, check=True)
        check("needs_recovery" not in header.stdout, "the journal was not emptied:", header.stdout)


def long_a_debian_reaches_running_and_shuts_down_cleanly_with_one_and_two_processors():
    make_image()
    with instances() as doppel:
        for cpus in (1, 2):
            name = f"with{cpus}"
            start(doppel, name, "--cpus", cpus)
            check(inside(doppel, name, "nproc; id -un 0; cat /sys/class/net/e*/operstate").split() == [str(cpus), "root", "up"], "the guest")
            inside(doppel, name, "dd if=/dev/urandom of=/root/file bs=1M count=20 2>/dev/null")
            doppel.succeed("stop", "--timeout", "120", name)
            check(doppel.info(name)["exit_code"] == 0, "exit code", doppel.info(name)["exit_code"])
            expect_clean(doppel, own_disk(doppel, name))
        # What was written is there again.
        doppel.succeed("start", "with1")
        inside(doppel, "with1", "test $(stat -c %s /root/file) = 20971520; test -s /etc/machine-id")
        doppel.succeed("kill", "with1")


def long_apt_installs_a_compiler_in_a_debian_that_compiles():
    make_image()
    with instances() as doppel:
        guest.PATIENCE = 300
        start(doppel, "dev")
        inside(doppel, "dev", "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q gcc make python3")
        check(inside(doppel, "dev", """cd; printf '#include <stdio.h>\\nint main(void) { puts("compiled"); }\\n' >a.c
            printf 'a: a.c\\n\\tgcc -O2 -o a a.c\\n' >Makefile; make -s; ./a""") == "compiled\n", "the program")
        check(inside(doppel, "dev", "dpkg --audit; dpkg --verify") == "", "packages are not what they were")
        doppel.succeed("stop", "--timeout", "120", "dev")
        expect_clean(doppel, own_disk(doppel, "dev"))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def long_a_debians_web_server_is_reached_through_a_published_port():
    make_image()
    port = free_port()
    with instances() as doppel:
        guest.PATIENCE = 300
        start(doppel, "web", "--publish", f"127.0.0.1:{port}:8000")
        inside(doppel, "web", "apt-get update -q && apt-get install -y -q --no-install-recommends python3")
        inside(doppel, "web", "mkdir -p /srv/web && cd /srv/web && echo hello >index.html && systemd-run -q --working-directory=/srv/web "
                              "python3 -m http.server 8000")
        deadline = time.monotonic() + BOOT
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                    check(answer.read() == b"hello\n", "another page")
                break
            except OSError as problem:
                check(time.monotonic() < deadline, "no answer:", problem)
                time.sleep(1)
        doppel.succeed("kill", "web")


def long_a_gibibyte_reaches_a_debian_whole():
    make_image()
    expected = hashlib.sha256()
    for _ in range(GIB // len(PIECE)):
        expected.update(PIECE)
    with instances() as doppel, socket.create_server(("127.0.0.1", 0)) as server:
        guest.PATIENCE = 300
        start(doppel, "reader")

        def serve():
            with server.accept()[0] as connection:
                for _ in range(GIB // len(PIECE)):
                    connection.sendall(PIECE)
        threading.Thread(target=serve, daemon=True).start()
        got = inside(doppel, "reader", f"sha256sum </dev/tcp/10.0.2.2/{server.getsockname()[1]}").split()[0]
        check(got == expected.hexdigest(), "another sum:", got)
        doppel.succeed("kill", "reader")


def long_qemu_and_doppel_boot_the_same_disk_of_a_debian():
    make_image()
    qemu = shutil.which("qemu-system-riscv64")
    if not qemu:
        guest.skip("there is no qemu-system-riscv64")
    with instances() as doppel:
        start(doppel, "shared")
        inside(doppel, "shared", "echo from doppel >/root/doppel")
        doppel.succeed("stop", "--timeout", "120", "shared")
        folder = own_disk(doppel, "shared").parent
        process = subprocess.Popen([qemu, "-M", "virt", "-m", "1G", "-nographic", "-no-reboot", "-kernel", folder / "kernel", "-initrd", folder / "initrd",
                                    "-append", "quiet root=/dev/vda rw", "-drive", f"file={folder / 'own.qcow2'},format=qcow2,if=virtio"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        watchdog = threading.Timer(BOOT, process.kill)
        watchdog.start()
        seen = b""
        while b"# " not in seen.split(b"automatic login")[-1] or b"automatic login" not in seen:
            piece = process.stdout.read1()
            check(piece, "qemu ended:", seen.decode(errors="replace")[-2000:])
            seen += piece
        process.stdin.write(b"cat /root/doppel; echo from qemu >/root/qemu; systemctl is-system-running --wait; poweroff\r")
        process.stdin.flush()
        seen, _ = process.communicate(timeout=BOOT)
        watchdog.cancel()
        check(b"from doppel" in seen, "what doppel wrote is not there:", seen.decode(errors="replace"))
        expect_clean(doppel, folder / "own.qcow2")
        doppel.succeed("start", "shared")
        check(inside(doppel, "shared", "cat /root/qemu") == "from qemu\n", "what qemu wrote is not there")
        doppel.succeed("kill", "shared")


if __name__ == "__main__":
    guest.main(globals())
