#!/usr/bin/env python3
"""Interrupt controllers as a stock kernel uses them: APLIC and IMSICs, the default, and the PLIC."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import booted, check, skip  # noqa: E402


def interrupts(machine):
    """/proc/interrupts: what a line's end says ("PCI-MSIX-0000:00:01.0 1 Edge virtio0-input") to its counts."""
    found = {}
    for line in machine.ask("cat /proc/interrupts").splitlines():
        if match := re.match(r"\s*\w+:((?:\s+\d+)+)\s+(\D.*)", line):
            found[" ".join(match[2].split())] = [int(count) for count in match[1].split()]
    return found


def one(lines, pattern):
    matches = [name for name in lines if re.search(pattern, name)]
    check(len(matches) == 1, pattern, "matches", matches, "of", lines)
    return matches[0]


def use_rng(machine):
    if machine.shell("modprobe virtio-rng")[0] != 0:
        skip("the image tiny is older than its modules: doppel image make tiny --refresh")
    check(machine.ask("dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c") == "64", "no entropy")


def expect_working(machine, harts, controller):
    check(machine.ask("grep -c ^processor /proc/cpuinfo") == str(harts), "harts")
    lines = interrupts(machine)
    check(sum(lines[one(lines, rf"^{controller}.* ttyS0$")]) > 0, "the UART does not interrupt:", lines)
    one(lines, rf"^{controller}.* 101000.rtc$")
    check(all(count > 0 for count in lines[one(lines, "riscv-timer$")]), "a hart without timer:", lines)
    if harts > 1:
        # Each hart has been called by another one.
        calls = zip(*[lines[one(lines, name)] for name in ("^Rescheduling interrupts$", "^Function call interrupts$")])
        check(all(sum(counts) > 0 for counts in calls), "a hart without interrupts from others:", lines)
    code, log = machine.shell("dmesg | grep -E 'BUG|WARNING|Oops|lockup|stall|unexpected|spurious'")
    check(code == 1, log)


def test_the_stock_kernel_boots_with_aplic_and_imsic_on_one_hart():
    with booted() as machine:
        expect_working(machine, 1, "APLIC-MSI")
        log = machine.ask("dmesg | grep imsic")
        check("per-CPU IDs 255 at base address 0x0000000028000000" in log, log)


def test_the_stock_kernel_boots_with_aplic_and_imsics_on_eight_harts():
    with booted("--cpus", "8", "--irqchip", "aia") as machine:
        check("providing IPIs using interrupt 1" in machine.ask("dmesg | grep imsic"), machine.ask("dmesg | grep imsic"))
        expect_working(machine, 8, "APLIC-MSI")


def test_the_stock_kernel_boots_with_the_plic_on_one_hart():
    with booted("--irqchip", "plic") as machine:
        expect_working(machine, 1, "SiFive PLIC")


def test_the_stock_kernel_boots_with_the_plic_on_eight_harts():
    with booted("--cpus", "8", "--irqchip", "plic") as machine:
        expect_working(machine, 8, "SiFive PLIC")


def test_virtio_rng_interrupts_by_msi_x_and_goes_to_the_hart_that_the_guest_chooses():
    with booted("--cpus", "2") as machine:
        use_rng(machine)
        vectors = machine.ask("cd /sys/bus/pci/drivers/virtio-pci/0000:00:01.0/msi_irqs && grep -H . *; cd /").split()
        check(len(vectors) == 2 and all(vector.endswith(":msix") for vector in vectors), vectors)
        name = one(interrupts(machine), r"^PCI-MSIX-0000:00:01\.0 .*virtio0-input$")
        check(sum(interrupts(machine)[name]) > 0, interrupts(machine))
        number = machine.ask("grep virtio0-input /proc/interrupts | cut -d: -f1 | tr -d ' '")
        for hart in (0, 1, 0):
            machine.ask(f"echo {1 << hart} > /proc/irq/{number}/smp_affinity")
            before = interrupts(machine)[name]
            machine.ask("dd if=/dev/hwrng bs=4096 count=4 of=/dev/null 2>/dev/null")
            after = interrupts(machine)[name]
            check(after[hart] > before[hart], "hart", hart, "was not interrupted:", before, after)


def test_virtio_rng_interrupts_by_wire_with_the_plic():
    with booted("--irqchip", "plic") as machine:
        use_rng(machine)
        code, _ = machine.shell("ls -d /sys/bus/pci/devices/*/msi_irqs")
        check(code != 0, "message-signalled interrupts without a receiver")
        lines = interrupts(machine)
        check(sum(lines[one(lines, r"^SiFive PLIC 33 .*virtio0$")]) > 0, lines)


if __name__ == "__main__":
    guest.main(globals())
