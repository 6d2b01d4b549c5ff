#!/usr/bin/env python3
"""doppel run becomes doppel-machine: same process, same terminal, the specification in a sealed descriptor, its exit code passed on."""

import json
import subprocess

from support.cli_test import check, launcher

MACHINE = """
import json, os, sys
fd = int(sys.argv[sys.argv.index("--spec-fd") + 1])
try:
    os.write(fd, b"x")
    sys.exit("the specification can be changed")
except PermissionError:
    pass
print(json.dumps({"pid": os.getpid(), "specification": json.loads(os.read(fd, 1 << 20))}))
sys.exit(42)
"""
IMAGE_MAKER = """
import sys
print("made", *sys.argv[1:])
sys.exit(3)
"""

with launcher() as doppel:
    doppel.put_beside("doppel-machine", MACHINE)
    (doppel.folder / "Image").write_text("kernel")
    process = subprocess.Popen([doppel.program, "run", "--kernel", "Image", "--append", 'a "b" \u20ac', "--cpus", "3", "--memory", "1G", "--engine", "translate", "--code-cache", "8M", "--translation-cache", "here", "--translation-cache-size", "32M", "--translate-without", "loops,windows", "--stats=run.json",
                                "--irqchip", "plic", "--virtio", "mmio", "--vsock", "vsock,cid=9", "--console", "file:log", "--agent", "socket:a", "--no-reboot", "--share", "d:/mnt,ro", "--net", "user", "--publish", "127.0.0.1:80:8080", "--disk", "a,,b,ro", "--disk", "c,iops=5",
                                "--trace", "trap,irq=a=b,limit=1M", "--trace", "sbi"], cwd=doppel.folder, env=doppel.environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate(timeout=120)
    check(process.returncode == 42, process.returncode)
    answer = json.loads(output)
    check(answer["pid"] == process.pid, answer)
    check(answer["specification"] == {"arch": "riscv64", "engine": "translate", "code_cache": 8 << 20, "translation_cache": "here",
                                      "translation_cache_size": 32 << 20, "translate_without": "windows,loops", "cpus": 3, "memory": 1 << 30, "kernel": "Image",
                                      "initrd": "", "append": 'a "b" \u20ac', "firmware": "", "irqchip": "plic", "virtio": "mmio", "vsock": "vsock,cid=9", "console": "file:log", "agent": "socket:a", "control": "none", "share": ["d:/mnt,ro"], "net": ["user"], "publish": ["127.0.0.1:80:8080"],
                                      "no_reboot": True, "disk": ["a,,b,ro", "c,iops=5"], "code_flash": "", "variable_flash": "",
                                      "gdb": "", "sandbox": True, "statistics": "run.json", "trace": ["irq,trap=a=b,limit=1M", "sbi=-"], "vlen": 0, "name": "",
                                      "max_cpus": 0, "memory_limit": 0, "cpu_weight": 0, "cpu_quota": "", "cpu_pin": [], "io_weight": 0, "io_bps": 0,
                                      "io_iops": 0}, answer)

    # An image that cannot be made fails the run; what the maker prints is no guest's output.
    doppel.put_beside("doppel-image", IMAGE_MAKER)
    done = doppel.run("run", "tiny")
    check(done.returncode == 125 and done.stdout == "" and done.stderr == "made make tiny --arch riscv64\n", done)
    # Other verbs of the image pass through whole, exit code and all.
    done = doppel.run("image", "ls", "--json")
    check(done.returncode == 3 and done.stdout == "made ls --json\n", done)
