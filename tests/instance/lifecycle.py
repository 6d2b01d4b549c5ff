#!/usr/bin/env python3
"""Instances that are made, started, stopped, renamed and removed."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import check  # noqa: E402
from support.instances import Terminal, forever, instances  # noqa: E402

KEYS = {"name", "state", "level", "arch", "engine", "image", "pid", "created", "address"}


def test_an_instance_runs_in_the_background_and_is_shut_down_cleanly():
    guest.tiny()
    with instances() as some:
        check(some.succeed("run", "-d", "--name", "dev", "tiny") == "dev\n", "the name is not printed")
        check(some.succeed("exec", "dev", "echo", "hello") == "hello\n", "no hello")
        one = some.list()["dev"]
        check(set(one) == KEYS and one["state"] == "running" and one["image"] == "tiny", one)
        check("doppel-machine" in some.processes()[one["pid"]], "its pid is another's")
        some.succeed("stop", "dev")
        check(some.state_of("dev") == "stopped", some.list())
        check("Power down" in some.succeed("logs", "dev"), "the guest did not shut down by itself")
        check(some.succeed("wait", "dev") == "0\n", "its exit code")
        some.expect_nothing_runs()
        some.succeed("start", "dev")
        check(some.succeed("exec", "dev", "uname", "-m") == "riscv64\n", "it does not start again")
        some.succeed("restart", "dev")
        check(some.state_of("dev") == "running", "it does not run after a restart")
        some.succeed("kill", "dev")
        check(json.loads(some.succeed("wait", "--json", "dev")) == [{"name": "dev", "exit_code": 137}], "after kill")
        some.expect_nothing_runs()


def test_nothing_that_the_caller_had_open_stays_open():
    with instances() as some:
        ours, theirs = os.pipe()
        some.succeed("run", "-d", "--name", "dev", *forever(), pass_fds=[theirs])
        os.close(theirs)
        check(os.read(ours, 1) == b"", "the pipe's end is still open")


def test_a_guest_that_listens_to_nothing_is_ended_when_its_time_is_over():
    with instances() as some:
        some.succeed("run", "-d", "--name", "deaf", *forever())
        some.succeed("stop", "--timeout", "0", "deaf")
        check(some.succeed("wait", "deaf") == f"{128 + signal.SIGTERM}\n", "its exit code")
        some.succeed("stop", "deaf")  # once more is no failure
        some.expect_nothing_runs()


def test_every_verb_takes_several_names_and_goes_on_after_a_failure():
    with instances() as some:
        for name in ("one", "two"):
            some.succeed("run", "-d", "--name", name, *forever())
        done = some.run("kill", "one", "nobody", "two")
        check(done.returncode == 1 and re.fullmatch(r"doppel: find the instance: nobody: [^\n]+\n", done.stderr), done)
        check({one["state"] for one in some.list().values()} == {"stopped"}, some.list())


def test_logs_of_several_say_whose_each_line_is():
    with instances() as some:
        for name in ("one", "three"):
            some.succeed("run", "-d", "--name", name, *forever())
            some.wait_for_log(name, "waiting")
        check(some.succeed("logs", "one") == "waiting\n", repr(some.succeed("logs", "one")))
        both = some.succeed("logs", "one", "three").splitlines()
        check(both == ["one   | waiting", "three | waiting"], both)
        following = some.start("logs", "-f", "one", "three", stdout=subprocess.PIPE, text=True)
        some.succeed("kill", "one", "three")
        check(sorted(following.communicate(timeout=guest.PATIENCE)[0].splitlines()) == both, "followed")
        done = some.run("logs", "one", "nobody")
        check(done.returncode == 1 and "one    | waiting" not in done.stdout and "waiting" in done.stdout, done)


def test_one_command_sets_several_instances():
    with instances() as some:
        for name in ("one", "two"):
            some.succeed("run", "-d", "--name", name, *forever())
        some.succeed("kill", "one", "two")
        some.succeed("set", "one", "two", "cpus=2", "restart=always")
        check(all(some.info(name)["specification"]["machine"]["cpus"] == 2 for name in ("one", "two")), "cpus")
        some.fail("set", "one", "nobody", "two", "cpus=3", says="nobody")
        check(all(some.info(name)["specification"]["machine"]["cpus"] == 3 for name in ("one", "two")), "after a failure")


def test_names_are_found_by_their_unique_beginning():
    with instances() as some:
        for name in ("dev", "dev-two", "mail"):
            some.succeed("run", "-d", "--name", name, *forever())
        check(some.info("m")["name"] == "mail" and some.info("dev")["name"] == "dev", "prefixes")
        some.fail("info", "de", says="dev, dev-two")
        some.fail("info", "x", says="none of that name")
        some.fail("run", "-d", "--name", "dev", *forever(), code=125, says="there is one of that name")
        some.fail("run", "-d", "--name", "a/b", *forever(), code=2, says="no name")
        some.succeed("rename", "mail", "post")
        check(set(some.list()) == {"dev", "dev-two", "post"}, some.list())
        some.fail("rename", "post", "dev", says="the name is taken")
        check(some.run("ls", "-q").stdout.split() == ["dev", "dev-two", "post"], "ls -q")


def test_what_was_removed_can_be_brought_back():
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", *forever())
        some.wait_for_log("dev", "waiting")
        some.fail("rm", "dev", says="it is running.*rm -f")
        some.succeed("rm", "-f", "dev")
        check(some.list() == {} and list(some.list("--deleted")) == ["dev"], "after rm")
        some.expect_nothing_runs()
        some.succeed("undelete", "dev")
        check("waiting" in some.succeed("logs", "dev"), "its log is gone")
        some.succeed("start", "dev")
        some.succeed("rm", "-f", "--now", "dev")
        check(some.list() == {} and some.list("--deleted") == {}, "after rm --now")
        for name in ("a", "b"):
            some.succeed("run", "-d", "--name", name, *forever())
        some.succeed("kill", "a")
        check(some.succeed("prune") == "a\n" and some.succeed("purge") == "a\n", "prune and purge")
        some.succeed("rm", "-f", "--now", "b")
        check(not list((some.state / "instances").iterdir()), "directories are left")
        some.expect_nothing_runs()


def test_an_instance_that_is_removed_at_its_end_leaves_nothing():
    with instances() as some:
        name = some.succeed("run", "-d", "--rm", *forever()).strip()
        some.succeed("kill", name)
        some.expect_nothing_runs()
        check(some.list() == {} and some.list("--deleted") == {}, some.list())
        check(not list((some.state / "instances").iterdir()), "directories are left")


def test_a_kept_machine_in_the_foreground_passes_its_exit_code_and_output():
    with instances() as some:
        done = some.run("run", "--name", "short", "--firmware", guest.program("uart_output"))
        check(done.returncode == 0 and done.stdout.replace("\r", "").endswith("the end\n"), done)
        check(some.state_of("short") == "stopped", "it is gone")
        check(some.run("start", "-a", "short").stdout == done.stdout, "the second time")
        code = some.run("run", "--firmware", guest.program("tohost_code")).returncode
        check(code != 0 and some.run("run", "--rm", "--name", "wrong", "--firmware", guest.program("tohost_code")).returncode == code,
              "not the code", code)
        check("wrong" not in some.list(), "it is still there")


def test_the_policy_starts_a_machine_again():
    with instances() as some:
        some.succeed("run", "-d", "--name", "again", "--restart", "on-failure", *forever())
        first = some.list()["again"]["pid"]
        subprocess.run(["kill", "-9", str(first)], check=True)
        some.wait_for_state("again", "running")
        while some.list()["again"]["pid"] in (first, None):
            pass
        check(some.info("again")["restarts"] == 1, some.info("again"))
        some.succeed("stop", "--timeout", "0", "again")
        check(some.state_of("again") == "stopped", "a stopped one was started again")
        some.expect_nothing_runs()
        some.fail("run", "-d", "--restart", "maybe", *forever(), code=2, says="no policy")


def test_a_machine_that_cannot_start_says_why_and_leaves_nothing():
    with instances() as some:
        some.fail("run", "-d", "--name", "x", "--kernel", "/nowhere", code=125, says="/nowhere")
        some.fail("run", "-d", "--name", "x", *forever(), "--disk", "/nowhere", code=125, says="/nowhere")
        check(some.list() == {}, some.list())
        some.expect_nothing_runs()


def test_a_paused_guest_stands_still_and_goes_on():
    guest.tiny()
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", "tiny")
        before = float(some.succeed("exec", "dev", "cut", "-d", " ", "-f1", "/proc/uptime"))
        some.succeed("pause", "dev")
        check(some.state_of("dev") == "paused", some.list())
        some.fail("exec", "dev", "true", code=125, says="it is paused")

        def count():
            return json.loads(some.succeed("stats", "--json", "dev"))[0]["instructions"]
        first = count()
        check(count() == first, "it executes instructions")
        some.succeed("resume", "dev")
        check(float(some.succeed("exec", "dev", "cut", "-d", " ", "-f1", "/proc/uptime")) > before, "its clock")
        some.fail("pause", "nobody", says="none of that name")
        some.succeed("pause", "dev")
        some.succeed("stop", "dev")
        check(some.succeed("wait", "dev") == "0\n", "a paused guest was not shut down cleanly")


def test_events_tell_every_change():
    with instances() as some:
        some.succeed("ls")
        with some.start("events", "--since", "1h", stdout=subprocess.PIPE, text=True) as following:
            some.succeed("run", "-d", "--name", "dev", *forever())
            some.succeed("kill", "dev")
            some.succeed("rm", "dev")
            seen = [json.loads(following.stdout.readline()) for _ in range(4)]
            following.kill()
        check([event["event"] for event in seen] == ["created", "started", "ended", "removed"], seen)
        check(all(event["name"] == "dev" for event in seen) and seen[2]["exit_code"] == 137, seen)
        lines = some.succeed("events", "--since", "1h", "--no-follow").splitlines()
        check([json.loads(line) for line in lines] == seen, lines)
        check(some.succeed("events", "--since", seen[2]["time"], "--no-follow").splitlines() == lines[2:], "since a time")
        check(some.succeed("events", "--since", "2999-01-01T00:00:00Z", "--no-follow") == "", "since the future")
        some.fail("events", "--since", "yesterday", code=2, says="no time")


def test_statistics_are_shown_in_three_forms():
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", *forever())
        one = json.loads(some.succeed("stats", "--json"))[0]
        check(one["name"] == "dev" and one["memory"] == 16 << 20 and one["resident"] > 0 and one["cpu_seconds"] >= 0, one)
        text = some.succeed("stats", "--prometheus")
        check(re.search(r'^doppel_memory_bytes\{name="dev"\} 16777216$', text, re.M), text)
        check("dev" in some.succeed("stats", "dev"), "the table")


def test_instances_start_and_stop_with_the_session():
    with instances() as some:
        some.environment["XDG_CONFIG_HOME"] = str(some.folder / "config")
        for name in ("one", "two"):
            some.succeed("run", "-d", "--name", name, *forever())
            some.succeed("kill", name)
        some.succeed("autostart", "one")
        check(some.succeed("autostart") == "one\n", "the list")
        unit = some.folder / "config" / "systemd" / "user" / "doppel.service"
        text = unit.read_text()
        check((unit.parent / "default.target.wants" / "doppel.service").resolve() == unit, "the unit is not enabled")
        command = re.search('^ExecStart="([^"]+)" autostart --start$', text, re.M)
        check(command and pathlib.Path(command[1]) == guest.DOPPEL and f'Environment="DOPPEL_STATE={some.state}"' in text, text)
        some.succeed("autostart", "--start")
        check({name: one["state"] for name, one in some.list().items()} == {"one": "running", "two": "stopped"}, some.list())
        some.succeed("autostart", "--stop", "--timeout", "0")
        check(some.state_of("one") == "stopped", some.list())
        some.succeed("autostart", "--off", "one")
        check(some.succeed("autostart") == "" and not unit.exists(), "the unit is left")


def test_what_an_instance_is_made_of_can_be_changed():
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", *forever())
        done = some.run("set", "dev", "cpus=2", "memory=32M")
        check(done.returncode == 0 and "starts again" in done.stderr, done)
        check(some.info("dev")["specification"]["machine"]["cpus"] == 2, some.info("dev"))
        some.fail("set", "dev", "cpus=99", code=2, says="--cpus")
        some.fail("set", "dev", "wings=2", code=2, says="no such key")
        some.environment["EDITOR"] = "sed -i s/cpus.*/cpus=3/"
        some.succeed("edit", "dev")
        check(some.info("dev")["specification"]["machine"]["cpus"] == 3, "after edit")
        some.environment["EDITOR"] = "sed -i s/cpus.*/cpus=x/"
        some.fail("edit", "dev", code=2)
        file = some.folder / "new.toml"
        file.write_text(f'name = "new"\nfirmware = "{guest.program("wait_forever")}"\nmemory = "16M"\n')
        check(some.succeed("apply", "--dry-run", file) == "+new\n" and "new" not in some.list(), "a dry run")
        some.succeed("apply", file)
        check(some.state_of("new") == "created", some.list())
        file.write_text(file.read_text() + "cpus = 4\n")
        check(some.succeed("apply", file) == "-cpus = 1\n+cpus = 4\n", "the difference")
        check(some.succeed("apply", file) == "", "no difference")
        some.succeed("start", "new")


def test_a_shell_without_a_name_enters_home():
    guest.tiny()
    with instances() as some:
        with Terminal(some, "shell") as shell:
            shell.expect(guest.PROMPT)
            check(shell.ask("echo $((6 * 7))").endswith("42"), "no answer")
            shell.send("exit 5\r")
            shell.ends_with(5)
            shell.expect_terminal_restored()
        check(some.list()["home"]["state"] == "running", some.list())
        some.succeed("stop", "home")
        check(some.run("shell", input="echo on $(hostname); exit 3\n").returncode == 3, "a stopped home is not started")


if __name__ == "__main__":
    guest.main(globals())
