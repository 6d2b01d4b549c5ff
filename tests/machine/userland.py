#!/usr/bin/env python3
"""What the guest sees, and the work it does."""
import hashlib
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import booted, check  # noqa: E402


def test_the_guest_finds_virtio_rng_on_its_pci_bus():
    with booted() as machine:
        found = machine.ask("cd /sys/bus/pci/devices; for d in *; do echo $(cat $d/vendor) $(cat $d/device); done; cd /")
        check("0x1af4 0x1044" in found.splitlines(), found)


def test_the_guests_time_is_right():
    with booted() as machine:
        before = int(time.time())
        seconds = int(machine.ask("date +%s"))
        after = int(time.time())
        check(before - 1 <= seconds <= after + 1, "the guest says", seconds, "between", before, "and", after)
        check(machine.ask("cat /sys/class/rtc/rtc0/name").startswith("goldfish"), "no goldfish RTC")


def test_the_device_tree_says_what_is_there():
    with booted("--cpus", "3", "--memory", "384M") as machine:
        check(machine.ask("tr '\\0' '\\n' < /proc/device-tree/hypervisor/compatible") == "doppel,hypervisor", "hypervisor")
        check(machine.ask("ls /proc/device-tree/cpus | grep -c ^cpu@") == "3", "harts")
        isa = machine.ask("tr '\\0' '\\n' < /proc/device-tree/cpus/cpu@0/riscv,isa-extensions").split()
        promised = {"i", "m", "a", "f", "d", "c", "zicsr", "zifencei", "zicntr", "zba", "zbb", "zbs", "zicond", "zicbom", "zicboz",
                    "zbc", "zbkb", "zbkc", "zbkx", "zkn", "zknd", "zkne", "zknh", "zkr", "zks", "zksed", "zksh",
                    "zihintpause", "sstc", "svadu", "svinval", "svnapot", "svpbmt", "ssaia"}
        check(set(isa) == promised, "isa-extensions", set(isa) ^ promised)
        # The kernel has understood them.
        check(re.search(r"^isa\s*: rv64imafdc_zicbom_zicboz_", machine.ask("cat /proc/cpuinfo"), re.M), "cpuinfo")
        check(re.search(r"^mmu\s*: sv57", machine.ask("cat /proc/cpuinfo"), re.M), "mmu")
        total = int(machine.ask("awk '/MemTotal/ { print $2 }' /proc/meminfo"))
        check(300 << 10 < total <= 384 << 10, "MemTotal", total, "kB")


def test_a_kernel_finds_the_vectors_that_are_asked_for():
    with booted("--vlen", "256", "--cpus", "2") as machine:
        isa = machine.ask("tr '\\0' '\\n' < /proc/device-tree/cpus/cpu@1/riscv,isa-extensions").split()
        check({"v", "zve64d", "zvl256b"} <= set(isa) and "zvl512b" not in isa, "isa-extensions", isa)
        check(machine.ask("grep -c '^isa.*: rv64imafdcv_.*_zve64d' /proc/cpuinfo") == "2", "the kernel does not use them")


def test_the_command_line_reaches_the_kernel():
    with booted("--append", "doppel.test=some-thing loglevel=3") as machine:
        check("doppel.test=some-thing" in machine.ask("cat /proc/cmdline"), "cmdline")


def test_sleeping_takes_its_time():
    with booted("--cpus", "2") as machine:
        began = time.monotonic()
        machine.ask("sleep 2")
        check(time.monotonic() - began >= 1.99, "the guest's clock is fast")
        uptime = [float(machine.ask("cat /proc/uptime").split()[0]) for _ in range(2)]
        check(uptime[1] >= uptime[0], uptime)


STRESS = r"""
seq 1 20000 > /tmp/n
work() {
    sort -rn /tmp/n | sort -n | sha256sum | cut -c1-16 > /tmp/sorted.$1
    gzip -c < /tmp/n | gzip -dc | md5sum | cut -c1-16 > /tmp/packed.$1
    i=0; while [ $i -lt 60 ]; do (exit 3) || i=$((i + 1)); done; echo $i > /tmp/forks.$1
    awk '{ s += $1 * 1.5; t += 1 / ($1 * 4) } END { printf "%.0f %.6f\n", s, t }' /tmp/n > /tmp/float.$1
    cat /tmp/n /tmp/n | tr 0-9 a-j | grep -c abc > /tmp/pipes.$1
}
for j in 1 2 3 4 5 6; do work $j & done; wait
"""


def test_four_harts_do_forks_pipes_and_sums_right():
    numbers = "".join(f"{n}\n" for n in range(1, 20001))
    letters = str.maketrans("0123456789", "abcdefghij")
    with booted("--cpus", "4") as machine:
        machine.ask("cat > /tmp/stress <<'X'\r" + STRESS.strip().replace("\n", "\r") + "\rX\rtrue")
        machine.ask("sh /tmp/stress")
        expected = {
            "sorted": hashlib.sha256(numbers.encode()).hexdigest()[:16],
            "packed": hashlib.md5(numbers.encode()).hexdigest()[:16],
            "forks": "60",
            "float": f"{sum(n * 1.5 for n in range(1, 20001)):.0f} {sum(1 / (n * 4) for n in range(1, 20001)):.6f}",
            "pipes": str(sum("abc" in str(n).translate(letters) for n in range(1, 20001)) * 2),
        }
        for name, value in expected.items():
            got = machine.ask(f"cat /tmp/{name}.*").splitlines()
            check(got == [value] * 6, name, got, "not", value)
        code, log = machine.shell("dmesg | grep -E 'BUG|WARNING|Oops|segfault|unhandled'")
        check(code == 1, log)


def test_a_crashing_program_leaves_the_guest_running():
    with booted() as machine:
        code, _ = machine.shell("sh -c 'kill -SEGV $$'")
        check(code == 128 + 11, "exit code", code)
        # A write to the kernel's memory from a user: killed, and the guest goes on.
        machine.shell("dd if=/dev/zero of=/dev/mem bs=1 seek=$((0xffffffff80000000)) count=1 2>/dev/null")
        check(machine.ask("echo on") == "on", "the shell does not go on")


if __name__ == "__main__":
    guest.main(globals())
