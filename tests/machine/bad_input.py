#!/usr/bin/env python3
"""What cannot be started is one line on stderr that names it, the right exit code, and nothing left behind."""
import os
import pathlib
import re
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.verdict import check, check_failure  # noqa: E402

USAGE, NOT_STARTED = 2, 125


def refuse(options, code=NOT_STARTED, says="", files=None, **run_options):
    """Runs doppel in a folder with `files` (name: bytes) and expects it to refuse."""
    with guest.surroundings() as around:
        home = around.folder / "home"
        for name, content in (files or {}).items():
            (home / name).write_bytes(content)
        before = around.files()
        done = subprocess.run([guest.DOPPEL, "run", *map(str, options)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", cwd=home, env=around.environment, timeout=guest.PATIENCE, check=False,
                              **run_options)
        check_failure(options, done, code=code, says=[says])
        around.expect_nothing_left(*before)


def kernel():
    return guest.tiny()[0].read_bytes()


def elf(machine=243, bits=2, kind=2, entry=0x80000000, headers=(), section_offset=0, sections=0, body=b"\x13\0\0\0" * 16):
    """An ELF file with one program header for each of `headers`: (type, offset, address, file size, memory size)."""
    table = b"".join(struct.pack("<IIQQQQQQ", kind_, 7, offset, address, address, file_size, memory_size, 4096)
                     for kind_, offset, address, file_size, memory_size in headers)
    header = b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", kind, machine, 1, entry, 64, section_offset, 0, 64, 56, len(headers), 64, sections, 0)
    return header + table + body


RAM = 0x80000000


def test_a_missing_kernel_is_refused():
    refuse(["--kernel", "none"], says="none: .*[Nn]o such file")
    refuse(["--kernel", "k", "--initrd", "none"], says="none", files={"k": b"x"})
    refuse(["--firmware", "none"], says="none: .*[Nn]o such file")


def test_an_empty_kernel_is_refused():
    refuse(["--kernel", "empty"], says="empty", files={"empty": b""})
    refuse(["--firmware", "empty"], says="empty", files={"empty": b""})


def test_a_directory_as_kernel_is_refused():
    refuse(["--kernel", "/etc"], says="/etc: .*(directory|not a regular file)")
    refuse(["--firmware", "/etc"], says="/etc: .*(directory|not a regular file)")
    refuse(["--kernel", "/dev/zero"], says="/dev/zero")


def test_an_unreadable_kernel_is_refused():
    with guest.surroundings() as around:
        path = around.folder / "home" / "secret"
        path.write_bytes(b"x")
        path.chmod(0)
        if os.access(path, os.R_OK):
            as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            if subprocess.run([*as_nobody, guest.DOPPEL, "version"], capture_output=True, check=False).returncode != 0:
                guest.skip("root reads every file, and nobody cannot run doppel from where it lies")
            around.folder.chmod(0o755)
            path.parent.chmod(0o755)
        else:
            as_nobody = []
        process = subprocess.run([*as_nobody, guest.DOPPEL, "run", "--kernel", path], stdin=subprocess.DEVNULL,
                                 capture_output=True, text=True, env=os.environ | {"HOME": "/", "XDG_CACHE_HOME": "/nowhere"},
                                 check=False)
        check(process.returncode == NOT_STARTED, process)
        check(re.fullmatch(r"doppel: .*secret: .*[Pp]ermission denied[^\n]*\n", process.stderr), repr(process.stderr))


def test_a_text_as_kernel_is_refused():
    refuse(["--kernel", "text"], says="text", files={"text": b"This is no kernel.\n" * 1000})
    refuse(["--firmware", "text"], says="text", files={"text": b"This is no firmware.\n" * 1000})


def test_a_kernel_of_another_architecture_is_refused_by_its_name():
    arm64 = bytes(56) + b"ARM\x64" + bytes(4096)
    x86 = bytes(0x1fe) + b"\x55\xaa" + b"\xeb\x66HdrS" + bytes(4096)
    refuse(["--kernel", "Image"], says="(?i)arm64|aarch64", files={"Image": arm64})
    refuse(["--kernel", "bzImage"], says="(?i)x86", files={"bzImage": x86})
    refuse(["--kernel", "program"], says="(?i)x86",
           files={"program": elf(machine=62, headers=[(1, 0, RAM, 128, 128)])})
    refuse(["--firmware", "program"], says="(?i)x86", files={"program": elf(machine=62, headers=[(1, 0, RAM, 128, 128)])})
    refuse(["--firmware", "program"], says="(?i)32.bit", files={"program": elf(bits=1)})


def test_a_truncated_kernel_is_refused():
    whole = kernel()
    for size in (1, 63, 64, 4096, len(whole) // 2, len(whole) - 4096):
        refuse(["--kernel", "cut", "--append", "quiet"], says="cut", files={"cut": whole[:size]})


def test_a_truncated_compressed_kernel_is_refused():
    import gzip
    packed = gzip.compress(kernel()[: 1 << 20], 1)
    refuse(["--kernel", "cut.gz"], says="cut.gz", files={"cut.gz": packed[: len(packed) // 2]})
    refuse(["--kernel", "bad.gz"], says="bad.gz", files={"bad.gz": packed[:2000] + bytes(2000) + packed[4000:]})


def test_an_elf_with_wild_offsets_is_refused():
    wild = {
        "segment behind the end of the file": elf(headers=[(1, 1 << 40, RAM, 64, 64)]),
        "segment across the end of the file": elf(headers=[(1, 64, RAM, 1 << 30, 1 << 30)]),
        "offset that overflows": elf(headers=[(1, 2**64 - 32, RAM, 64, 64)]),
        "file size above memory size": elf(headers=[(1, 0, RAM, 128, 16)]),
        "memory size that overflows": elf(headers=[(1, 0, RAM, 64, 2**64 - 1)]),
        "segment outside RAM": elf(headers=[(1, 0, 0x1000, 64, 64)], entry=0x1000),
        "segment behind RAM": elf(headers=[(1, 0, RAM + (1 << 40), 64, 64)], entry=RAM + (1 << 40)),
        "address that overflows": elf(headers=[(1, 0, 2**64 - 4096, 64, 8192)]),
        "no segment": elf(),
        "entry outside": elf(headers=[(1, 0, RAM, 128, 128)], entry=0xdead0000),
        "header alone": elf()[:63],
        "table cut": elf(headers=[(1, 0, RAM, 128, 128)])[:100],
    }
    for name, content in wild.items():
        print(name)
        refuse(["--firmware", "wild"], says="wild", files={"wild": content})
        refuse(["--kernel", "wild"], says="wild", files={"wild": content})


def test_an_elf_with_wild_sections_still_runs_or_is_refused():
    # Sections only name `tohost`: a program without it is refused or runs, but the host process never crashes.
    content = elf(headers=[(1, 0, RAM, 4096, 4096)], section_offset=2**63, sections=60000, body=bytes(4096))
    refuse(["--firmware", "wild"], says="wild", files={"wild": content})


def test_too_little_memory_is_refused():
    refuse(["--memory", "15M", "--firmware", guest.program("tohost_pass")], USAGE, "--memory")
    refuse(["--memory", "0", "--firmware", guest.program("tohost_pass")], USAGE, "--memory")
    refuse(["--memory", "-1", "--firmware", guest.program("tohost_pass")], USAGE, "--memory")
    refuse(["--memory", "lots", "--firmware", guest.program("tohost_pass")], USAGE, "--memory")
    refuse(["--memory", "99999999T", "--firmware", guest.program("tohost_pass")], USAGE, "--memory")
    # What the machine may have, but the kernel does not fit into.
    refuse(["--memory", "16M", *guest.tiny_arguments()], NOT_STARTED, "(?i)memory")


def test_0_and_1000_harts_are_refused():
    for count in ("0", "17", "1000", "-1", "4294967297", "99999999999999999999", "two"):
        refuse(["--cpus", count, "--firmware", guest.program("tohost_pass")], USAGE, "--cpus")


def test_an_initrd_that_does_not_fit_is_refused():
    with guest.surroundings() as around:
        path = around.folder / "big"
        with path.open("wb") as file:
            file.truncate(600 << 20)
        refuse(["--kernel", guest.tiny()[0], "--initrd", path, "--memory", "256M"], says="(?i)memory|fit")


def test_raw_code_without_a_firmware_is_refused():
    refuse(["--kernel", "u-boot.bin"], says="u-boot.bin: is not a kernel; .*--firmware", files={"u-boot.bin": b"\x93" * 5000})
    refuse(["--kernel", "text", "--firmware", "fw"], says="text: is a text file",
           files={"fw": b"\x93" * 5000, "text": b"This is no code.\n" * 1000})


def test_a_kernel_as_firmware_is_refused():
    refuse(["--firmware", guest.tiny()[0]], says="is a Linux kernel.*--kernel")


def test_flash_that_cannot_be_is_refused():
    refuse(["--flash", "none"], says="read flash: none: .*[Nn]o such file")
    refuse(["--flash", "/etc"], says="read flash: /etc: it is not a regular file")
    refuse(["--flash", "/dev/zero"], says="read flash: /dev/zero: it is not a regular file")
    refuse(["--flash", "large"], says="read flash: large: it has 33554433 bytes, more than the 32M of the flash",
           files={"large": bytes((32 << 20) + 1)})
    refuse(["--flash", "code", "--flash", "large"], says="read flash: large: ",
           files={"code": b"x", "large": bytes((32 << 20) + 1)})
    refuse(["--flash", "a", "--flash", "b", "--flash", "c"], USAGE, "--flash")
    refuse(["--flash", ",ro"], USAGE, "--flash")


def test_flash_of_another_machine_is_refused():
    with guest.surroundings() as around:
        variables = around.folder / "vars"
        variables.write_bytes(b"")
        code = around.folder / "code"
        code.write_bytes(b"\x6f\0\0\0")  # j .
        flash = ["--flash", code, "--flash", variables]
        with guest.Machine(*flash, "--console", f"file:{around.folder / 'console'}", on_terminal=False) as machine:
            deadline = guest.time.monotonic() + guest.PATIENCE
            while not (around.folder / "console").exists() and guest.time.monotonic() < deadline:
                guest.time.sleep(0.05)
            refuse(flash, says="vars: another machine writes to it")
            refuse(["--flash", code, "--flash", f"{variables},ro", "--kernel", "none"], says="none")
            guest.end_by_signal(machine, 15)


if __name__ == "__main__":
    guest.main(globals())
