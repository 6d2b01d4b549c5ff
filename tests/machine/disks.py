#!/usr/bin/env python3
"""Disks of the host as the guest sees them, and as the host finds them afterwards."""
import contextlib
import hashlib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]
from harness import debian, initramfs  # noqa: E402
from harness.failure import Failure  # noqa: E402
from harness.machines import cache_folder  # noqa: E402
from support import guest  # noqa: E402
from support.guest import DOPPEL, Machine, booted, check  # noqa: E402

MIB = 1 << 20


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as path:
        yield pathlib.Path(path)


def raw(path, size, content=b""):
    with path.open("wb") as file:
        file.write(content)
        file.truncate(size)
    return path


def qcow2(path, size):
    subprocess.run([DOPPEL, "disk", "create", "-f", "qcow2", path, str(size)], check=True, capture_output=True)
    return path


def check_image(path):
    """By doppel's own check, and by QEMU's where there is one."""
    for command in ([DOPPEL, "disk", "check", path], ["qemu-img", "check", path]):
        if command[0] == DOPPEL or shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            check(done.returncode == 0, command, done.stdout, done.stderr)


def to_raw(path):
    """The same disk as a raw file beside it."""
    out = path.with_suffix(".raw")
    out.unlink(missing_ok=True)
    subprocess.run([DOPPEL, "disk", "convert", "-O", "raw", path, out], check=True, capture_output=True)
    return out


def digest(data):
    return hashlib.sha256(data).hexdigest()


def power_off(machine):
    machine.send("poweroff\r")
    machine.ends_with(0)


def write_random(machine, device, megabytes, seek=0):
    """Writes random bytes; their sum."""
    return machine.ask(f"dd if=/dev/urandom of=/tmp/w bs=1M count={megabytes} 2>/dev/null && sha256sum < /tmp/w | cut -c1-64 && "
                       f"dd if=/tmp/w of={device} bs=1M seek={seek} 2>/dev/null && rm /tmp/w && sync")


def sum_of(machine, device, megabytes, skip=0):
    return machine.ask(f"dd if={device} bs=1M count={megabytes} skip={skip} 2>/dev/null | sha256sum | cut -c1-64")


def test_what_the_guest_writes_to_a_disk_is_in_its_file():
    with folder() as here:
        disk = raw(here / "disk", 64 * MIB, content=b"from the host\n")
        with booted("--disk", f"{disk},serial=first") as machine:
            check(machine.ask("head -n 1 /dev/vda") == "from the host", "what the host wrote")
            check(machine.ask("cat /sys/block/vda/serial; echo; cat /sys/block/vda/size /sys/block/vda/ro").split()
                  == ["first", str(64 * MIB // 512), "0"], "shape")
            written = write_random(machine, "/dev/vda", 8, seek=20)
            machine.ask("printf end | dd of=/dev/vda bs=512 seek=131071 conv=notrunc 2>/dev/null")
            power_off(machine)
        content = disk.read_bytes()
        check(len(content) == 64 * MIB, "the file's size")
        check(digest(content[20 * MIB:28 * MIB]) == written, "the file has other bytes")
        check(content[-512:-509] == b"end" and content[:4] == b"from", "its ends")


def test_a_qcow2_disk_is_whole_when_the_guest_has_powered_off():
    with folder() as here:
        disk = qcow2(here / "disk.qcow2", 256 * MIB)
        with booted("--disk", disk, "--cpus", "2") as machine:
            written = write_random(machine, "/dev/vda", 6, seek=101)
            check(sum_of(machine, "/dev/vda", 6, skip=101) == written, "read back")
            power_off(machine)
        check_image(disk)
        check(digest(to_raw(disk).read_bytes()[101 * MIB:107 * MIB]) == written, "the file has other bytes")
        check(disk.stat().st_size < 16 * MIB, "it is not sparse:", disk.stat().st_size)


def test_a_signal_leaves_a_disk_whole():
    with folder() as here:
        disk = qcow2(here / "disk.qcow2", 64 * MIB)
        with booted("--disk", disk) as machine:
            written = write_random(machine, "/dev/vda", 4)
            machine.send("dd if=/dev/urandom of=/dev/vda bs=64k seek=200 count=500; echo do''ne\r")
            machine.expect(rb"dd if=[^\n]*\n")
            guest.end_by_signal(machine, signal.SIGTERM)
        check_image(disk)
        check(digest(to_raw(disk).read_bytes()[:4 * MIB]) == written, "the file has other bytes")


def test_a_read_only_disk_takes_no_writes():
    with folder() as here:
        disk = raw(here / "disk", MIB, content=b"kept")
        disk.chmod(0o444)
        with booted("--disk", f"{disk},ro") as machine:
            check(machine.ask("cat /sys/block/vda/ro; head -c 4 /dev/vda").split() == ["1", "kept"], "read")
            code, output = machine.shell("echo lost > /dev/vda")
            check(code != 0, "written to:", output)
            power_off(machine)
        check(disk.read_bytes()[:4] == b"kept", "changed")


def test_a_snapshot_leaves_the_file_as_it_was():
    with folder() as here:
        disks = [raw(here / "a", 16 * MIB, content=b"a" * MIB), qcow2(here / "b.qcow2", 16 * MIB)]
        before = [disk.read_bytes() for disk in disks]
        with booted(*(word for disk in disks for word in ("--disk", f"{disk},snapshot"))) as machine:
            for device in ("/dev/vda", "/dev/vdb"):
                written = write_random(machine, device, 5, seek=0)
                check(sum_of(machine, device, 5) == written, "read back")
            check(machine.ask("blkdiscard /dev/vda && head -c 4 /dev/vda | od -An -tx1") == "00 00 00 00", "discarded")
            power_off(machine)
        check([disk.read_bytes() for disk in disks] == before, "a file was changed")
        check(sorted(path.name for path in here.iterdir()) == ["a", "b.qcow2"], "files left behind")


def test_two_machines_cannot_write_to_one_disk():
    with folder() as here:
        disk = raw(here / "disk", MIB)
        with booted("--disk", disk) as machine:
            for options in ("", ",ro", ",snapshot"):
                done = subprocess.run([DOPPEL, "run", "--disk", f"{disk}{options}", *map(str, guest.tiny_arguments())],
                                      capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
                check(done.returncode == 125, options, done)
                check(re.fullmatch(rf"(doppel: a riscv64 machine[^\n]*\n)?doppel: lock disk for (reading|writing): {disk}: process "
                                   rf"{machine.pid} \(doppel-machine\) uses it[^\n]*\n", done.stderr), options, done.stderr)
            power_off(machine)


def test_a_disk_that_is_not_there_is_one_line():
    with folder() as here:
        for disk, says in ((here / "none", "No such file"), (here, "it is neither a file nor a block device|Is a directory")):
            done = subprocess.run([DOPPEL, "run", "--disk", disk, *map(str, guest.tiny_arguments())], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, check=False)
            lines = [line for line in done.stderr.splitlines() if not line.startswith("doppel: a riscv64 machine")]
            check(done.returncode == 125 and len(lines) == 1 and re.search(says, lines[0]), done)


def test_a_disk_stays_over_a_reboot():
    with folder() as here:
        with booted("--disk", raw(here / "disk", 16 * MIB), "--cpus", "2") as machine:
            written = write_random(machine, "/dev/vda", 4)
            for _ in range(2):
                # With requests under way.
                machine.send("(while :; do dd if=/dev/vda of=/dev/null bs=1M iflag=direct 2>/dev/null; done) & sleep 0.2; reboot -f\r")
                machine.expect(rb"(Restarting system|reboot: )")
                machine.expect(guest.PROMPT)
                check(sum_of(machine, "/dev/vda", 4) == written, "after a reboot")
            power_off(machine)


def test_sixteen_disks_stand_in_their_order():
    with folder() as here:
        disks = [raw(here / f"disk{i}", (i + 1) * MIB, content=b"%d\n" % i) for i in range(16)]
        with booted(*(word for i, disk in enumerate(disks) for word in ("--disk", f"{disk},serial=number-{i}"))) as machine:
            for i in range(16):
                name = f"vd{chr(ord('a') + i)}"
                found = machine.ask(f"cat /sys/block/{name}/serial; echo; cat /sys/block/{name}/size; head -n 1 /dev/{name}; "
                                    f"echo {i} again > /dev/{name}; sync")
                check(found.split() == [f"number-{i}", str((i + 1) * 2048), str(i)], name, found)
            power_off(machine)
        for i, disk in enumerate(disks):
            check(disk.read_bytes().startswith(b"%d again\n" % i), disk)


def test_four_harts_use_a_queue_each():
    with folder() as here:
        disk = raw(here / "disk", 64 * MIB)
        with booted("--disk", disk, "--cpus", "4") as machine:
            check(machine.ask("ls /sys/block/vda/mq").split() == ["0", "1", "2", "3"], "queues")
            machine.ask("for i in 0 1 2 3; do dd if=/dev/urandom of=/tmp/$i bs=1M count=4 2>/dev/null; done")
            machine.ask("for i in 0 1 2 3; do taskset -c $i dd if=/tmp/$i of=/dev/vda bs=16k seek=$((i * 512)) oflag=direct "
                        "conv=notrunc 2>/dev/null & done; wait")
            sums = [machine.ask(f"sha256sum < /tmp/{i} | cut -c1-64") for i in range(4)]
            check([sum_of(machine, "/dev/vda", 4, skip=8 * i) for i in range(4)] == sums, "read back")
            power_off(machine)
        content = disk.read_bytes()
        check([digest(content[8 * i * MIB:(8 * i + 4) * MIB]) for i in range(4)] == sums, "in the file")


def test_a_disk_works_with_the_interpreter():
    with folder() as here:
        disk = raw(here / "disk", 8 * MIB)
        with booted("--disk", f"{disk},iops=100000,bps=1G", "--engine", "interpret") as machine:
            written = write_random(machine, "/dev/vda", 1, seek=3)
            check(sum_of(machine, "/dev/vda", 1, skip=3) == written, "read back")
            power_off(machine)
        check(digest(disk.read_bytes()[3 * MIB:4 * MIB]) == written, "in the file")


def test_a_limited_disk_does_not_hold_up_the_end():
    with folder() as here:
        with booted("--disk", f"{raw(here / 'disk', 64 * MIB)},iops=1,bps=1K") as machine:
            machine.send("dd if=/dev/zero of=/dev/vda bs=1M count=40 & sleep 1; echo wai''ting\r")
            machine.expect(rb"waiting\r\n")
            guest.end_by_signal(machine, signal.SIGTERM)


def test_what_the_guest_discards_and_zeroes_takes_no_room():
    with folder() as here:
        disk = raw(here / "disk", 16 * MIB, content=os.urandom(16 * MIB))
        subprocess.run(["sync", disk], check=True)
        before = disk.stat().st_blocks
        with booted("--disk", disk) as machine:
            machine.ask("blkdiscard -o 0 -l 8388608 /dev/vda")
            check(machine.ask("dd if=/dev/vda bs=1M count=8 2>/dev/null | tr -d '\\0' | wc -c") == "0", "what was discarded")
            power_off(machine)
        check(disk.stat().st_blocks <= before - 8 * MIB // 512 + 64, "room:", before, disk.stat().st_blocks)


def test_an_error_of_the_host_reaches_the_guest():
    with folder() as here:
        disk = raw(here / "disk", 16 * MIB, content=b"x" * 16 * MIB)
        with booted("--disk", disk) as machine:
            os.truncate(disk, 8 * MIB)
            code, _ = machine.shell("dd if=/dev/vda of=/dev/null bs=1M skip=8 count=1 iflag=direct")
            check(code != 0, "bytes that are not there were read")
            check("I/O error" in machine.ask("dmesg | grep vda"), "the kernel was not told")
            machine.ask("dd if=/dev/vda of=/dev/null bs=1M count=8 iflag=direct 2>&1")
            power_off(machine)


def test_a_limit_on_files_sizes_is_an_error_of_the_write():
    with folder() as here:
        disk = raw(here / "disk", 16 * MIB)
        with booted("--disk", disk) as machine:
            machine.ask("dd if=/dev/zero of=/dev/vda bs=4k count=1 seek=3000 oflag=direct conv=notrunc 2>&1")
            resource.prlimit(machine.pid, resource.RLIMIT_FSIZE, (8 * MIB, 8 * MIB))
            machine.ask("dd if=/dev/zero of=/dev/vda bs=4k count=1 seek=100 oflag=direct conv=notrunc 2>&1")
            code, _ = machine.shell("dd if=/dev/zero of=/dev/vda bs=4k count=1 seek=3000 oflag=direct conv=notrunc")
            check(code != 0, "it was written beyond the limit")
            power_off(machine)


def test_a_disk_is_what_runs_beside_a_kernel():
    with folder() as here:
        disk = qcow2(here / "disk", 16 * MIB)
        with Machine(*guest.tiny_arguments(), "--disk", raw(here / "second", MIB), disk) as machine:
            machine.expect(guest.PROMPT)
            check(machine.ask("cat /sys/block/vda/size /sys/block/vdb/size").split() == ["32768", "2048"], "the first is another")
            power_off(machine)


def alone_with_a_small_file_system(size):
    """Starts the test anew in a mount namespace with a tmpfs; its folder."""
    if "DOPPEL_TEST_SMALL" in os.environ:
        return pathlib.Path(os.environ["DOPPEL_TEST_SMALL"])
    path = tempfile.mkdtemp(prefix="doppel-test-")
    os.environ["DOPPEL_TEST_SMALL"] = path
    script = f'mount -t tmpfs -o size={size} none "$DOPPEL_TEST_SMALL" && "$@"; code=$?; umount "$DOPPEL_TEST_SMALL"; exit $code'
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    try:
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
            guest.skip("no mount namespace here")
        sys.exit(subprocess.run([*unshare, sys.executable, *sys.argv], check=False).returncode)
    finally:
        os.rmdir(path)


def test_a_full_host_pauses_the_guest_until_there_is_room():
    here = alone_with_a_small_file_system(20 * MIB)
    for make in (raw, qcow2):
        disk, ballast = make(here / "disk", 64 * MIB), here / "ballast"
        ballast.write_bytes(b"b" * 14 * MIB)
        with booted("--disk", disk, "--cpus", "2") as machine:
            machine.ask("dd if=/dev/urandom of=/tmp/w bs=1M count=12 2>/dev/null")
            expected = machine.ask("sha256sum < /tmp/w | cut -c1-64")
            machine.send("dd if=/tmp/w of=/dev/vda bs=1M; sync; echo wri''tten:$?\r")
            machine.expect(rb"doppel: the guest is paused: [^\n]*/disk: its file system is full; make room, and it goes on\r?\n")
            machine.send("\r")
            for _ in range(15):
                machine.read(0.2)
            check(not re.search(rb"written:0", machine.seen), "it goes on without room:", machine.tail())
            ballast.unlink()
            machine.expect(rb"doppel: the guest goes on\r?\n")
            machine.expect(rb"written:0\r\n")
            machine.expect(guest.PROMPT)
            check(sum_of(machine, "/dev/vda", 12) == expected, "read back")
            check("error" not in machine.ask("dmesg | grep vda"), "the guest saw an error")
            power_off(machine)
            check(machine.seen.count(b"the guest is paused") == 1, machine.tail())
        if make is qcow2:
            check_image(disk)
        content = disk.read_bytes() if make is raw else to_raw_elsewhere(disk)
        check(digest(content[:12 * MIB]) == expected, "the file has other bytes")
        disk.unlink()


def to_raw_elsewhere(disk):
    with folder() as other:
        copy = other / disk.name
        shutil.copy(disk, copy)
        return to_raw(copy).read_bytes()


def test_a_paused_machine_ends_by_a_signal():
    here = alone_with_a_small_file_system(4 * MIB)
    with booted("--disk", raw(here / "disk", 64 * MIB)) as machine:
        machine.send("dd if=/dev/urandom of=/dev/vda bs=1M count=12\r")
        machine.expect(rb"the guest is paused")
        guest.end_by_signal(machine, signal.SIGTERM)


PROGRAMS = ("e2fsprogs",)
# A load on a file system in /mnt: what is made, renamed, cut and removed by several at once, with sums of what stays.
LOAD = """#!/bin/sh
worker() {
    mkdir /mnt/$1 && cd /mnt/$1 || exit 1
    i=0
    while test $i -lt 60; do
        dd if=/dev/urandom of=file$i bs=$((1000 + 777 * i)) count=$((1 + i % 9)) 2>/dev/null
        mkdir -p deep/$((i % 7))/$i && cp file$i deep/$((i % 7))/$i/copy && ln -s ../file$i deep/link$i && ln file$i deep/hard$i
        test $((i % 3)) = 0 && rm file$i
        test $((i % 5)) = 0 && mv deep/$((i % 7)) deep/moved$i && : > deep/moved$i/$i/copy
        test $((i % 10)) = 0 && sync
        i=$((i + 1))
    done
}
for one in 0 1 2 3; do worker $one & done
wait
cd /mnt && find . -type f | sort | xargs sha256sum > /tmp/sums && cp /tmp/sums /mnt/sums && wc -l < /tmp/sums
"""


def make_initramfs(path):
    """e2fsprogs over tiny, and the load."""
    try:
        tree, _ = debian.tree_of(PROGRAMS, cache_folder() / "tests" / "e2fsprogs")
    except Failure as problem:
        guest.skip(f"no packages: {problem}")
    with initramfs.over(guest.tiny()[1], path, tree) as cpio:
        cpio.program("load", LOAD.encode())
        cpio.folder("mnt")


@contextlib.contextmanager
def booted_with(initrd, *arguments):
    kernel, _, append = guest.tiny()
    guest.PATIENCE = 1200  # the load takes a minute where nothing else runs
    with Machine("--kernel", kernel, "--initrd", initrd, "--append", append, "--memory", "1G", *arguments) as machine:
        machine.expect(guest.PROMPT)
        machine.ask("modprobe ext4")
        yield machine


def host_fsck(path, *options, codes=(0,)):
    if shutil.which("e2fsck") is None:
        guest.skip("the host has no e2fsck")
    done = subprocess.run(["e2fsck", "-f", *options, path], capture_output=True, text=True, check=False)
    check(done.returncode in codes, done.returncode, done.stdout, done.stderr)


def test_a_file_system_that_the_guest_has_used_is_whole_for_the_host():
    if shutil.which("mke2fs") is None:
        guest.skip("the host has no mke2fs")
    with folder() as here:
        disk = raw(here / "disk", 128 * MIB)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", disk], check=True)
        with booted("--disk", disk, "--cpus", "2") as machine:
            machine.ask("modprobe ext4 && mount -t ext4 /dev/vda /mnt && mkdir /mnt/a /mnt/b")
            machine.ask("for w in a b; do (cd /mnt/$w; i=0; while test $i -lt 40; do dd if=/dev/urandom of=$i bs=5000 count=$((i % 7)) "
                        "2>/dev/null; ln $i hard$i; mv $i moved$i; test $((i % 3)) = 0 && rm hard$i; i=$((i + 1)); done; sync) & done; wait")
            sums = machine.ask("cd /mnt && find . -type f | sort | xargs sha256sum | sha256sum | cut -c1-64; cd /; umount /mnt")
            power_off(machine)
        host_fsck(disk, "-n")
        with booted("--disk", f"{disk},ro") as machine:
            machine.ask("modprobe ext4 && mount -t ext4 -o ro /dev/vda /mnt")
            check(machine.ask("cd /mnt && find . -type f | sort | xargs sha256sum | sha256sum | cut -c1-64") == sums, "other sums")
            power_off(machine)


def long_ext4_holds_under_load_on_raw_and_qcow2():
    with folder() as here:
        make_initramfs(here / "initrd")
        for disk in (raw(here / "raw", 512 * MIB), qcow2(here / "image.qcow2", 512 * MIB)):
            with booted_with(here / "initrd", "--disk", disk, "--cpus", "4") as machine:
                machine.ask("/usr/sbin/mke2fs -q -t ext4 /dev/vda && mount -t ext4 -o discard /dev/vda /mnt")
                check(int(machine.ask("sh /load")) > 400, "the load's files")
                machine.ask("umount /mnt && /usr/sbin/e2fsck -fn /dev/vda && mount -t ext4 -o ro /dev/vda /mnt")
                check("OK" in machine.ask("cd /mnt && sha256sum -c sums | grep -v ': OK' || echo OK"), "sums")
                machine.ask("cd / && umount /mnt")
                power_off(machine)
            if disk.suffix == ".qcow2":
                check_image(disk)
                disk = to_raw(disk)
            host_fsck(disk, "-n")


def long_ext4_survives_the_machines_sudden_end():
    with folder() as here:
        make_initramfs(here / "initrd")
        for disk in (raw(here / "raw", 512 * MIB), qcow2(here / "image.qcow2", 512 * MIB)):
            with booted_with(here / "initrd", "--disk", disk, "--cpus", "2") as machine:
                machine.ask("/usr/sbin/mke2fs -q -t ext4 /dev/vda && mount -t ext4 /dev/vda /mnt")
                machine.ask("echo durable > /mnt/before && sync")
                machine.send("sh /load\r")
                for _ in range(25):
                    machine.read(0.2)
                machine.process.kill()
                machine.process.wait()
            if disk.suffix == ".qcow2":
                subprocess.run([DOPPEL, "disk", "check", "-r", "all", disk], capture_output=True, check=False)
                check_image(disk)
                disk = to_raw(disk)
            host_fsck(disk, "-p", codes=(0, 1))
            host_fsck(disk, "-n")
            found = subprocess.run(["debugfs", "-R", "cat before", disk], capture_output=True, text=True, check=True)
            check(found.stdout == "durable\n", found)


if __name__ == "__main__":
    guest.main(globals())
