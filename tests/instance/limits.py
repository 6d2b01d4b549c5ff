#!/usr/bin/env python3
"""Limits of instances: by cgroups where there are some, by the machine itself elsewhere, changed while it runs."""
import contextlib
import json
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import check  # noqa: E402
from support.instances import forever, instances  # noqa: E402
from support.verdict import skip  # noqa: E402


def carriers(some, name):
    return {one["limit"]: one["carried_by"] for one in some.info(name)["limits"]}


def groups(some, name):
    """The cgroups of an instance by their limits; skips the test where there are none."""
    found = {limit: by for limit, by in carriers(some, name).items() if by.startswith("cgroup ")}
    if not found:
        skip("no cgroup can be made here")
    return {limit: pathlib.Path(by.split(": ", 1)[1]) for limit, by in found.items()}


def wait_until_gone(some, made):
    """What the machine had started may end a moment later; each command looks again."""
    deadline = time.monotonic() + guest.PATIENCE
    while any(path.exists() for path in made.values()) and time.monotonic() < deadline:
        some.list()
        time.sleep(0.05)


def without_cgroups(some):
    some.environment = some.environment | {"DOPPEL_CGROUPS": "off"}


def threads(pid):
    """(name, nice value, processors) of each."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # some end while a machine starts
            stat = (task / "stat").read_text().rsplit(")", 1)[1].split()
            yield (task / "comm").read_text().strip(), int(stat[16]), os.sched_getaffinity(int(task.name))


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy():
    """As forever(), for a guest that uses all of a processor."""
    return ["--firmware", guest.program("spin"), "--memory", "16M", "--engine", "interpret"]


def test_limits_are_cgroups_where_they_can_be_made_and_they_go_with_the_instance():
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", "--cpu-quota", "50%", "--cpu-weight", "200", "--memory-limit", "600M", *forever())
        made = groups(some, "dev")
        pid = some.info("dev")["pid"]
        for path in made.values():
            check(str(pid) in (path / "cgroup.procs").read_text().split(), pid, "is not in", path)
        if "cpu_quota" in made:
            path = made["cpu_quota"]
            quota = [path / "cpu.max", path / "cpu.cfs_quota_us"]
            check(any(file.exists() and file.read_text().split()[0] == "50000" for file in quota), "the quota in", path)
            said = some.run("set", "dev", "cpu_quota=25").stderr
            check("cpu_quota is 25% now, by cgroup" in said, said)
            check(any(file.exists() and file.read_text().split()[0] == "25000" for file in quota), "the new quota in", path)
        some.succeed("kill", "dev")
        wait_until_gone(some, made)
        check(not any(path.exists() for path in made.values()), "left behind:", made)
        some.succeed("start", "dev")
        again = groups(some, "dev")
        os.kill(some.keeper("dev"), signal.SIGKILL)
        some.wait_for_state("dev", "stopped")
        some.expect_nothing_runs()
        wait_until_gone(some, again)
        check(not any(path.exists() for path in again.values()), "left behind after its keeper was killed:", again)


def test_a_switch_that_an_instance_needs_is_not_within_its_limits():
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", "--cpu-quota", "50%", "--net", "switch:limited", *forever())
        for path in groups(some, "dev").values():
            names = {pathlib.Path(f"/proc/{pid}/comm").read_text().strip() for pid in (path / "cgroup.procs").read_text().split()}
            check("doppel-machine" in names and not names & {"doppel-switch", "doppel-nat"}, names, "in", path)
        some.succeed("kill", "dev")
        some.succeed("network", "rm", "-f", "limited")


def test_a_limit_is_put_on_an_instance_that_runs():
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", *forever())
        check(carriers(some, "dev") == {}, "limits that nobody asked for")
        said = some.run("set", "dev", "cpu_quota=70%", "memory_limit=600M", "cpu_weight=50").stderr
        check(said.count(" now, by ") == 3, said)
        made = groups(some, "dev")
        pid = some.info("dev")["pid"]
        for path in made.values():
            check(str(pid) in (path / "cgroup.procs").read_text().split(), pid, "is not in", path)
        some.succeed("rm", "-f", "--now", "dev")
        check(not any(path.exists() for path in made.values()), "left behind:", made)


def test_a_machine_without_cgroups_keeps_to_its_quota_by_itself():
    with instances() as some:
        without_cgroups(some)
        some.succeed("run", "-d", "--name", "dev", "--cpu-quota", "20%", *busy())
        check(carriers(some, "dev") == {"cpu_quota": "pauses of its CPUs"}, carriers(some, "dev"))
        pid = some.info("dev")["pid"]
        begun, before = time.monotonic(), processor_seconds(pid)
        time.sleep(2)
        used, passed = processor_seconds(pid) - before, time.monotonic() - begun
        # A host that is busy gives less; how much of it the guest gets at all is the next line's.
        check(used < passed * 0.3 + 0.2, used, "seconds of a processor in", passed)
        before = processor_seconds(pid)
        said = some.run("set", "dev", "cpu_quota=").stderr
        check("cpu_quota is no longer limited" in said, said)
        deadline = time.monotonic() + guest.PATIENCE
        while processor_seconds(pid) - before < 1:
            check(time.monotonic() < deadline, "it is still held")
            time.sleep(0.05)


def test_weights_and_pins_are_those_of_its_threads():
    with instances() as some:
        without_cgroups(some)
        own = sorted(os.sched_getaffinity(0))
        some.succeed("run", "-d", "--name", "dev", "--cpus", "2", "--cpu-weight", "50", "--cpu-pin", f"1:{own[-1]}", *forever())
        pid = some.info("dev")["pid"]
        for name, nice, where in threads(pid):
            check(nice == 3, name, "has the nice value", nice)
            check(where == ({own[-1]} if name == "hart 1" else set(own)), name, "runs on", where)
        said = some.run("set", "dev", f"cpu_pin={own[0]}", "cpu_weight=20").stderr
        check(f"cpu_pin is {own[0]} now" in said and "cpu_weight is 20 now, by nice value 7" in said, said)
        check(all(nice == 7 and where == {own[0]} for _, nice, where in threads(pid)), list(threads(pid)))
        some.succeed("set", "dev", "cpu_pin=")
        check(all(where == set(own) for _, _, where in threads(pid)), list(threads(pid)))
        some.fail("run", "-d", "--name", "lost", "--cpu-pin", "1023", *forever(), code=125, says="no such processors")
        check("lost" not in some.list(), "it is there")


def test_all_disks_together_keep_to_a_rate():
    guest.tiny()
    with instances() as some:
        disks = []
        for name in ("one", "two"):
            (some.folder / name).write_bytes(bytes(1 << 20))
            disks += ["--disk", some.folder / name]
        some.succeed("run", "-d", "--name", "dev", "--io-bps", "1M", *disks, "tiny")
        read = ("exec", "dev", "sh", "-c", "for d in vda vdb; do dd if=/dev/$d of=/dev/null bs=64k iflag=direct 2>/dev/null || exit 1; done")
        some.succeed("exec", "dev", "true")  # it has booted
        begun = time.monotonic()
        some.succeed(*read)
        check(time.monotonic() - begun > 1.5, "2 MiB took", time.monotonic() - begun, "seconds")
        said = some.run("set", "dev", "io_bps=1K").stderr
        check("io_bps is 1K now, by its disks" in said, said)
        said = some.run("set", "dev", "io_bps=0").stderr
        check("io_bps is no longer limited" in said, said)
        some.succeed(*read)  # by 1K a second it would take half an hour


def test_what_nothing_can_carry_is_refused_and_explained():
    with instances() as some:
        without_cgroups(some)
        limited = ["--memory-limit", "64M", *forever()]
        some.fail("run", *limited, code=125, says="give it less --memory, or leave --memory-limit out")
        some.fail("run", "-d", "--name", "dev", *limited, code=125, says="DOPPEL_CGROUPS is off")
        check(some.list() == {}, some.list())
        explained = json.loads(some.succeed("run", "-d", "--explain", "--json", "--cpu-quota", "50%", *limited))["limits"]
        by = {one["limit"]: (one["value"], one["carried_by"]) for one in explained}
        check(by == {"cpu_quota": ("50%", "pauses of its CPUs"), "memory_limit": ("64M", "nothing: it will not start")}, by)
        for wrong in (["--cpu-quota", "much"], ["--cpu-weight", "0"], ["--io-weight", "10001"], ["--cpu-pin", "1-"],
                      ["--memory-limit", "1M"], ["--cpu-pin", "1:0"]):
            some.fail("run", *wrong, *forever(), code=2, says=wrong[0])


def test_a_machine_that_is_no_instance_keeps_to_its_limits_too():
    with instances() as some:
        process = some.start("run", "--cpu-quota", "30%", "--cpu-weight", "50", "--console", "none", *busy())
        with contextlib.ExitStack() as stack:
            stack.callback(process.wait)
            stack.callback(process.kill)
            deadline = time.monotonic() + guest.PATIENCE
            while not any(name == "hart 0" and nice == 3 for name, nice, _ in threads(process.pid)):
                check(time.monotonic() < deadline, "its threads:", list(threads(process.pid)))
                time.sleep(0.05)
            begun, before = time.monotonic(), processor_seconds(process.pid)
            time.sleep(1)
            used, passed = processor_seconds(process.pid) - before, time.monotonic() - begun
            check(used < passed * 0.4 + 0.2, used, "seconds of a processor in", passed)


if __name__ == "__main__":
    guest.main(globals())
