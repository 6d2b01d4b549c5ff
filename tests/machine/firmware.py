#!/usr/bin/env python3
"""Real firmware in M-mode, what it starts, and flash: Debian's OpenSBI, U-Boot and EDK2."""
import os
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import efi_disk, guest  # noqa: E402
from support.guest import Machine, booted, check  # noqa: E402

TOOLS = pathlib.Path(os.environ.get("DOPPEL_TOOLS", pathlib.Path(__file__).resolve().parents[2] / "build" / "tools"))
guest.PATIENCE = 240  # firmware waits for keys before it goes on, some of it for many seconds
UBOOT_PROMPT = rb"\n=> "
SHELL_PROMPT = rb"Shell> "
VARIABLE = "setvar doppel -guid 5d1c2b6e-93ca-11d2-aa0d-00e098032b8c"


def tool(name):
    path = TOOLS / name
    if not path.exists():
        guest.skip(f"{name} is missing: see the test fixture.firmware")
    return path


def expect_guest_on(firmware, harts, *options):
    with booted("--firmware", tool(firmware), "--cpus", harts, *options) as machine:
        check(b"OpenSBI v" in machine.seen, "OpenSBI has not spoken:", machine.tail())
        check(machine.ask("nproc") == str(harts), "nproc")
        machine.send("poweroff\r")
        machine.ends_with(0)


def test_opensbi_fw_dynamic_boots_the_guest_with_one_hart():
    expect_guest_on("opensbi-fw_dynamic.bin", 1)


def test_opensbi_fw_dynamic_boots_the_guest_with_four_harts():
    expect_guest_on("opensbi-fw_dynamic.bin", 4)


def test_opensbi_fw_dynamic_boots_the_guest_with_the_plic_and_four_harts():
    expect_guest_on("opensbi-fw_dynamic.bin", 4, "--irqchip", "plic")


def test_opensbi_fw_dynamic_boots_the_guest_from_an_elf():
    expect_guest_on("opensbi-fw_dynamic.elf", 2)


def test_opensbi_fw_jump_boots_the_guest():
    expect_guest_on("opensbi-fw_jump.bin", 2)


def test_opensbi_fw_jump_boots_the_guest_from_an_elf():
    expect_guest_on("opensbi-fw_jump.elf", 2)


def test_the_guest_reboots_through_opensbi():
    with booted("--firmware", tool("opensbi-fw_dynamic.bin"), "--cpus", "2") as machine:
        machine.ask("echo here > /run/was")
        machine.send("reboot\r")
        machine.expect(rb"OpenSBI v")
        machine.expect(guest.PROMPT)
        check("was" not in machine.ask("ls /run").split(), "memory has survived the reboot")
        check(machine.ask("nproc") == "2", "nproc")
        machine.send("poweroff\r")
        machine.ends_with(0)


def stop_autoboot(machine):
    machine.expect(rb"Hit any key to stop autoboot")
    machine.send(" ")
    machine.expect(UBOOT_PROMPT)


def test_u_boot_in_m_mode_reboots_and_powers_off():
    with Machine("--firmware", tool("u-boot.bin")) as machine:
        stop_autoboot(machine)
        machine.send("reset\r")
        stop_autoboot(machine)
        machine.send("poweroff\r")
        machine.ends_with(0)


def test_u_boot_behind_opensbi_boots_the_guest_from_flash():
    kernel, initrd, append = guest.tiny()
    with Machine("--firmware", tool("opensbi-fw_dynamic.bin"), "--kernel", tool("u-boot-smode.bin"), "--initrd", initrd,
                 "--flash", f"{kernel},ro", "--cpus", "2") as machine:
        stop_autoboot(machine)
        words = (kernel.stat().st_size + 7) // 8
        start = 0x90000000  # of the initrd in a machine of 512 MiB
        for command in (f"setenv bootargs {append}", f"cp.q 20000000 ${{kernel_addr_r}} {words:x}", "fdt addr ${fdtcontroladdr}",
                        "fdt get value initrd /chosen linux,initrd-start 1; echo initrd at ${initrd}"):
            machine.send(command + "\r")
            machine.expect(UBOOT_PROMPT)
        check(b"initrd at 0x%x" % start in machine.seen, "the initrd lies elsewhere:", machine.tail())
        machine.send(f"booti ${{kernel_addr_r}} {start:x}:{initrd.stat().st_size:x} ${{fdtcontroladdr}}\r")
        machine.expect(guest.PROMPT)
        check(machine.ask("nproc") == "2", "nproc")
        machine.send("poweroff\r")
        machine.ends_with(0)


def test_a_disk_starts_through_the_firmware_that_is_found():
    kernel, _, _ = guest.tiny()
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as name:
        folder = pathlib.Path(name)
        disk = folder / "disk"
        disk.write_bytes(efi_disk.made_of(kernel.read_bytes()))
        code = folder / "cache/doppel/firmware/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd"
        code.parent.mkdir(parents=True)
        shutil.copyfile(tool("edk2-code.fd"), code)
        with Machine(disk, environment=dict(os.environ, XDG_CACHE_HOME=str(folder / "cache"))) as machine:
            machine.expect(rb"EFI stub: Booting Linux Kernel")
            machine.expect(rb"Linux version [0-9]")


def set_variable(machine):
    machine.expect(SHELL_PROMPT)
    machine.send(f"{VARIABLE} -bs -rt -nv =0x4b\r")
    machine.expect(SHELL_PROMPT)


def expect_variable(machine):
    machine.send(f"{VARIABLE}\r")
    machine.expect(rb"doppel - 0001 Bytes\s+4B")
    machine.expect(SHELL_PROMPT)


def test_edk2_keeps_its_variables_over_reboots_and_machines():
    """On the host's firmware; the second machine has OpenSBI."""
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        code, variables = tool("edk2-code.fd"), pathlib.Path(folder) / "vars.fd"
        shutil.copyfile(tool("edk2-vars.fd"), variables)
        flash = ["--flash", code, "--flash", variables]
        before = code.read_bytes()
        with Machine(*flash) as machine:
            set_variable(machine)
            machine.send("reset\r")
            machine.expect(SHELL_PROMPT)
            expect_variable(machine)
            machine.send("reset -s\r")
            machine.ends_with(0)
        check(code.read_bytes() == before, "the code's file has changed")
        check(b"d\0o\0p\0p\0e\0l\0" in variables.read_bytes(), "the variable is not in its file")
        with Machine("--firmware", tool("opensbi-fw_dynamic.bin"), *flash, "--cpus", "2") as machine:
            machine.expect(SHELL_PROMPT)
            expect_variable(machine)
            guest.end_by_signal(machine, 9)  # what was written is there all the same
        with Machine("--firmware", tool("opensbi-fw_dynamic.bin"), *flash) as machine:
            machine.expect(SHELL_PROMPT)
            expect_variable(machine)


def test_edk2_without_a_variables_file_forgets():
    with Machine("--flash", f"{tool('edk2-code.fd')},ro") as machine:
        set_variable(machine)
        expect_variable(machine)
        machine.send("reset -s\r")
        machine.ends_with(0)


if __name__ == "__main__":
    guest.main(globals())
