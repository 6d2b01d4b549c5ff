#!/usr/bin/env python3
"""Disks that doppel and QEMU's tools write and read in turns.

Usage: disks.py DOPPEL_DISK STORAGE_CLIENT TEST
"""
import collections
import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from support.verdict import check, check_failure, skip

DISK, CLIENT = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
MIB = 1 << 20
LONG = 600  # seconds that a long test goes on at least: a round that has begun is ended
# Every kind of image: what -o says, and whether it stands on another disk.
KINDS = {
    "plain": ("", False), "backing": ("", True), "version2": ("compat=0.10", False), "version2_backing": ("compat=0.10", True),
    "lazy": ("lazy_refcounts=on", False), "smallest": ("cluster_size=512", False), "largest": ("cluster_size=2M", False),
    "extended": ("extended_l2=on", False), "extended_backing": ("extended_l2=on,cluster_size=128K", True),
    "zstd": ("compression_type=zstd", True), "one_bit": ("refcount_bits=1", True), "wide": ("refcount_bits=64", False),
    "external": ("data_file=data.raw", False), "raw_external": ("data_file=data.raw,data_file_raw=on", False),
    "metadata": ("preallocation=metadata", False), "falloc": ("preallocation=falloc", False),
}


def run(*command, text=None, code=0):
    done = subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True, timeout=500, check=False)
    check(done.returncode == code, command, "ended with", done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def disk(*arguments):
    return run(DISK, *arguments)


@contextlib.contextmanager
def folder(place=None):
    if not shutil.which("qemu-img"):
        skip("no qemu-img (Debian's qemu-utils)")
    before = pathlib.Path.cwd()
    with tempfile.TemporaryDirectory(prefix="doppel-disks-", dir=place) as path:
        os.chdir(path)
        try:
            yield
        finally:
            os.chdir(before)


def accept(image):
    """Both find nothing wrong."""
    run("qemu-img", "check", "-q", image)
    disk("check", image)


def make(image, kind, size, maker="doppel"):
    options, backing = KINDS[kind]
    arguments = ["create", "-q", "-f", "qcow2"] + (["-o", options] if options else [])
    if backing:
        if not pathlib.Path("base.raw").exists():
            pathlib.Path("base.raw").write_bytes(random.Random(1).randbytes(size * 3 // 4))
        arguments += ["-b", "base.raw", "-F", "raw"]
    run(*([DISK] if maker == "doppel" else ["qemu-img"]), *arguments, image, size)


def operations(rng, size, count, unit):
    """(verb, offset, length, pattern), inside, discards of whole units."""
    for _ in range(count):
        verb = rng.choices(("write", "zero", "unmap", "discard", "flush"), (60, 10, 10, 15, 5))[0]
        grain = unit if verb == "discard" else rng.choice((512, 4096, unit))
        offset = rng.randrange(size // grain) * grain
        length = min(grain * rng.randrange(1, 24), size - offset)
        if verb == "discard":
            length -= length % unit
        if length > 0:
            yield verb, offset, length, rng.randrange(1, 256)


def to_client(ops, rng):
    lines = []
    end = collections.deque()  # ranges under way: those that overlap wait
    for verb, offset, length, pattern in ops:
        if verb != "flush" and any(offset < b and a < offset + length for a, b in end) or rng.random() < 0.05:
            lines.append("wait")
            end.clear()
        lines.append(verb if verb == "flush" else f"{verb} {offset} {length} {pattern}")
        if verb != "flush":
            # Requests change whole clusters at times, but never what their neighbours hold.
            end.append((offset, offset + length))
    return "\n".join(lines) + "\n"


def to_qemu_io(ops):
    words = {"write": "write -q -P {3} {1} {2}", "zero": "write -q -z {1} {2}", "unmap": "write -q -z -u {1} {2}",
             "discard": "discard -q {1} {2}", "flush": "flush"}
    return "\n".join(words[op[0]].format(*op) for op in ops) + "\n"


def to_model(model, ops, hides_below, below):
    for verb, offset, length, pattern in ops:
        if verb == "write":
            model[offset:offset + length] = bytes([pattern]) * length
        elif verb == "discard" and not hides_below:
            pass  # version 2 on another disk: what was there may show again, or stay
        elif verb != "flush":
            model[offset:offset + length] = bytes(length)


def same_operations(kind, seed, count):
    rng = random.Random(seed)
    size = 12 * MIB + 1024
    options, backing = KINDS[kind]
    unit = {"cluster_size=2M": 2 * MIB, "extended_l2=on,cluster_size=128K": 131072}.get(options, 65536)
    hides_below = not (kind == "version2_backing")
    with folder():
        for name in ("a.qcow2", "b.qcow2"):
            make(name, kind, size, "doppel" if rng.random() < 0.5 else "qemu")
            if "data_file" in options:  # one each
                own = name.replace("qcow2", "raw")
                pathlib.Path("data.raw").rename(own)
                pathlib.Path(name).unlink()
                pathlib.Path(own).unlink()
                run(DISK, "create", "-q", "-f", "qcow2", "-o", options.replace("data.raw", own), name, size)
        model = bytearray(size)
        if backing:
            below = pathlib.Path("base.raw").read_bytes()
            model[:len(below)] = below
        for turn in range(3):
            ops = [op for op in operations(rng, size, count, unit) if hides_below or op[0] != "discard"]
            # In turns: each writes to what the other has written.
            first, second = ("a.qcow2", "b.qcow2") if turn % 2 == 0 else ("b.qcow2", "a.qcow2")
            run(CLIENT, "run", first, text=to_client(ops, rng))
            run("qemu-io", "-d", "unmap", "-f", "qcow2", second, text=to_qemu_io(ops))
            to_model(model, ops, hides_below, backing)
            accept("a.qcow2")
            accept("b.qcow2")
            run("qemu-img", "compare", "-q", "a.qcow2", "b.qcow2")
        pathlib.Path("model.raw").write_bytes(model)
        for name in ("a.qcow2", "b.qcow2"):
            run("qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", name, "model.raw")
            disk("convert", "-O", "raw", name, "out.raw")
            check(pathlib.Path("out.raw").read_bytes() == model, kind, "doppel read something else from", name)


def test_the_same_operations_leave_the_same_bytes():
    for i, kind in enumerate(KINDS):
        same_operations(kind, i, 120)


def long_many_operations_leave_the_same_bytes():
    end = time.monotonic() + LONG
    for round_ in itertools.count():
        if round_ > 0 and time.monotonic() > end:
            break
        for i, kind in enumerate(KINDS):
            print(f"{kind}, seed {1000 + round_ * 100 + i}", flush=True)
            same_operations(kind, 1000 + round_ * 100 + i, 300)


def test_converting_keeps_every_byte():
    with folder():
        rng = random.Random(5)
        size = 20 * MIB + 512
        content = bytearray(size)
        for _ in range(60):
            offset, length = rng.randrange(size), rng.randrange(1, 200000)
            content[offset:offset + length] = (rng.randbytes(min(length, size - offset)) if rng.random() < 0.7
                                               else b"doppel" * 40000)[:min(length, size - offset)]
        pathlib.Path("a.raw").write_bytes(content)
        for kind, (options, backing) in KINDS.items():
            if backing:
                continue
            for compress in ((), ("-c",)):
                if compress and "data_file" in options:
                    continue
                disk("convert", "-O", "qcow2", *(("-o", options) if options else ()), *compress, "a.raw", "b.qcow2")
                accept("b.qcow2")
                run("qemu-img", "compare", "-q", "a.raw", "b.qcow2")
                disk("convert", "-O", "raw", "b.qcow2", "c.raw")
                check(pathlib.Path("c.raw").read_bytes() == content, kind, compress, "came back changed")
                run("qemu-img", "convert", "-O", "qcow2", *compress, "b.qcow2", "d.qcow2")
                disk("convert", "-O", "raw", "d.qcow2", "c.raw")
                check(pathlib.Path("c.raw").read_bytes() == content, kind, compress, "QEMU's copy was read wrongly")


def test_resizing_is_accepted():
    with folder():
        for kind, (options, backing) in KINDS.items():
            if backing or "data_file" in options:
                continue
            make("a.qcow2", kind, 30 * MIB)
            run("qemu-io", "-f", "qcow2", "a.qcow2", text="write -q -P 9 0 30M\n")
            disk("resize", "a.qcow2", "+90M")
            accept("a.qcow2")
            run("qemu-io", "-f", "qcow2", "a.qcow2", text="read -q -P 9 0 30M\nread -q -P 0 30M 90M\nwrite -q -P 8 100M 1M\n")
            disk("resize", "--shrink", "a.qcow2", "10M")
            accept("a.qcow2")
            disk("resize", "a.qcow2", "40M")
            accept("a.qcow2")
            run("qemu-io", "-f", "qcow2", "a.qcow2", text="read -q -P 9 0 10M\nread -q -P 0 10M 30M\n")
            pathlib.Path("a.qcow2").unlink()


def test_snapshots_are_kept_and_read():
    with folder():
        for options in ("compat=1.1", "compat=0.10", "extended_l2=on", "cluster_size=4096"):
            run("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, "a.qcow2", "16M")
            run("qemu-io", "-f", "qcow2", "a.qcow2", text="write -q -P 1 0 8M\n")
            run("qemu-img", "snapshot", "-c", "first", "a.qcow2")
            run(CLIENT, "run", "a.qcow2", text="write 1000000 3000000 2\nwait\ndiscard 6291456 2097152\nwait\nwrite 0 512 3\n")
            accept("a.qcow2")
            info = json.loads(disk("info", "--json", "a.qcow2"))
            check([one["name"] for one in info["snapshots"]] == ["first"], info)
            disk("convert", "-l", "first", "-O", "raw", "a.qcow2", "old.raw")
            check(pathlib.Path("old.raw").read_bytes() == b"\1" * (8 * MIB) + bytes(8 * MIB), "the snapshot has changed")
            run("qemu-img", "convert", "-O", "raw", "a.qcow2", "new.raw")
            new = pathlib.Path("new.raw").read_bytes()
            check(new[:512] == b"\3" * 512 and new[512:1000000] == b"\1" * 999488 and new[1000000:4000000] == b"\2" * 3000000
                  and new[6 * MIB:] == bytes(10 * MIB), "the disk is wrong")
            run("qemu-img", "snapshot", "-a", "first", "a.qcow2")
            accept("a.qcow2")
            pathlib.Path("a.qcow2").unlink()


def test_bitmaps_are_kept():
    with folder():
        run("qemu-img", "create", "-q", "-f", "qcow2", "a.qcow2", "16M")
        run("qemu-img", "bitmap", "--add", "a.qcow2", "follows")
        run("qemu-img", "bitmap", "--add", "--disable", "a.qcow2", "rests")
        run("qemu-io", "-f", "qcow2", "a.qcow2", text="write -q -P 1 0 1M\n")
        run(CLIENT, "run", "a.qcow2", text="write 2097152 65536 2\n")
        accept("a.qcow2")
        bitmaps = {one["name"]: one for one in json.loads(disk("info", "--json", "a.qcow2"))["bitmaps"]}
        check(bitmaps["follows"]["in_use"] and not bitmaps["rests"]["in_use"], bitmaps)
        theirs = json.loads(run("qemu-img", "info", "--output=json", "a.qcow2"))["format-specific"]["data"]["bitmaps"]
        check({one["name"]: "in-use" in one["flags"] for one in theirs} == {"follows": True, "rests": False}, theirs)


def test_damage_is_found_and_mended():
    with folder():
        rng = random.Random(3)
        for turn in range(40):
            kind = rng.choice([name for name, (options, backing) in KINDS.items() if not backing and "data_file" not in options])
            make("a.qcow2", kind, 8 * MIB)
            run(CLIENT, "run", "a.qcow2", text="write 0 3000000 1\nwrite 5000000 100000 2\n")
            with open("a.qcow2", "r+b") as image:
                end = image.seek(0, 2)
                for _ in range(rng.randrange(1, 4)):
                    image.seek(rng.randrange(4096, min(end, 400000)))
                    image.write(rng.randbytes(rng.choice((1, 8, 512))))
            found = subprocess.run([DISK, "check", "--json", "a.qcow2"], capture_output=True, text=True, timeout=60, check=False)
            check(found.returncode in (0, 1), found)
            subprocess.run([DISK, "check", "--repair", "a.qcow2"], capture_output=True, timeout=60, check=False)
            after = subprocess.run([DISK, "check", "a.qcow2"], capture_output=True, text=True, timeout=60, check=False)
            check(after.returncode == 0, kind, turn, "was not mended", after.stdout, after.stderr)
            theirs = subprocess.run(["qemu-img", "check", "a.qcow2"], capture_output=True, text=True, check=False)
            check(theirs.returncode == 0, kind, turn, "QEMU finds more:", theirs.stdout[-1000:], theirs.stderr[-1000:])
            disk("convert", "-O", "raw", "a.qcow2", "out.raw")
            pathlib.Path("a.qcow2").unlink()


def test_two_do_not_write_at_once():
    with folder():
        for file, how in (("a.qcow2", ("-f", "qcow2")), ("a.raw", ("-f", "raw"))):
            disk("create", "-q", *how, file, "16M")
            with subprocess.Popen([CLIENT, "numbers", file, "1"], stdout=subprocess.PIPE, text=True) as writer:
                writer.stdout.readline()
                done = subprocess.run([DISK, "resize", file, "32M"], capture_output=True, text=True, check=False)
                check_failure(file, done, code=1, says=[rf"process {writer.pid} \(storage_client\) uses it"])
                done = subprocess.run([DISK, "convert", file, "b.raw"], capture_output=True, text=True, check=False)
                check_failure(file, done, code=1, says=["may write to it"])
                theirs = subprocess.run(["qemu-io", *how, "-c", "write 0 512", file], capture_output=True, text=True, check=False)
                check("lock" in theirs.stderr, theirs)
                disk("info", file)
                writer.kill()


def kill_writers(times, place=None):
    with folder(place):
        rng = random.Random(time.time_ns())
        kinds = [name for name, (options, _) in KINDS.items() if "data_file" not in options]
        for turn in range(times):
            kind = kinds[turn % len(kinds)]
            seed = rng.randrange(1 << 30)
            make("a.qcow2", kind, 8 * MIB)
            with subprocess.Popen([CLIENT, "numbers", "a.qcow2", str(seed)], stdout=subprocess.PIPE, text=True) as writer:
                lines = rng.randrange(1, 200)
                said = [writer.stdout.readline() for _ in range(lines)]
                if rng.random() < 0.5:
                    time.sleep(rng.random() / 200)
                writer.send_signal(signal.SIGKILL)
                said += writer.stdout.readlines()
            expect_numbers(said, kind, seed)
            pathlib.Path("a.qcow2").unlink()


def expect_numbers(said, kind, seed):
    units = 8 * MIB // 4096
    below = pathlib.Path("base.raw").read_bytes() if KINDS[kind][1] else b""
    possible = [[None] for _ in range(units)]  # None: what was there at first
    for line in said:
        if line == "flushed\n":
            possible = [values[-1:] for values in possible]
        elif line.endswith("\n") and len(line.split()) == 3:
            first, count, number = map(int, line.split())
            for unit in range(first, first + count):
                possible[unit].append(number)
    # doppel waits until the kernel has let go of what the killed process had begun; QEMU does not.
    subprocess.run([DISK, "check", "a.qcow2"], capture_output=True, check=False)
    checked = subprocess.run(["qemu-img", "check", "a.qcow2"], capture_output=True, text=True, check=False)
    lazy = kind == "lazy"
    check(lazy or checked.returncode in (0, 3), kind, seed, "is damaged", checked)
    check(subprocess.run([DISK, "check", "--repair", "a.qcow2"], capture_output=True, check=False).returncode == 0, kind, seed)
    accept("a.qcow2")
    disk("convert", "-O", "raw", "a.qcow2", "out.raw")
    content = pathlib.Path("out.raw").read_bytes()
    for unit in range(units):
        at = unit * 4096
        found = content[at:at + 4096]
        whole = [below[at:at + 4096].ljust(4096, b"\0") if value is None else value.to_bytes(8, "big") * 512 for value in possible[unit]]
        if found in whole:
            continue
        # What was under way may be there in part.
        parts = all(any(found[s:s + 512] == one[s:s + 512] for one in whole) for s in range(0, 4096, 512))
        check(parts, kind, seed, "unit", unit, "holds", found[:8].hex(), "not one of", possible[unit])


def test_killed_writers_lose_nothing_that_was_flushed():
    kill_writers(100)


def long_ten_thousand_killed_writers_lose_nothing():
    # A killed process loses nothing that the kernel has, whether that is on a disk or not: in memory it takes a third of the time.
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    part = 250
    with concurrent.futures.ProcessPoolExecutor() as workers:
        for done in workers.map(kill_writers, [part] * (10000 // part), [place] * (10000 // part)):
            check(done is None, done)


def test_threads_serve_where_io_uring_does_not():
    os.environ["DOPPEL_STORAGE_THREADS"] = "4"
    for kind in ("plain", "extended_backing", "external"):
        same_operations(kind, 77, 80)


def test_refusals_are_one_line():
    with folder():
        pathlib.Path("cut.qcow2").write_bytes(b"QFI\xfb\0\0\0\3")
        disk("create", "-q", "-f", "qcow2", "a.qcow2", "1M")
        luks = bytearray(pathlib.Path("a.qcow2").read_bytes())
        luks[35] = 2
        pathlib.Path("luks.qcow2").write_bytes(luks)
        unknown = bytearray(pathlib.Path("a.qcow2").read_bytes())
        unknown[72] = 0x80
        pathlib.Path("unknown.qcow2").write_bytes(unknown)
        loop = ["create", "-q", "-u", "-f", "qcow2", "-b", "loop.qcow2", "-F", "qcow2", "loop.qcow2", "1M"]
        disk(*loop)
        for says, *arguments in (("encrypted with LUKS", "info", "luks.qcow2"), ("cut off", "info", "cut.qcow2"),
                                 ("does not know: number 63", "info", "unknown.qcow2"), ("stands on itself", "map", "loop.qcow2"),
                                 ("No such file", "info", "none"), ("neither a file nor", "info", "/dev/null"),
                                 ("raw disks have nothing", "check", "-f", "raw", "a.qcow2"),
                                 ("would be lost", "resize", "a.qcow2", "512K"),
                                 ("power of two", "create", "-f", "qcow2", "-o", "cluster_size=3000", "b.qcow2", "1M"),
                                 ("no such option", "create", "-f", "qcow2", "-o", "colour=red", "b.qcow2", "1M"),
                                 ("cannot make so large", "create", "-f", "qcow2", "b.qcow2", "9000000T"),
                                 ("it is missing", "create", "b.raw")):
            done = subprocess.run([DISK, *arguments], capture_output=True, text=True, check=False)
            check_failure(arguments, done, code=done.returncode, says=[re.escape(says)])
            check(done.returncode in (1, 2), arguments, done.returncode)
        left = sorted(path.name for path in pathlib.Path().iterdir())
        check(left == ["a.qcow2", "cut.qcow2", "loop.qcow2", "luks.qcow2", "unknown.qcow2"], "left behind", left)


def test_a_full_disk_fails_and_leaves_nothing():
    with folder():
        pathlib.Path("small").mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "none", "small"], capture_output=True, check=False)
        if mounted.returncode != 0:
            skip("tmpfs cannot be mounted")
        try:
            pathlib.Path("a.raw").write_bytes(random.Random(1).randbytes(8 * MIB))
            done = subprocess.run([DISK, "convert", "-O", "qcow2", "a.raw", "small/b.qcow2"], capture_output=True, text=True, check=False)
            check_failure("convert", done, code=1, says=["No space left"])
            check(list(pathlib.Path("small").iterdir()) == [], "left behind", list(pathlib.Path("small").iterdir()))
            disk("create", "-q", "-f", "qcow2", "small/c.qcow2", "64M")
            done = subprocess.run([CLIENT, "run", "small/c.qcow2"], input="write 0 8388608 1\n", capture_output=True, text=True, check=False)
            check("No space left" in done.stderr, done)
            check(subprocess.run([DISK, "check", "--repair", "small/c.qcow2"], capture_output=True, check=False).returncode == 0)
            accept("small/c.qcow2")
        finally:
            subprocess.run(["umount", "small"], check=True)


if __name__ == "__main__":
    globals()[sys.argv[3]]()
