"""System calls made by a thread of another process, as if its program were under someone else's control.

Source: ptrace(2); Linux, arch/x86/include/asm/user_64.h for the registers.
"""
import ctypes
import os
import pathlib
import re
import signal
import struct

from support import guest

SEIZE, INTERRUPT, SINGLESTEP, DETACH, GETREGS, SETREGS = 0x4206, 0x4207, 9, 17, 12, 13
SUSPEND_SECCOMP = 1 << 21  # for tracers with CAP_SYS_ADMIN
WALL = 0x40000000          # waits for threads too

REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
             "ds es fs gs").split()
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
SYSCALL = b"\x0f\x05"  # the instruction
NUMBERS = {"socket": 41, "connect": 42, "sendto": 44, "fork": 57, "execve": 59, "kill": 62, "unlink": 87, "ptrace": 101, "openat": 257}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Refused(Exception):
    """The host does not let us."""


def ptrace(request, thread, data=0):
    if libc.ptrace(request, thread, None, data) == -1:
        error = ctypes.get_errno()
        raise Refused(f"ptrace: {os.strerror(error)}")


class Intruder:
    """Has the thread halted until it leaves it. `suspend_seccomp` puts the thread's filters out of force meanwhile."""

    def __init__(self, process, thread, suspend_seccomp=False):
        if os.uname().machine != "x86_64":
            guest.skip("this test knows the registers of x86-64 alone")
        self.process, self.thread = process, thread
        try:
            ptrace(SEIZE, thread, SUSPEND_SECCOMP if suspend_seccomp else 0)
        except Refused as refused:
            guest.skip(f"another process's thread cannot be taken over here ({refused})")
        ptrace(INTERRUPT, thread)
        self._wait()
        self.memory = open(f"/proc/{process}/mem", "r+b", buffering=0)
        self.saved = self._registers()
        self.instruction = self._find_instruction()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.memory.close()
        # A thread that is gone by then needs no leave.
        for request in (SETREGS, DETACH):
            try:
                ptrace(request, self.thread, self._packed(self.saved) if request == SETREGS else 0)
            except Refused:
                pass

    def call(self, name, *arguments):
        """The kernel's answer (negative: an error number), or the signal that the call brought instead, which is dropped."""
        self._prepare(name, arguments)
        ptrace(SINGLESTEP, self.thread)
        stop = self._wait()
        if stop != signal.SIGTRAP:
            ptrace(SINGLESTEP, self.thread)  # the step's own signal is still to come
            guest.check(self._wait() == signal.SIGTRAP, "another signal came")
            return signal.Signals(stop)
        return struct.unpack("<q", struct.pack("<Q", self._registers()["rax"]))[0]

    def call_and_leave(self, name, *arguments):
        """What comes of it is the thread's."""
        self._prepare(name, arguments)
        ptrace(DETACH, self.thread)

    def _prepare(self, name, arguments):
        registers = dict(self.saved, rax=NUMBERS[name], orig_rax=(1 << 64) - 1, rip=self.instruction)
        place = self.saved["rsp"] - 4096  # beyond what the thread's functions keep below their stack pointer
        for register, argument in zip(ARGUMENTS, arguments):
            if isinstance(argument, (str, bytes)):
                data = os.fsencode(argument) + b"\0" * 8
                place -= (len(data) + 15) & ~15
                self.memory.seek(place)
                self.memory.write(data)
                argument = place
            registers[register] = argument % (1 << 64)
        ptrace(SETREGS, self.thread, self._packed(registers))

    def _wait(self):
        _, status = os.waitpid(self.thread, WALL)
        guest.check(os.WIFSTOPPED(status), "the thread ended:", status)
        return os.WSTOPSIG(status)

    def _registers(self):
        buffer = ctypes.create_string_buffer(8 * len(REGISTERS))
        ptrace(GETREGS, self.thread, ctypes.addressof(buffer))
        return dict(zip(REGISTERS, struct.unpack(f"<{len(REGISTERS)}Q", buffer.raw)))

    def _packed(self, registers):
        values = [registers[name] for name in REGISTERS]
        self.buffer = ctypes.create_string_buffer(struct.pack(f"<{len(values)}Q", *values), 8 * len(values))
        return ctypes.addressof(self.buffer)

    def _find_instruction(self):
        maps = pathlib.Path(f"/proc/{self.process}/maps").read_text()
        for start, end in re.findall(r"^(\w+)-(\w+) r-x", maps, re.M):
            self.memory.seek(int(start, 16))
            at = self.memory.read(int(end, 16) - int(start, 16)).find(SYSCALL)
            if at >= 0:
                return int(start, 16) + at
        raise AssertionError("no system call instruction in the process")
