#!/usr/bin/env python3
"""--trace: one line for each thing that the guest does."""
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import booted, check  # noqa: E402

LINE = re.compile(r"(\d+) (\d+) (0x[0-9a-f]+) (\S+) (insn|mem|irq|trap|sbi|translate) (.+)")


def parse(text):
    lines = []
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        check(match, "not a line of a trace:", line)
        lines.append(match.groups())
    return lines


def trace(kinds, program, *options):
    """The lines that the program's run tells, and its output."""
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        path = pathlib.Path(folder) / "trace"
        command = [guest.DOPPEL, "run", "--trace", f"{kinds}={path}", *options, "--firmware", guest.program(program)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        check(done.returncode == 0 and done.stderr == "", done)
        return parse(path.read_text()), done.stdout


def test_tracing_instructions_shows_each_with_its_symbol_and_number():
    lines, _ = trace("insn", "tohost_pass")
    check(any(symbol == "_start" for _, _, _, symbol, _, _ in lines), "no _start")
    check(any(symbol.startswith("main") for _, _, _, symbol, _, _ in lines), "no main")
    counts = [int(retired) for _, retired, _, _, _, _ in lines]
    check(counts[0] == 0 and all(after - before in (0, 1) for before, after in zip(counts, counts[1:])), "counts", counts[:20])
    first = next(detail for _, _, _, symbol, _, detail in lines if symbol == "_start")
    check(first == "csrrs t0, mhartid, zero", first)


def test_tracing_memory_shows_what_goes_to_the_serial_port():
    lines, output = trace("mem", "uart_output")
    sent = re.compile(r"store 1 at 0x10000000 = 0x([0-9a-f]+)")
    said = "".join(chr(int(match.group(1), 16)) for *_, detail in lines if (match := sent.fullmatch(detail)))
    check(said.replace("\r", "") == output.replace("\r", ""), said, output)


def test_tracing_traps_shows_cause_and_target():
    lines, _ = trace("trap", "pmp")
    check(any("access fault: tval 0x" in detail and detail.endswith("trap_entry") for *_, detail in lines), lines[:10])


def test_tracing_interrupts_shows_their_numbers():
    lines, _ = trace("irq", "timer_interrupt")
    check(lines and all(re.fullmatch(r"7 machine timer interrupt: M to M 0x[0-9a-f]+ trap_entry", detail) for *_, detail in lines), lines[:5])


def test_tracing_sbi_calls_shows_how_a_kernel_starts():
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        path = pathlib.Path(folder) / "trace"
        with booted("--cpus", "2", "--trace", f"sbi={path}") as machine:
            machine.send("poweroff\r")
            machine.ends_with(0)
        details = [detail for *_, detail in parse(path.read_text())]
    # What a kernel asks and in which order is its own affair; without these it would not know of any SBI.
    check("BASE.get_spec_version() = 0, 0x2000000" in details, "the SBI's version was not asked for", details[:10])
    check(any(re.fullmatch(r"BASE\.probe_extension\(0x[0-9a-f]+\) = 0, 0x[0-9a-f]+", detail) for detail in details), details[:10])
    check(any(re.fullmatch(r"HSM\.hart_start\(0x1, .*\) = 0, 0x0", detail) for detail in details), "hart 1 was not started")


def image(code):
    """A kernel that starts with `code` (https://docs.kernel.org/arch/riscv/boot-image-header.html)."""
    jump_behind_header = 0x0400006F  # jal zero, 64
    header = struct.pack("<IIQQQIIQ8s4sI", jump_behind_header, 0, 2 << 20, 4096, 0, 2, 0, 0, b"RISCV", b"RSC\x05", 0)
    return (header + b"".join(struct.pack("<I", word) for word in code)).ljust(4096, b"\0")


def test_tracing_sbi_calls_shows_answers_and_that_a_reset_does_not_return():
    code = [0x0100_0893,   # li a7, 0x10: BASE
            0x0000_0813,   # li a6, 0: get_spec_version
            0x0000_0073,   # ecall
            0x5352_58B7,   # lui a7, 0x53525
            0x3548_889B,   # addiw a7, a7, 0x354: SRST
            0x0000_0513,   # li a0, 0: shutdown
            0x0000_0593,   # li a1, 0: no reason
            0x0000_0073]   # ecall
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        kernel, path = pathlib.Path(folder) / "kernel", pathlib.Path(folder) / "trace"
        kernel.write_bytes(image(code))
        done = subprocess.run([guest.DOPPEL, "run", "--trace", f"sbi={path}", "--kernel", kernel], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        check(done.returncode == 0 and done.stderr == "", done)
        lines = [(retired, detail) for _, retired, _, _, _, detail in parse(path.read_text())]
    check(lines == [("3", "BASE.get_spec_version() = 0, 0x2000000"), ("7", "SRST.system_reset(0x0, 0x0) does not return")], lines)


def test_traces_go_to_standard_error_and_several_to_one_file():
    command = [guest.DOPPEL, "run", "--trace", "insn,trap", "--trace", "mem=-", "--firmware", guest.program("tohost_pass")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    check(done.returncode == 0, done)
    kinds = {kind for *_, kind, _ in parse(done.stderr)}
    check(kinds == {"insn", "mem"}, kinds)


def test_tracing_translations_shows_guest_code_operations_and_host_code():
    done = subprocess.run([guest.DOPPEL, "run", "--explain", "--json", "tiny"], capture_output=True, text=True, check=False)
    if '"engine": "translate"' not in done.stdout:
        guest.skip("this build has no translator")
    lines, _ = trace("translate", "timer_interrupt", "--translation-cache", "off")
    made = [index for index, line in enumerate(lines) if line[5].startswith("made ")]
    check(made and made[0] == 0, lines[:5])
    for begin, end in zip(made, made[1:] + [len(lines)]):
        title = re.fullmatch(r"made a (?:block|loop of \d+ blocks), (\d+) instructions, \d+ bytes: \d+ bytes of host code at (0x[0-9a-f]+)",
                             lines[begin][5])
        check(title, lines[begin])
        parts = {what: [line for line in lines[begin + 1:end] if line[5].startswith(what + " ")] for what in ("guest", "ir", "host")}
        check(sum(map(len, parts.values())) == end - begin - 1, lines[begin:end])
        check(len(parts["guest"]) == int(title.group(1)) and parts["ir"] and parts["host"], lines[begin:end])
        check(parts["guest"][0][2] == lines[begin][2] and parts["host"][0][5].split()[1] == title.group(2), lines[begin:end])
        check(not any(" byte 0x" in line[5] for line in parts["host"]), "host code that is none", parts["host"])
        check(all(line[3] != "-" for line in parts["guest"]), "no symbols", parts["guest"])


def test_tracing_translations_does_not_apply_to_the_interpreter():
    done = subprocess.run([guest.DOPPEL, "run", "--engine", "interpret", "--trace", "translate", "--firmware", guest.program("tohost_pass")],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    check(done.returncode == 2 and re.fullmatch(r"doppel: usage: --trace translate: [^\n]+\n", done.stderr), done)


def test_every_hart_is_traced():
    # Interrupts, as a hart that waits in a loop would fill a disk with instructions.
    lines, _ = trace("irq", "software_interrupts", "--cpus", "4")
    for hart in "0123":
        taken = [detail for number, *_, detail in lines if number == hart]
        check(len(taken) == 100, "hart", hart, "took", len(taken))
        check(all(detail.startswith("3 machine software interrupt: M to M 0x") for detail in taken), hart, taken[:5])


def test_a_trace_ends_at_its_limit_and_the_machine_goes_on():
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        path = pathlib.Path(folder) / "trace"
        done = subprocess.run([guest.DOPPEL, "run", "--trace", f"insn,mem={path},limit=64K", "--firmware", guest.program("timer_interrupt")],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        check(done.returncode == 0, done)
        check(re.fullmatch(rf"doppel: warning: write trace: {path}: its limit of 64K is reached, [^\n]+\n", done.stderr), done.stderr)
        text = path.read_text()
        check(60 << 10 < len(text) <= 64 << 10 and parse(text), len(text))


def test_a_reader_of_a_trace_that_does_not_read_cannot_keep_the_machine():
    reader, writer = os.pipe()
    command = [guest.DOPPEL, "run", "--trace", "insn", "--firmware", guest.program("spin")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writer) as machine:
        os.close(writer)
        check(os.read(reader, 1), "nothing was traced")
        time.sleep(0.5)  # the pipe is full soon, but the machine has to end in either case
        machine.terminate()
        check(machine.wait(guest.PATIENCE) == 128 + signal.SIGTERM, machine.returncode)
    os.close(reader)


def test_a_machine_that_does_not_start_leaves_an_old_trace_alone():
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        path = pathlib.Path(folder) / "trace"
        path.write_text("old")
        done = subprocess.run([guest.DOPPEL, "run", "--trace", f"insn={path}", "--firmware", pathlib.Path(folder) / "none"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        check(done.returncode == 125 and path.read_text() == "old", done, path.read_text())


def test_a_wrong_trace_is_refused():
    for text, code in (("all", 2), ("", 2), ("insn,", 2), ("insn=", 2), ("insn=-,limit=x", 2), ("insn=/nowhere/at/all", 125)):
        done = subprocess.run([guest.DOPPEL, "run", "--trace", text, "--firmware", guest.program("tohost_pass")],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        check(done.returncode == code and re.fullmatch(r"doppel: [^\n]+\n", done.stderr), text, done)


if __name__ == "__main__":
    guest.main(globals())
