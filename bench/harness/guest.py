"""A run of the guest of bench/translator: what it prints, and what it cost the host."""
import dataclasses
import os
import re
import select
import subprocess
import time

from harness.failure import fail
from harness.machines import cpu_seconds, resident_above_ram

LINE = re.compile(r"BENCH (?P<name>\S+) (?P<ns>\d+) (?P<checksum>[0-9a-f]{16}) (?P<cpu_ns>\d+)")


@dataclasses.dataclass
class Measured:
    wall: float  # seconds, by the clock of where the program ran
    cpu: float   # seconds of the host's CPU time meanwhile, of all threads
    checksum: str


@dataclasses.dataclass
class Session:
    """`ready_*` is from the start of the machine to its process 1; `resident` in bytes, the most that was seen."""
    ready_wall: float = 0.0
    ready_cpu: float = 0.0
    resident: int = 0
    measured: dict = dataclasses.field(default_factory=dict)


class _Output:
    """Lines of a process, each waited for until a deadline."""

    def __init__(self, process, patience):
        self.process, self.deadline, self.pending, self.seen = process, time.monotonic() + patience, b"", b""

    def __iter__(self):
        descriptor = self.process.stdout.fileno()
        while True:
            left = self.deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                fail(f"{self.process.args[0]}: has not ended in time: {self.tail()}")
            data = os.read(descriptor, 65536)
            if not data:
                return
            self.seen += data
            *lines, self.pending = (self.pending + data).split(b"\n")
            yield from (line.decode(errors="replace").strip() for line in lines)

    def tail(self):
        return repr(self.seen[-800:].decode(errors="replace"))


def command_line(append, names, scale, runs=1):
    return f"{append} BENCH={','.join(names)} RUNS={runs} SCALE={scale}"


def run(command, names, memory_mib, patience, environment=None):
    """Starts the machine and follows it to its end. Fails unless each of `names` reports once."""
    session, cpu_at_start = Session(), 0.0
    began = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=environment)
    output = _Output(process, patience)
    try:
        for line in output:
            if line == "BENCH ready":
                session.ready_wall, session.ready_cpu = time.monotonic() - began, cpu_seconds(process.pid)
            elif line.startswith("BENCH start "):
                cpu_at_start = cpu_seconds(process.pid)
            elif found := LINE.fullmatch(line):
                cpu = cpu_seconds(process.pid) - cpu_at_start
                session.measured[found["name"]] = Measured(int(found["ns"]) / 1e9, cpu, found["checksum"])
                session.resident = max(session.resident, resident_above_ram(process.pid, memory_mib))
        code = process.wait()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    if code != 0 or set(session.measured) != set(names) or not session.ready_wall:
        fail(f"{command[0]}: ended with {code}: {output.tail()}")
    return session
