#!/usr/bin/env python3
"""The guest's agent, over the machine's socket: programs, terminals, files, power, and guests that do not behave."""
import contextlib
import hashlib
import os
import pathlib
import re
import select
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import guest  # noqa: E402
from support.guest import Machine, check  # noqa: E402

CLIENT = guest.DOPPEL.parent / "agent_client"
MEBIBYTE = 1 << 20


class Agent:
    """A machine with its socket."""

    def __init__(self, machine, path):
        self.machine, self.path = machine, path

    def start(self, *words, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return subprocess.Popen([CLIENT, self.path, *map(str, words)], **options)

    def finish(self, process, data=None):
        """(exit code, output, diagnostics)"""
        output, diagnostics = process.communicate(data, timeout=guest.PATIENCE)
        return process.returncode, output.decode(errors="replace"), diagnostics.decode(errors="replace")

    def ask(self, *words, data=None):
        return self.finish(self.start(*words, stdin=subprocess.DEVNULL if data is None else subprocess.PIPE), data)

    def succeed(self, *words, data=None):
        code, output, diagnostics = self.ask(*words, data=data)
        check(code == 0, words, "ended with", code, output, diagnostics)
        return output

    def run(self, script):
        return self.succeed("exec", "--", "sh", "-c", script)


@contextlib.contextmanager
def machine_with_agent(*what, prompt=guest.PROMPT):
    guest.tiny()
    with guest.surroundings() as around:
        path = around.folder / "agent"
        with Machine("--agent", f"socket:{path}", *(what or ("tiny",)), on_terminal=False) as machine:
            machine.expect(prompt)
            check(path.exists(), "there is no socket")
            yield Agent(machine, path)


def wait_for(condition, what):
    deadline = time.monotonic() + guest.PATIENCE
    while not condition():
        check(time.monotonic() < deadline, what)
        time.sleep(0.05)


def test_the_agent_runs_programs_with_their_output_input_and_exit_codes():
    with machine_with_agent() as agent:
        check(agent.ask("exec", "--", "sh", "-c", "echo out; echo err >&2; exit 7") == (7, "out\n", "err\n"), "exit 7")
        check(agent.ask("exec", "--", "sh", "-c", "kill -9 $$")[0] == 128 + 9, "signal 9")
        check(agent.ask("exec", "--", "no-such-program")[0] == 127, "not found")
        check(agent.ask("exec", "--", "/etc/passwd")[0] == 126, "not executable")
        check(agent.succeed("exec", "--", "wc", "-c", data=b"x" * 300000).strip() == "300000", "input")
        check(agent.succeed("exec", "-w", "/tmp", "-e", "A=b c", "--", "sh", "-c", 'echo "$PWD $A"') == "/tmp b c\n", "environment")
        check(agent.succeed("exec", "-u", "1000:7", "--", "sh", "-c", "id -u; id -g") == "1000\n7\n", "user")
        code, _, why = agent.ask("exec", "-u", "nobody-of-that-name", "--", "true")
        check(code == 125 and "find user" in why, code, why)
        code, _, why = agent.ask("exec", "-w", "/nowhere", "--", "true")
        check(code == 125 and "/nowhere" in why, code, why)
        check(agent.succeed("exec", "--", "sh", "-c", "sleep 1000 & echo on").strip() == "on", "what stays in the background")


def test_the_agent_gives_programs_a_terminal_with_size_and_signals():
    with machine_with_agent() as agent:
        control, steer = os.pipe()
        script = "stty size; tty; trap 'stty size' WINCH; trap 'echo got int; exit 3' INT; echo ready; while :; do sleep 0.1; done"
        program = agent.start("exec", "-t", "100x30", "-c", control, "--", "sh", "-c", script, stdin=subprocess.PIPE, pass_fds=[control])
        seen = b""

        def expect(text):
            nonlocal seen
            deadline = time.monotonic() + guest.PATIENCE
            while text not in seen:
                check(time.monotonic() < deadline, text, "did not come:", seen)
                if select.select([program.stdout], [], [], 0.2)[0]:
                    seen += os.read(program.stdout.fileno(), 4096)
            seen = seen[seen.index(text) + len(text):]
        expect(b"30 100")
        expect(b"/dev/pts/")
        expect(b"ready")
        os.write(steer, b"size 132 50\n")
        expect(b"50 132")
        program.stdin.write(b"\x03")  # as the key
        program.stdin.flush()
        expect(b"got int")
        check(agent.finish(program)[0] == 3, "the terminal's program ended otherwise")
        program = agent.start("exec", "-c", control, "--", "sh", "-c", "echo ready; sleep 1000", pass_fds=[control])
        check(program.stdout.readline() == b"ready\n", "no output")
        os.write(steer, b"signal 15\n")
        check(agent.finish(program)[0] == 128 + 15, "the signal did not arrive")


def test_the_agent_copies_large_files_both_ways_whole():
    with machine_with_agent() as agent, guest.surroundings() as around:
        sent, back = around.folder / "sent", around.folder / "back"
        content = os.urandom(MEBIBYTE) * 20
        sent.write_bytes(content)
        sent.chmod(0o750)
        os.utime(sent, (0, 1234567890))
        agent.succeed("put", sent, "/tmp/file")
        digest = hashlib.sha256(content).hexdigest()
        check(digest in agent.run("sha256sum /tmp/file"), "the sums differ in the guest")
        check(agent.run("stat -c '%a %Y' /tmp/file; ls -A /tmp") == "750 1234567890\nfile\n", agent.run("ls -lA /tmp"))
        agent.succeed("get", "/tmp/file", back)
        check(hashlib.sha256(back.read_bytes()).hexdigest() == digest, "the sums differ at the host")
        check(back.stat().st_mode & 0o777 == 0o750 and int(back.stat().st_mtime) == 1234567890, back.stat())
        for words in (("get", "/tmp/none", around.folder / "none"), ("get", "/tmp", around.folder / "none"),
                      ("put", sent, "/tmp"), ("put", sent, "/none/file")):
            code, _, why = agent.ask(*words)
            check(code == 125 and why.count("\n") == 1, words, code, why)
        left = {path.name for path in around.folder.iterdir() if path.is_file()}
        check(left == {"sent", "back"}, "files left behind:", left)


def test_a_file_that_is_not_whole_does_not_appear_in_the_guest():
    with machine_with_agent() as agent:
        program = agent.start("put", "/dev/stdin", "/tmp/half", stdin=subprocess.PIPE)
        check(agent.finish(program, b"")[0] == 125, "a pipe is no file")
        with contextlib.suppress(BrokenPipeError):
            whole = agent.start("exec", "--", "sh", "-c", "cat > /tmp/stream; echo end", stdin=subprocess.PIPE)
            whole.stdin.write(b"x" * MEBIBYTE)
            whole.stdin.flush()
        whole.kill()
        whole.wait()
        wait_for(lambda: agent.run("ps | grep -c '[c]at' || true").strip() == "0", "the program went on without its asker")
        check(agent.run("ls -A /tmp").strip() == "stream", agent.run("ls -A /tmp"))


def test_many_programs_run_side_by_side_and_a_slow_reader_stops_none():
    with machine_with_agent() as agent:
        slow = agent.start("exec", "--", "cat", "/dev/zero")  # nobody reads it
        programs = [agent.start("exec", "--", "sh", "-c", f"head -c 100000 /dev/zero | wc -c; exit {i}") for i in range(24)]
        for i, program in enumerate(programs):
            check(agent.finish(program)[:2] == (i, "100000\n"), "program", i)
        check(slow.poll() is None, "the slow one ended")
        slow.kill()
        slow.communicate()


def test_the_agent_tells_statistics_and_renews_identity_and_time():
    with machine_with_agent() as agent:
        found = re.match(r"tiny (\S+) memory (\d+) available (\d+) load \d+ uptime (\d+) processes (\d+) disks 1\n", agent.succeed("statistics"))
        check(found and int(found[2]) > 300 * MEBIBYTE and int(found[3]) < int(found[2]) and int(found[4]) > 0, "statistics")
        agent.succeed("identity", "another", "0123456789abcdef" * 2, "entropy from the host")
        check(agent.run("hostname; cat /etc/hostname /etc/machine-id") == "another\nanother\n" + "0123456789abcdef" * 2 + "\n", "identity")
        code, _, why = agent.ask("identity", "no/name", "", "")
        check(code == 125 and "host name" in why, code, why)
        agent.succeed("time", 1_000_000_000 * 1_000_000_000)
        check(agent.run("date +%s").strip()[:7] == "1000000", agent.run("date"))


def test_the_agent_rescans_and_removes_pci_functions():
    with machine_with_agent() as agent:
        rng = "0000:00:01.0"
        check(rng in agent.run("ls /sys/bus/pci/devices"), "no rng")
        agent.succeed("remove", rng)
        check(rng not in agent.run("ls /sys/bus/pci/devices"), "it was not removed")
        agent.succeed("rescan")
        check(rng in agent.run("ls /sys/bus/pci/devices"), "it did not come back")
        code, _, why = agent.ask("remove", "../../../etc")
        check(code == 125 and "no address" in why, code, why)


def test_the_agent_powers_off_cleanly():
    with machine_with_agent() as agent:
        agent.succeed("poweroff")
        agent.machine.ends_with(0)
        check(not agent.path.exists(), "the socket was left")


def test_an_agent_that_was_killed_or_rebooted_comes_back():
    with machine_with_agent() as agent:
        running = agent.start("exec", "--", "sleep", "1000")
        wait_for(lambda: "sleep 1000" in agent.run("ps"), "no sleep")
        agent.ask("exec", "--", "sh", "-c", "kill -9 $(pidof doppel-agent | tr ' ' '\\n' | sort -n | tail -1)")
        code, _, why = agent.finish(running)
        check(code == 125 and "went away" in why, code, why)
        check(agent.run("echo again") == "again\n", "no new session")
        agent.succeed("reboot")
        agent.machine.expect(guest.PROMPT)
        check(agent.run("echo rebooted") == "rebooted\n", "no session after a reboot")


PROMPT_OF_SH = rb"~ # "


def test_the_agent_can_be_a_guests_first_process():
    with machine_with_agent(*guest.tiny_arguments("rdinit=/bin/doppel-agent"), prompt=PROMPT_OF_SH) as agent:
        check(agent.run("readlink /proc/1/exe; tty < /dev/console") == "/bin/doppel-agent\n/dev/console\n", "process 1")
        mounted = agent.run("cut -d' ' -f2 /proc/mounts").split()
        check({"/dev", "/proc", "/sys", "/run", "/dev/pts", "/dev/shm"} <= set(mounted), mounted)
        agent.machine.send("trap 'echo interrupted' INT; sleep 1000\n")  # on a terminal of its own
        agent.machine.expect(rb"sleep 1000\r\n")
        wait_for(lambda: "sleep 1000" in agent.run("ps"), "no sleep")
        agent.machine.send(b"\x03")
        agent.machine.expect(PROMPT_OF_SH)
        agent.run("for i in 1 2 3; do (sh -c 'sleep 0.1 &'); done")
        wait_for(lambda: " Z " not in agent.run("ps -o stat,args"), "orphans are not reaped")
        agent.ask("exec", "--", "sh", "-c", "kill -9 $(pidof doppel-agent | tr ' ' '\\n' | grep -vx 1)")
        wait_for(lambda: agent.ask("exec", "--", "echo", "again")[:2] == (0, "again\n"), "the agent was not started again")
        agent.succeed("reboot")
        agent.machine.expect(PROMPT_OF_SH)
        agent.succeed("poweroff")
        agent.machine.ends_with(0)


def test_a_guest_whose_first_process_is_the_agent_ends_with_its_command():
    with machine_with_agent(*guest.tiny_arguments('rdinit=/bin/doppel-agent -- sh -c "echo ready; read x; echo got $x"'),
                            prompt=rb"ready\r\n") as agent:
        agent.run("true")
        agent.machine.send("a line\n")
        agent.machine.expect(rb"got a line\r\n")
        agent.machine.ends_with(0)


def test_garbage_from_the_guests_side_of_the_port_harms_nobody():
    with machine_with_agent() as agent:
        port = agent.run("ls /dev/vport*").strip()
        take_over = ("agents=$(pidof doppel-agent); kill -STOP $agents; kill -9 $agents; sleep 0.1; "
                     f"head -c 3000000 /dev/urandom > {port}; doppel-agent --supervise </dev/null >/dev/null 2>&1 &")
        os.write(agent.machine.input, f"({take_over}) 2>/dev/null\n".encode())
        deadline = time.monotonic() + guest.PATIENCE
        while agent.ask("exec", "--", "echo", "fine")[:2] != (0, "fine\n"):
            check(time.monotonic() < deadline, "the agent did not come back")
        check(agent.machine.process.poll() is None, "the machine ended")


def test_a_client_that_sends_garbage_is_cut_off_and_others_go_on():
    with machine_with_agent() as agent:
        for junk in (os.urandom(100000), b"DA" * 50000):
            with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(ConnectionError):
                client.connect(str(agent.path))
                client.sendall(junk)
        check(agent.run("echo fine") == "fine\n", "others suffer")


if __name__ == "__main__":
    guest.main(globals())
