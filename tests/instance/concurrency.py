#!/usr/bin/env python3
"""Many commands at once, on one instance and on the database."""
import concurrent.futures
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import check  # noqa: E402
from support.instances import forever, instances  # noqa: E402

AT_ONCE = 16


def at_once(some, commands):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda words: some.run(*words), commands))


def test_two_hundred_commands_at_once_lose_no_change():
    with instances() as some:
        firmware = guest.program("wait_forever")
        files = []
        for number in range(60):
            file = some.folder / f"{number}.toml"
            file.write_text(f'name = "i{number:02}"\nfirmware = "{firmware}"\nmemory = "16M"\n')
            files.append(file)
        for done in at_once(some, [("apply", file) for file in files]):
            check(done.returncode == 0, done)
        check(set(some.list()) == {f"i{number:02}" for number in range(60)}, some.list().keys())
        # Each key of one instance is changed by another command: none is lost.
        changes = [f"cpus={4}", "memory=32M", "vlen=256", "no_reboot=true", "append=text", "irqchip=plic", "virtio=mmio",
                   "restart=always", "engine=interpret", "sandbox=false"]
        commands = [("set", "i00", change) for change in changes]
        commands += [("rm", f"i{number:02}") for number in range(30, 60)] + [("ls", "--json")] * 60
        commands += [("rename", f"i{number:02}", f"n{number:02}") for number in range(1, 30)] + [("info", "i00")] * 11
        for done in at_once(some, commands):
            check(done.returncode == 0, done)
        machine = some.info("i00")["specification"]["machine"]
        check((machine["cpus"], machine["memory"], machine["vlen"], machine["no_reboot"], machine["append"]) ==
              (4, 32 << 20, 256, True, "text"), machine)
        check((machine["irqchip"], machine["virtio"], machine["engine"], machine["sandbox"]) ==
              ("plic", "mmio", "interpret", False), machine)
        check(set(some.list()) == {"i00"} | {f"n{number:02}" for number in range(1, 30)}, some.list().keys())
        check(len(some.list("--deleted")) == 30, "deleted")


def test_commands_at_once_on_one_instance_find_an_order():
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", *forever())
        verbs = [("start", "dev"), ("stop", "--timeout", "0", "dev"), ("kill", "dev"), ("ls", "--json"), ("pause", "dev"),
                 ("resume", "dev"), ("stats",), ("logs", "dev")]
        for done in at_once(some, verbs * 5):
            check(done.returncode in (0, 1) and done.stderr.count("\n") <= 1, done)
        some.succeed("start", "dev")
        some.succeed("resume", "dev")  # the last word may have been pause
        check(some.state_of("dev") == "running", some.list())
        for done in at_once(some, [("run", "-d", "--name", "same", *forever())] * 8):
            check(done.returncode == 0 or "there is one of that name" in done.stderr, done)
        check(set(some.list()) == {"dev", "same"}, some.list())
        some.succeed("rm", "-f", "--now", "dev", "same")
        some.expect_nothing_runs()


if __name__ == "__main__":
    guest.main(globals())
