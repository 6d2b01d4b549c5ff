#!/usr/bin/env python3
"""What a machine costs its host."""
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import Machine, booted, check  # noqa: E402

MIB = 1 << 20


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def above_guest_ram(pid):
    """Resident bytes that are not the guest's RAM: that is a memfd, which counts as shared memory."""
    own = guest.status(pid)
    return own["RssAnon"] + own["RssFile"]


def check_idle(machine):
    # The guest's own housekeeping differs from second to second: the quietest of some windows counts.
    used = []
    for _ in range(6):
        began = cpu_seconds(machine.pid), time.monotonic()
        while time.monotonic() < began[1] + 5:
            machine.read(0.5)
        used.append((cpu_seconds(machine.pid) - began[0]) / (time.monotonic() - began[1]))
        if used[-1] < 0.03:
            print("an idle guest uses", [f"{100 * share:.1f} %" for share in used], "of a core")
            return
    check(False, "an idle guest uses", [f"{100 * share:.1f} %" for share in used], "of a core")


def test_an_idle_guest_uses_less_than_3_percent_of_a_core():
    if guest.INSTRUMENTED:
        guest.skip("instrumented")
    with booted("--cpus", "1") as machine:
        check_idle(machine)


def test_an_idle_guest_of_four_harts_uses_less_than_3_percent_of_a_core():
    if guest.INSTRUMENTED:
        guest.skip("instrumented")
    with booted("--cpus", "4") as machine:
        check_idle(machine)


def test_the_interpreters_resident_memory_above_guest_ram_is_below_20_mib():
    if guest.INSTRUMENTED:
        guest.skip("instrumented")
    for cpus in (1, 4):  # each hart keeps decoded instructions of its own
        with booted("--engine", "interpret", "--cpus", cpus) as machine:
            machine.ask("ls -lR /sys /dev /bin > /dev/null; sha256sum /bin/busybox")
            resident = above_guest_ram(machine.pid)
            print(f"{cpus} harts: {resident / MIB:.1f} MiB above guest RAM")
            check(resident < 20 * MIB, resident / MIB, "MiB", guest.status(machine.pid))


def test_translated_code_takes_less_than_64_mib():
    if guest.INSTRUMENTED:
        guest.skip("instrumented")
    with booted("--cpus", 4) as machine:
        machine.ask("ls -lR /sys /dev /bin > /dev/null; sha256sum /bin/busybox")
        resident = above_guest_ram(machine.pid)
        print(f"{resident / MIB:.1f} MiB above guest RAM")
        check(resident < 64 * MIB, resident / MIB, "MiB", guest.status(machine.pid))


def test_a_guest_of_16_gib_starts_and_does_not_consume_them():
    if guest.INSTRUMENTED:
        guest.skip("instrumented")
    with booted("--memory", "16G") as machine:
        total = int(machine.ask("awk '/MemTotal/ { print $2 }' /proc/meminfo"))
        check(15 * MIB < total <= 16 * MIB, "MemTotal", total, "kB")
        resident = guest.status(machine.pid)["VmRSS"]
        print(f"{resident / MIB:.0f} MiB resident")
        check(resident < 2048 * MIB, resident / MIB, "MiB resident")


def test_a_machine_without_a_guests_work_is_small():
    if guest.INSTRUMENTED:
        guest.skip("instrumented")
    with Machine("--firmware", guest.program("wait_forever"), "--memory", "16G", on_terminal=False) as machine:
        machine.expect(rb"waiting")
        resident = guest.status(machine.pid)["VmRSS"]
        check(resident < 20 * MIB, resident / MIB, "MiB resident")


def resident_of_its_own(*options):
    with Machine("--firmware", guest.program("wait_forever"), "--engine", "interpret", *options, on_terminal=False) as machine:
        machine.expect(rb"waiting")
        return guest.status(machine.pid)["RssAnon"]


def test_each_disk_shared_folder_and_socket_takes_less_than_a_megabyte():
    if guest.INSTRUMENTED:
        guest.skip("instrumented")
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        folder = pathlib.Path(folder)
        disks = [folder / f"disk{i}" for i in range(16)]
        for disk in disks:
            with disk.open("wb") as file:
                file.truncate(MIB)
        kinds = {"disks": (len(disks), [word for disk in disks for word in ("--disk", disk)]), "folders": (6, ["--share", folder] * 6),
                 "sockets": (1, ["--vsock", folder / "vsock"])}
        without = resident_of_its_own()
        for kind, (count, options) in kinds.items():
            each = (resident_of_its_own(*options) - without) / count
            print(f"{kind}: {each / 1024:.0f} KiB each")
            check(each < MIB, kind, "take", each / MIB, "MiB each")


if __name__ == "__main__":
    guest.main(globals())
