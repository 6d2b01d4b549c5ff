#!/usr/bin/env python3
"""The engine of a running instance, exchanged under its guest."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import check  # noqa: E402
from support.instances import forever, instances  # noqa: E402

# Integers, floats, processes, timers and files; a clock that goes back ends it.
WORK = r"""
last=0
for i in $(seq 30); do
    seq $i 2000 | sha256sum
    awk -v i=$i 'BEGIN { for (n = 1; n < 3000; n++) { s += 1 / (n + i); s = s * 0.9375 + i / 7 } printf "%.14f\n", s }'
    dd if=/dev/zero bs=1k count=200 2>/dev/null | tr '\0' 'x' >/run/file$((i % 3)) && sha256sum </run/file$((i % 3))
    sleep 0.01
    now=$(cut -d' ' -f1 /proc/uptime | tr -d .)
    [ $now -ge $last ] || { echo "the clock went from $last to $now"; exit 9; }
    last=$now
done
"""


def test_the_engine_of_a_running_guest_is_exchanged_without_its_notice():
    guest.tiny()
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", "--cpus", "2", "tiny")
        right = some.succeed("exec", "dev", "sh", "-c", WORK)
        check(len(right.splitlines()) == 90, right)
        if some.list()["dev"]["engine"] != "translate":
            guest.skip("this build has no translator")
        with some.start("exec", "dev", "sh", "-c", WORK, stdout=subprocess.PIPE, text=True) as work:
            changes = 0
            while work.poll() is None:
                engine = ("interpret", "translate")[changes % 2]
                done = some.run("set", "dev", f"engine={engine}")
                check((done.returncode, done.stdout, done.stderr) == (0, "", ""), done)
                check(some.list()["dev"]["engine"] == engine, "another engine runs")
                changes += 1
            output = work.stdout.read()
            check(work.returncode == 0 and output == right, "after", changes, "changes:", output)
        check(changes >= 4, "only", changes, "changes")
        check(some.info("dev")["specification"]["machine"]["engine"] == engine, "it is not kept")
        some.succeed("stop", "dev")
        some.succeed("start", "dev")
        some.wait_for_state("dev", "running")
        check(some.list()["dev"]["engine"] == engine, "it started by another")


def test_an_engine_that_a_running_machine_does_not_have_comes_with_the_next_start():
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", *forever())
        done = some.run("set", "dev", "engine=check")
        check(done.returncode == 0 and done.stderr == "doppel: dev runs; when it starts again changes: engine\n", done)
        check(some.list()["dev"]["engine"] == "interpret", "it changed")


if __name__ == "__main__":
    guest.main(globals())
