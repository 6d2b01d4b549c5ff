#!/usr/bin/env python3
"""SIGKILL of launcher, keeper and machine at random moments of every verb: the next command finds a whole state, says
what happened, and nothing is left running."""
import contextlib
import os
import pathlib
import random
import re
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import check  # noqa: E402
from support.instances import forever, instances  # noqa: E402

STATES = {"created", "starting", "running", "restarting", "stopping", "stopped"}


def kill(pid):
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def settled(some):
    """The state when nothing begins or ends any more."""
    deadline = time.monotonic() + guest.PATIENCE
    while True:
        done = some.run("ls", "--json")
        check(done.returncode == 0, "ls failed", done)
        check(re.fullmatch(r"(doppel: warning: \S+: its keeper was killed[^\n]*\n)*", done.stderr), "ls said", done.stderr)
        now = some.list()
        check(all(one["state"] in STATES for one in now.values()), now)
        if all(one["state"] not in ("starting", "stopping") for one in now.values()):
            return now
        check(time.monotonic() < deadline, "it does not settle:", now)
        time.sleep(0.05)


def noted_groups(some):
    """The cgroups that instances have, as far as they can have some here."""
    found = set()
    for file in (some.state / "instances").glob("*/cgroups"):
        with contextlib.suppress(OSError):
            found |= {pathlib.Path(line.split(" ", 2)[2]) for line in file.read_text().splitlines()}
    return found


def one_round(some, dice):
    """A verb whose launcher, or a keeper or machine meanwhile, is killed after a random time."""
    existing = some.list()
    verbs = [["run", "-d", "--name", "a", "--cpu-quota", "90%", *forever()]] if "a" not in existing else [
        ["start", "a"], ["stop", "--timeout", "0", "a"], ["kill", "a"], ["rm", "-f", "a"], ["rm", "-f", "--now", "a"],
        ["restart", "--timeout", "0", "a"], ["set", "a", f"cpus={dice.randint(1, 4)}"], ["rename", "a", "a"],
        ["set", "a", f"cpu_quota={dice.randint(50, 90)}%", f"memory_limit={dice.randint(300, 400)}M"]]
    if "a" not in existing and some.list("--deleted"):
        verbs.append(["undelete", "a"])
    words = dice.choice(verbs)
    process = some.start(*words, stdin=-3, stdout=-3, stderr=-3)
    time.sleep(dice.random() * dice.choice((0.01, 0.1, 0.4)))
    victim = dice.choice(("launcher", "keeper", "machine"))
    if victim == "launcher":
        kill(process.pid)
    else:
        for pid, command in some.processes().items():
            if f"doppel-{victim}" in command.split("\0")[0]:
                kill(pid)
    process.wait(guest.PATIENCE)
    after = settled(some)
    check(set(after) <= {"a"}, words, victim, after)
    for name, one in after.items():
        if one["state"] == "running":
            check(one["pid"] in some.processes(), words, victim, "runs without a process:", one)
            some.succeed("stats", name)
    # Whatever it is in, it can be had whole again.
    if dice.random() < 0.3 and "a" in after:
        some.succeed("start", "a")
        check(some.state_of("a") == "running", words, victim, some.list())


def rounds(count):
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    groups = set()
    with instances() as some:
        for _ in range(count):
            one_round(some, dice)
            groups |= noted_groups(some)
        for name in some.list():
            some.succeed("rm", "-f", "--now", name)
        some.succeed("purge")
        some.expect_nothing_runs()
        check(not any(group.exists() for group in groups), "cgroups are left:", groups)


def test_fifty_kills_leave_the_old_state_or_the_new_one():
    rounds(50)


def long_five_hundred_kills_leave_the_old_state_or_the_new_one():
    rounds(500)


def test_a_killed_keeper_takes_its_machine_along_and_the_next_command_says_so():
    guest.tiny()
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", "tiny")
        kill(some.keeper("dev"))
        deadline = time.monotonic() + guest.PATIENCE
        while some.processes():
            check(time.monotonic() < deadline, "the machine goes on:", some.processes())
            time.sleep(0.05)
        done = some.run("ls", "--json")
        check("doppel: warning: dev: its keeper was killed" in done.stderr, done)
        check(some.run("ls").stderr == "", "it is said twice")
        some.expect_nothing_runs()
        check(some.info("dev")["exit_code"] is None, some.info("dev"))
        some.succeed("start", "dev")
        check(some.succeed("exec", "dev", "echo", "on") == "on\n", "it does not start again")


def test_a_process_that_got_the_keepers_number_is_left_alone():
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", *forever())
        status = some.directory("dev") / "status"
        some.succeed("kill", "dev")
        other = some.start("events", stdout=-3)
        status.write_text(re.sub(r'"(keeper|machine)":\d+', lambda m: f'"{m[1]}":{other.pid}',
                                 status.read_text()).replace('"ended"', '"running"', 1))
        check("keeper was killed" in some.run("ls").stderr, "it is taken for running")
        some.fail("kill", "dev", says="it is stopped")
        check(other.poll() is None, "another process was killed")
        other.kill()
        other.wait()


if __name__ == "__main__":
    guest.main(globals())
