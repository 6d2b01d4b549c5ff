#!/usr/bin/env python3
"""Machines whose code is translated: the bounds of its cache, and what --stats tells."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import booted, check  # noqa: E402

# Runs much of the kernel and of busybox, again and again.
WORK = "for i in 1 2 3; do find /bin /etc /lib | sort | sha256sum; ls -lR /sys/class | gzip | gunzip | wc -l; done"


def without_translator():
    done = subprocess.run([guest.DOPPEL, "run", "--explain", "--json", "tiny"], capture_output=True, text=True, check=False)
    return '"engine": "translate"' not in done.stdout


def test_a_guest_of_four_harts_works_while_its_code_cache_of_1_mib_is_emptied_again_and_again():
    if without_translator():
        guest.skip("this build has no translator")
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        path = pathlib.Path(folder) / "stats.json"
        with booted("--cpus", 4, "--code-cache", "1M", "--translation-cache", "off", f"--stats={path}") as machine:
            lines = machine.ask(WORK + " & " + WORK + "; wait").splitlines()
            check(len(lines) == 12, lines)
            machine.send("poweroff\r")
            machine.ends_with(0)
        stats = json.loads(path.read_text())
    check(stats["harts"] == 4 and stats["engine"] == "translate", stats)
    check(stats["code_cache_flushes"] >= 2 and stats["code_cache_used_bytes"] <= 1 << 20, stats)
    check(stats["translated_host_bytes"] > 2 << 20, stats)


def test_a_guest_works_without_any_technique_of_the_translator():
    if without_translator():
        guest.skip("this build has no translator")
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        path = pathlib.Path(folder) / "stats.json"
        with booted("--cpus", 2, "--translate-without", "all", "--translation-cache", "off", f"--stats={path}") as machine:
            check(machine.ask("seq 1000 | sha256sum") == "67d4ff71d43921d5739f387da09746f405e425b07d727e4c69d029461d1f051f  -",
                  machine.tail())
            machine.send("poweroff\r")
            machine.ends_with(0)
        stats = json.loads(path.read_text())
    check(stats["blocks_translated"] > 0 and stats["regions_translated"] == 0 and stats["exits_link"] == 0, stats)


def stats_of(program, *options):
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        path = pathlib.Path(folder) / "stats.json"
        path.write_text("old" * 10000)
        command = [guest.DOPPEL, "run", f"--stats={path}", *options, "--firmware", guest.program(program)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        check(done.returncode == 0 and done.stderr == "", done)
        return json.loads(path.read_text())


def test_statistics_tell_where_instructions_were_executed():
    stats = stats_of("timer_interrupt", "--engine", "interpret")
    check(stats["engine"] == "interpret" and stats["interpreted_instructions"] == stats["instructions"] > 1000, stats)
    check(stats["interrupts"] > 0 and stats["wall_nanoseconds"] > 0 and stats["processor_nanoseconds"] > 0, stats)
    check(stats["mips_by_wall_time"] > 0 and "translated_host_bytes" not in stats, stats)
    if without_translator():
        return
    stats = stats_of("timer_interrupt", "--engine", "translate", "--translation-cache", "off")
    check(stats["engine"] == "translate" and stats["translated_instructions"] > 0, stats)
    check(stats["translated_instructions"] + stats["interpreted_instructions"] == stats["instructions"], stats)
    check(stats["blocks_translated"] > 0 and stats["translated_host_bytes"] > 0 and stats["translation_nanoseconds"] > 0, stats)
    check(sum(count for name, count in stats.items() if name.startswith("exits_")) > 0, stats)


def test_statistics_go_to_standard_error_as_text():
    command = [guest.DOPPEL, "run", "--stats", "--firmware", guest.program("tohost_pass")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    check(done.returncode == 0 and done.stderr.startswith("doppel: statistics of 1 hart by the engine "), done)
    check(re.search(r"\n  instructions +[0-9,]+\n", done.stderr), done.stderr)


def test_statistics_that_cannot_be_written_stop_the_machine_before_it_starts():
    done = subprocess.run([guest.DOPPEL, "run", "--stats=/nowhere/at/all", "--firmware", guest.program("tohost_pass")],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    check(done.returncode == 125 and re.fullmatch(r"doppel: open statistics: [^\n]+\n", done.stderr), done)


if __name__ == "__main__":
    guest.main(globals())
