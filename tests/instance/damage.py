#!/usr/bin/env python3
"""A state folder that is damaged, of a newer doppel, full, read-only, or changed by hand: one clear line, nothing lost."""
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import check, skip  # noqa: E402
from support.instances import forever, instances  # noqa: E402


def apply(some, name):
    file = some.folder / "file.toml"
    file.write_text(f'name = "{name}"\nfirmware = "{guest.program("wait_forever")}"\nmemory = "16M"\n')
    return some.run("apply", file)


def check_one_line(done, says):
    check(done.returncode == 1 and done.stderr.count("\n") == 1 and says in done.stderr, done)


def test_a_damaged_database_is_one_line_and_is_left_as_it_is():
    with instances() as some:
        check(apply(some, "dev").returncode == 0, "apply")
        database = some.state / "instances.db"
        good = database.read_bytes()
        database.write_bytes(os.urandom(len(good)))
        bad = database.read_bytes()
        for words in (("ls",), ("start", "dev"), ("rm", "dev")):
            check_one_line(some.run(*words), "it is damaged")
        check(database.read_bytes() == bad, "it was changed")
        database.write_bytes(good)
        check(set(some.list()) == {"dev"}, some.list())


def test_a_database_of_a_newer_doppel_is_refused():
    with instances() as some:
        check(apply(some, "dev").returncode == 0, "apply")
        with sqlite3.connect(some.state / "instances.db") as database:
            database.execute("PRAGMA user_version=77")
        check_one_line(some.run("ls"), "its version is 77")
        with sqlite3.connect(some.state / "instances.db") as database:
            database.execute("PRAGMA user_version=1")
        check(set(some.list()) == {"dev"}, some.list())


def mounted(script, some):
    """Runs `script` where nobody else sees its mounts; $1 is the state folder, $2 doppel."""
    words = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", some.state, guest.DOPPEL]
    return subprocess.run(list(map(str, words)), env=some.environment, capture_output=True, text=True, check=False)


def expect_namespaces(some):
    if mounted("true", some).returncode != 0:
        skip("the host forbids mount namespaces")


def test_a_read_only_state_folder_can_be_read():
    with instances() as some:
        check(apply(some, "dev").returncode == 0, "apply")
        expect_namespaces(some)
        done = mounted('mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && "$2" ls -q && "$2" rename dev new', some)
        check(done.stdout == "dev\n", done)
        check_one_line(done, "Read-only")
        check(set(some.list()) == {"dev"}, some.list())


def test_a_full_disk_is_one_line_and_loses_nothing():
    with instances() as some:
        some.state.mkdir()
        expect_namespaces(some)
        file = some.folder / "file.toml"
        file.write_text(f'firmware = "{guest.program("wait_forever")}"\nname = "dev"\n')
        done = mounted(f'mount -t tmpfs -o size=256k none "$1" && "$2" apply {file} && '
                       '{ dd if=/dev/zero of="$1/fill" bs=4096 2>/dev/null; '
                       f'sed -i s/dev/new/ {file}; "$2" apply {file}; code=$?; "$2" ls -q; exit $code; }}', some)
        check(done.stdout.endswith("dev\n"), done)
        check_one_line(done, "No space left")


def test_a_directory_that_was_removed_by_hand_is_made_again():
    with instances() as some:
        check(apply(some, "dev").returncode == 0, "apply")
        shutil.rmtree(some.directory("dev"))
        check(some.state_of("dev") == "created", some.list())
        some.succeed("start", "dev")
        some.succeed("kill", "dev")
        shutil.rmtree(some.state / "run")
        shutil.rmtree(some.directory("dev"))
        some.succeed("rm", "dev")
        some.succeed("undelete", "dev")
        check(some.state_of("dev") == "created", some.list())


def test_a_state_folder_with_a_long_path_works():
    with instances() as some:
        some.state = some.folder / ("long" * 50) / ("er" * 50)
        some.state.mkdir(parents=True)
        some.environment["DOPPEL_STATE"] = str(some.state)
        some.succeed("run", "-d", "--name", "dev", *forever())
        some.succeed("stats", "dev")
        some.succeed("rm", "-f", "--now", "dev")
        some.expect_nothing_runs()


def test_nobody_else_can_reach_an_instance():
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", *forever())
        for path in (some.state, some.state / "run", some.state / "instances", some.state / "instances.db"):
            check(path.stat().st_mode & 0o077 == 0, "others can reach", path)
        for path in (some.state / "run").rglob("*"):
            check(path.stat().st_mode & 0o077 == 0, "others can reach", path)


if __name__ == "__main__":
    guest.main(globals())
