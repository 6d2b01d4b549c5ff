"""The machines that are compared, and what is read of their processes."""
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import time

from harness.failure import fail


def cache_folder():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "doppel"


class Doppel:
    def __init__(self, build, engine=None):
        self.name = engine or "doppel"
        self.program = build / "doppel"
        self.options = ["--engine", engine] if engine else []
        if not self.program.exists():
            fail(f"{self.program}: not there; make build")

    def engines(self):
        """Those that can be named: of "--engine auto|interpret"."""
        text = subprocess.run([self.program, "run", "--help"], capture_output=True, text=True, check=True).stdout
        found = re.search(r"--engine (\S+)", text)
        return [name for name in found.group(1).split("|") if name != "auto"] if found else []

    def bare_metal(self, elf, memory_mib, has_vectors=False):
        vectors = ["--vlen", "128"] if has_vectors else []
        return [self.program, "run", *self.options, *vectors, "--memory", f"{memory_mib}M", "--firmware", elf]

    def machine(self, kernel, initrd, append, memory_mib, disk=None, share=None):
        """`disk`: (path, format). `share`: a folder, with the tag share0."""
        disks = ["--disk", f"{disk[0]},format={disk[1]}"] if disk else []
        disks += ["--share", share] if share else []
        return [self.program, "run", *self.options, "--memory", f"{memory_mib}M", "--kernel", kernel, "--initrd", initrd,
                "--append", append, *disks]


class Qemu:
    name = "qemu"

    def __init__(self, program):
        self.program = program

    @classmethod
    def installed(cls):
        found = shutil.which("qemu-system-riscv64")
        return cls(found) if found else None

    def version(self):
        text = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout
        return text.splitlines()[0]

    def _command(self, memory_mib):
        return [self.program, "-M", "virt", "-smp", "1", "-m", str(memory_mib), "-display", "none", "-serial", "stdio", "-monitor",
                "none"]

    def bare_metal(self, elf, memory_mib, has_vectors=False):
        vectors = ["-cpu", "rv64,v=true,vlen=128"] if has_vectors else []
        return [*self._command(memory_mib), *vectors, "-bios", elf]

    def machine(self, kernel, initrd, append, memory_mib, disk=None, aio="threads", share=None):
        """`disk`: (path, format). `share`: the socket of a server of folders, which uses the guest's memory."""
        disks = []
        if disk:
            disks = ["-drive", f"file={disk[0]},format={disk[1]},if=none,id=disk,discard=unmap,aio={aio}",
                     "-device", "virtio-blk-pci,drive=disk"]
        if share:
            disks += ["-object", f"memory-backend-memfd,id=ram,size={memory_mib}M,share=on", "-machine", "memory-backend=ram",
                      "-chardev", f"socket,id=share,path={share}", "-device", "vhost-user-fs-pci,chardev=share,tag=share0"]
        return [*self._command(memory_mib), "-kernel", kernel, "-initrd", initrd, "-append", append, *disks]


def tiny(doppel):
    """(kernel, initrd, append) of the image tiny, which is made unless it is there; or None."""
    if subprocess.run([doppel.program, "image", "make", "tiny"], stdout=subprocess.DEVNULL, check=False).returncode != 0:
        return None
    folder = cache_folder() / "images" / "tiny-riscv64"
    return folder / "kernel", folder / "initrd", json.loads((folder / "image.json").read_text())["append"]


def resident_above_ram(pid, memory_mib):
    """Resident bytes but those in mappings of guest RAM: of doppel's memfd, or of RAM's very size. A page that is mapped twice
    counts once."""
    above = size = 0
    ram = False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            ram = "/memfd:doppel-guest-memory" in line
        elif line.startswith("Size:"):
            size = int(line.split()[1])
        elif line.startswith("Pss:") and not ram and size != memory_mib << 10:
            above += int(line.split()[1]) << 10
    return above


def cpu_seconds(pid):
    """Of all threads of a running process, those that have ended included."""
    process_clock = (~pid << 3) | 2  # clock_getcpuclockid(3), CPUCLOCK_SCHED
    return time.clock_gettime(process_clock)


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "runs": len(values)}
