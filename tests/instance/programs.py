#!/usr/bin/env python3
"""Programs and files in a running instance."""
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import check  # noqa: E402
from support.instances import forever, instances  # noqa: E402


def test_exec_passes_input_output_exit_codes_and_signals():
    guest.tiny()
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", "tiny")
        done = some.run("exec", "dev", "sh", "-c", "echo out; echo err >&2; exit 7")
        check((done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n"), done)
        check(some.run("exec", "dev", "sh", "-c", "kill -9 $$").returncode == 128 + 9, "a signal")
        for program, code in (("no-such-program", 127), ("/etc/passwd", 126)):
            some.fail("exec", "dev", program, code=code, says=program)
        check(some.succeed("exec", "-i", "dev", "wc", "-c", input="x" * 300000).strip() == "300000", "the input")
        check(some.succeed("exec", "dev", "cat", input="unread") == "", "an input that nobody asked for")
        check(some.succeed("exec", "-w", "/tmp", "-e", "A=b c", "-u", "1000", "dev", "sh", "-c", 'echo "$PWD $A $(id -u)"')
              == "/tmp b c 1000\n", "directory, variable, user")
        some.fail("exec", "-e", "A", "dev", "true", code=2, says="no variable")
        some.fail("exec", "dev", code=2, says="a program is missing")
        with some.start("exec", "dev", "sh", "-c", "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.1; done",
                        stdout=subprocess.PIPE, text=True) as program:
            check(program.stdout.readline() == "ready\n", "it does not start")
            program.send_signal(signal.SIGTERM)
            check(program.stdout.readline() == "got\n" and program.wait(guest.PATIENCE) == 9, "the signal did not arrive")


def test_exec_says_what_is_missing():
    with instances() as some:
        some.fail("exec", "nobody", "true", code=125, says="none of that name")
        some.succeed("run", "-d", "--name", "dev", *forever())
        some.fail("exec", "dev", "true", code=125, says="no agent answers; start doppel-agent in it")
        some.succeed("kill", "dev")
        some.fail("exec", "dev", "true", code=125, says="it is stopped.*doppel start dev")


def test_files_and_directories_are_copied_both_ways():
    guest.tiny()
    with instances() as some:
        some.succeed("run", "-d", "--name", "dev", "tiny")
        tree = some.folder / "tree"
        (tree / "below").mkdir(parents=True)
        (tree / "below" / "file").write_bytes(os.urandom(1 << 20))
        (tree / "link").symlink_to("below/file")
        (tree / "run").write_text("#!/bin/sh\necho it runs\n")
        (tree / "run").chmod(0o755)
        some.succeed("cp", tree / "run", "dev:/root/")
        check(some.succeed("exec", "dev", "/root/run") == "it runs\n", "a file")
        some.succeed("cp", tree, "dev:/copy")
        some.succeed("cp", "dev:/copy", some.folder / "back")
        check(subprocess.run(["diff", "-r", "--no-dereference", tree, some.folder / "back"], check=False).returncode == 0, "differ")
        some.succeed("cp", "dev:/root/run", some.folder / "one")
        check((some.folder / "one").read_bytes() == (tree / "run").read_bytes(), "one file back")
        some.fail("cp", "dev:/nowhere", some.folder, says="/nowhere")
        some.fail("cp", some.folder / "none", "dev:/root", says="none")
        some.fail("cp", "a", "b", code=2, says="NAME:PATH")


if __name__ == "__main__":
    guest.main(globals())
