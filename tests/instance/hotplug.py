#!/usr/bin/env python3
"""What a running instance follows: processors, memory and disks that come and go."""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import check  # noqa: E402
from support.instances import forever, instances  # noqa: E402

MIB = 1 << 20


def said(some, *words):
    done = some.run("set", *words)
    check(done.returncode == 0, words, "ended with", done.returncode, done.stderr)
    return done.stderr


def wait_until(condition, what):
    deadline = time.monotonic() + guest.PATIENCE
    while not condition():
        check(time.monotonic() < deadline, what)
        time.sleep(0.05)


def test_a_guests_processors_go_and_come_while_it_runs():
    guest.tiny()
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", "--cpus", "2,max=3", "tiny")
        check(some.succeed("exec", "dev", "nproc") == "2\n", "it does not begin with two")
        check("cpus is 3 now" in (text := said(some, "dev", "cpus=3")), text)
        check(some.succeed("exec", "dev", "nproc") == "3\n", "there is no third")
        check("cpus is 1 now" in (text := said(some, "dev", "cpus=1")), text)
        check(some.succeed("exec", "dev", "nproc") == "1\n", "two of them are still there")
        some.succeed("set", "dev", "max_cpus=0")
        check("cpus is 4 when it starts again: it was started with 3" in (text := said(some, "dev", "cpus=4")), text)
        check(some.succeed("exec", "dev", "nproc") == "1\n", "something has changed")
        some.fail("run", "-d", "--cpus", "3,max=2", "tiny", code=2, says="max=2 is not between")


def test_a_guest_hands_memory_over_and_gets_it_back():
    guest.tiny()
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", "--memory", "256M", "tiny")
        before = int(some.succeed("exec", "dev", "sh", "-c", "free -b | awk '/Mem/ {print $4}'"))
        check("memory is 192M now: the guest has handed over 64M" in (text := said(some, "dev", "memory=192M")), text)
        stats = json.loads(some.succeed("stats", "--json", "dev"))[0]
        check(stats["balloon"] == 64 * MIB, stats)
        after = int(some.succeed("exec", "dev", "sh", "-c", "free -b | awk '/Mem/ {print $4}'"))
        check(before - after > 32 * MIB, before, "bytes are free and then", after)
        check("memory is 256M now: the guest has handed over 0" in (text := said(some, "dev", "memory=256M")), text)
        check("memory is 512M when it starts again" in (text := said(some, "dev", "memory=512M")), text)


def test_disks_come_and_go_while_the_guest_runs():
    guest.tiny()
    with instances() as some:
        disk, other = some.folder / "data", some.folder / "a, comma.qcow2"
        disk.write_bytes(b"hello" + bytes(8 * MIB - 5))
        some.succeed("disk", "create", "-f", "qcow2", other, "1G")
        some.succeed("run", "-d", "--name", "dev", "tiny")
        some.succeed("exec", "dev", "true")  # it has booted
        check("is attached: /dev/vda in the guest" in (text := said(some, "dev", f"disk+={disk}")), text)
        check(some.succeed("exec", "dev", "head", "-c", "5", "/dev/vda") == "hello", "its content")
        escaped = str(other).replace(",", ",,")
        check("is attached: /dev/vdb in the guest" in (text := said(some, "dev", f"disk+={escaped},serial=two")), text)
        check(some.succeed("exec", "dev", "cat", "/sys/block/vdb/serial", "/sys/block/vdb/size") in (f"two{GIB_SECTORS}\n", f"two\n{GIB_SECTORS}\n"), "the second")
        some.succeed("exec", "dev", "sh", "-c", "echo changed | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null")
        locked = some.run("disk", "resize", disk, "16M")
        check(locked.returncode != 0 and "uses it" in locked.stderr, "it is not locked:", locked.stderr)
        # One that is mounted stays.
        some.succeed("exec", "dev", "sh", "-c", "mke2fs /dev/vdb >/dev/null 2>&1; modprobe ext4; mount /dev/vdb /mnt")
        check("stays until it starts again" in (text := said(some, "dev", f"disk-={escaped}")), text)
        some.succeed("exec", "dev", "umount", "/mnt")
        check("is detached" in (text := said(some, "dev", f"disk-={disk}")), text)
        check(some.run("exec", "dev", "test", "-e", "/dev/vda").returncode == 1, "the guest still has it")
        check(disk.read_bytes()[:8] == b"changed\n", "what the guest wrote")
        wait_until(lambda: some.run("disk", "resize", disk, "16M").returncode == 0, "its lock is still held")
        check("is attached" in (text := said(some, "dev", f"disk+={disk},ro")), text)
        some.succeed("stop", "--timeout", "120", "dev")
        some.succeed("start", "dev")
        check(some.succeed("exec", "dev", "head", "-c", "7", "/dev/vda") == "changed", "not there after a start")
        some.succeed("disk", "check", other)


def test_what_a_guest_cannot_follow_is_said():
    with instances() as some:
        disk = some.folder / "data"
        disk.write_bytes(bytes(MIB))
        some.succeed("run", "-d", "--name", "deaf", "--virtio", "mmio", *forever())
        check("comes when it starts again" in (text := said(some, "deaf", f"disk+={disk}")), text)
        check("comes when it starts again" in (text := said(some, "deaf", f"disk+={some.folder}/missing")), text)
        check("when it starts again changes: share" in (text := said(some, "deaf", f"share+={some.folder}")), text)
        some.fail("set", "deaf", "disk-=/nowhere", code=2, says="there is no /nowhere in it")
        some.fail("set", "deaf", "cpus+=1", code=2, says="no list")


GIB_SECTORS = (1 << 30) // 512


if __name__ == "__main__":
    guest.main(globals())
