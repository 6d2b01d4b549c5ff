#!/usr/bin/env python3
"""Translations that machines keep for later ones: what is saved by them, and that no state of their folder harms a machine."""
import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import Machine, check  # noqa: E402

WARNING = b"doppel: warning: "


def need_translator():
    done = subprocess.run([guest.DOPPEL, "run", "--explain", "--json", "tiny"], capture_output=True, text=True, check=False)
    if '"engine": "translate"' not in done.stdout:
        guest.skip("this build has no translator")


@contextlib.contextmanager
def folder():
    need_translator()
    guest.tiny()
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as path:
        yield pathlib.Path(path)


def start(cache, stats, *options):
    return Machine("--translation-cache", cache, f"--stats={stats}", *options, "tiny", on_terminal=False)


def finish(machine, stats):
    """From the shell to the end; (statistics, warnings)."""
    machine.expect(guest.PROMPT)
    check(machine.ask("echo $((6 * 7))") == "42", machine.tail())
    machine.send("poweroff\r")
    machine.ends_with(0)
    return json.loads(stats.read_text()), [line for line in machine.seen.splitlines() if WARNING in line]


def boot(cache, *options):
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as path:
        stats = pathlib.Path(path) / "stats.json"
        with start(cache, stats, *options) as machine:
            return finish(machine, stats)


def cache_verb(cache, *words):
    done = subprocess.run([guest.DOPPEL, "cache", *words, "--translation-cache", cache], capture_output=True, text=True, check=False)
    check(done.returncode == 0 and done.stderr == "", done)
    return done.stdout


def listed(cache):
    return json.loads(cache_verb(cache, "ls", "--json"))


def test_a_second_boot_translates_nearly_nothing():
    with folder() as path:
        cache = path / "translations"
        first, warnings = boot(cache)
        check(first["blocks_loaded"] == 0 and first["blocks_translated"] > 5000 and not warnings, first, warnings)
        [entry] = listed(cache)
        check(entry["translations"] > 5000 and entry["bytes"] > 1 << 20 and "riscv64, vlen 0" in entry["configuration"], entry)
        second, warnings = boot(cache)
        check(second["blocks_loaded"] > 5000 and second["regions_loaded"] > 0 and not warnings, second, warnings)
        check(second["blocks_translated"] < first["blocks_translated"] / 4, first, second)
        check("SIZE" in cache_verb(cache, "ls") and " freed" in cache_verb(cache, "clear"), "no words")
        check(listed(cache) == [] and cache_verb(cache, "ls") == "", "not cleared")
        check(sorted(one.name for one in cache.iterdir()) == [".lock"], list(cache.iterdir()))


def test_a_machine_with_a_vector_unit_takes_nothing_from_one_without():
    with folder() as path:
        boot(path / "translations")
        stats, warnings = boot(path / "translations", "--vlen", 128)
        check(stats["blocks_loaded"] == 0 and stats["blocks_translated"] > 5000 and not warnings, stats, warnings)
        check(len(listed(path / "translations")) == 2, listed(path / "translations"))


def test_damaged_translations_are_one_line_and_made_anew():
    with folder() as path:
        cache = path / "translations"
        boot(cache)
        [file] = cache.glob("*.code")
        whole = file.read_bytes()
        units = bytearray(whole)
        for at in range(len(whole) // 2, len(whole), 1000):
            units[at] ^= 4
        for damaged in (whole[:-1], b"", b"x" * 10000, bytes(units)):
            file.write_bytes(damaged)
            stats, warnings = boot(cache)
            check(len(warnings) == 1 and stats["blocks_translated"] > 1000, stats, warnings)
            [entry] = listed(cache)
            check(entry["translations"] > 5000, entry)
        stats, warnings = boot(cache)
        check(stats["blocks_loaded"] > 5000 and not warnings, stats, warnings)


def test_translations_that_others_could_write_are_not_used():
    with folder() as path:
        cache = path / "translations"
        boot(cache)
        [file] = cache.glob("*.code")
        file.chmod(0o622)
        stats, warnings = boot(cache)
        check(stats["blocks_loaded"] == 0 and len(warnings) == 1 and b"others may write to it" in warnings[0], stats, warnings)
        cache.chmod(0o777)
        stats, warnings = boot(cache)
        check(stats["blocks_loaded"] == 0 and len(warnings) == 1 and b"others may write to it" in warnings[0], stats, warnings)


def test_a_folder_for_translations_that_cannot_be_made_is_one_line():
    need_translator()
    stats, warnings = boot("/proc/doppel")
    check(stats["blocks_translated"] > 5000 and len(warnings) == 1, stats, warnings)


def test_two_machines_at_once_share_their_translations():
    with folder() as path:
        cache, names = path / "translations", ("a.json", "b.json")
        with start(cache, path / names[0]) as one, start(cache, path / names[1]) as other:
            for machine, name in zip((one, other), names):
                stats, warnings = finish(machine, path / name)
                check(stats["blocks_translated"] > 1000 and not warnings, stats, warnings)
        [entry] = listed(cache)
        check(entry["translations"] > 5000, entry)
        stats, warnings = boot(cache)
        check(stats["blocks_loaded"] > 5000 and not warnings, stats, warnings)


def test_translations_that_were_made_without_a_technique_are_for_machines_without_it_only():
    with folder() as path:
        cache = path / "translations"
        boot(cache)
        for loads in (False, True):
            stats, warnings = boot(cache, "--translate-without", "windows,loops")
            check((stats["blocks_loaded"] > 5000) == loads and not stats["regions_loaded"] and not warnings, stats, warnings)
        check(len(listed(cache)) == 2, listed(cache))


def test_all_translations_stay_within_their_size():
    with folder() as path:
        cache = path / "translations"
        for vlen in (0, 128, 256, 512, 1024):
            boot(cache, "--vlen", vlen, "--translation-cache-size", "1M")
        files = listed(cache)
        check(0 < sum(one["bytes"] for one in files) <= 1 << 20, files)
        check(all(one["bytes"] <= (1 << 20) / 4 + 4096 for one in files) and 3 <= len(files) <= 4, files)
        stats, warnings = boot(cache, "--vlen", 1024, "--translation-cache-size", "1M")
        check(0 < stats["blocks_loaded"] < 5000 and not warnings, stats, warnings)


def test_what_a_killed_machine_has_translated_is_kept_and_nothing_else_is_left():
    need_translator()
    with guest.surroundings() as around:
        cache = around.folder / "cache" / "doppel" / "translations"
        with Machine(*guest.tiny_arguments(), environment=around.environment) as machine:
            machine.expect(guest.PROMPT)
            guest.end_by_signal(machine, signal.SIGKILL)
        around.expect_nothing_left()
        deadline = time.monotonic() + guest.PATIENCE
        while not list(cache.glob("*.code")) and time.monotonic() < deadline:
            time.sleep(0.05)
        [entry] = listed(cache)
        check(entry["translations"] > 5000, entry)


def test_programs_that_change_their_code_run_with_stored_translations():
    need_translator()
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as path:
        loaded = 0
        for name in ("self_modifying", "jit", "exact_faults") * 3:
            stats = pathlib.Path(path) / "stats.json"
            # The same file, so that each program finds what others have left.
            (pathlib.Path(path) / "program.elf").write_bytes(guest.program(name).read_bytes())
            done = subprocess.run([guest.DOPPEL, "run", "--translation-cache", f"{path}/translations", f"--stats={stats}", "--cpus", "2",
                                   "--firmware", f"{path}/program.elf"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            check(done.returncode == 0 and done.stderr == "", name, done)
            loaded += json.loads(stats.read_text())["blocks_loaded"]
        check(loaded > 0, "nothing was ever loaded")


def long_stored_translations_compute_what_the_interpreter_does():
    guest.PATIENCE = 500  # this engine needs ten times the translator's time
    with folder() as path:
        boot(path / "translations")
        stats, warnings = boot(path / "translations", "--engine", "check")
        check(stats["blocks_loaded"] > 5000 and stats["regions_loaded"] > 0 and not warnings, stats, warnings)


if __name__ == "__main__":
    guest.main(globals())
