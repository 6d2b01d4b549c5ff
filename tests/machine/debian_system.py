#!/usr/bin/env python3
"""A Debian system whose root is a shared folder: the agent under systemd and as its first process."""
import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench"), str(ROOT / "tests" / "machine")]
from agent import Agent, wait_for  # noqa: E402
from harness import debian  # noqa: E402
from harness.failure import Failure  # noqa: E402
from harness.machines import cache_folder  # noqa: E402
from support import guest  # noqa: E402
from support.guest import DOPPEL, Machine, check  # noqa: E402

PACKAGES = ("systemd", "systemd-sysv", "openssh-server", "base-files", "bash", "coreutils", "dash", "grep", "hostname", "procps", "sed",
            "util-linux")
UNIT = "doppel-agent.service"
BOOT = 600  # seconds until the agent answers: systemd is a lot of code to translate
# What the packages' scripts would make, which nobody has run.
FILES = {"etc/passwd": "root::0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
                       "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
         "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n", "etc/machine-id": "0123456789abcdef" * 2 + "\n", "etc/hostname": "original\n"}


@contextlib.contextmanager
def system():
    """The folder of a Debian system with the agent and its unit."""
    program = DOPPEL.parent / "agent-riscv64"
    if not program.exists():
        guest.skip("the agent is not built: riscv64-linux-gnu-g++ was not found")
    try:
        tree, _ = debian.tree_of(PACKAGES, cache_folder() / "tests" / "system")
    except Failure as problem:
        guest.skip(f"no packages: {problem}")
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        root = pathlib.Path(folder) / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", tree, root], check=True)
        for path, text in FILES.items():
            (root / path).write_text(text)
        for path in ("dev", "proc", "sys", "run", "tmp", "root", "var/tmp", "usr/local/sbin", "etc/systemd/system/multi-user.target.wants"):
            (root / path).mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "usr/share/openssh/sshd_config", root / "etc/ssh/sshd_config")
        shutil.copy(program, root / "usr/local/sbin/doppel-agent")
        shutil.copy(ROOT / "guest" / UNIT, root / "etc/systemd/system" / UNIT)
        (root / "etc/systemd/system/multi-user.target.wants" / UNIT).symlink_to(f"/etc/systemd/system/{UNIT}")
        yield root


@contextlib.contextmanager
def started(root, append):
    kernel, _, own = guest.tiny()
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        path = pathlib.Path(folder) / "agent"
        guest.PATIENCE = BOOT
        with Machine("--agent", f"socket:{path}", "--memory", "1G", "--cpus", "2", "--share", f"{root}:/", "--kernel", kernel, "--append",
                     f"{own} {append}", on_terminal=False) as machine:
            agent = Agent(machine, path)

            def answers():
                machine.read(0.5)
                check(machine.process.poll() is None, "the machine ended:", machine.tail())
                return path.exists() and agent.ask("exec", "--", "true")[0] == 0
            wait_for(answers, "the agent does not answer")
            yield agent


def keys_of(agent):
    """{algorithm: key} that the guest's ssh server shows."""
    lines = [line.split() for line in agent.run("ssh-keyscan 127.0.0.1 2>/dev/null || true").splitlines()]
    return {words[1]: words[2] for words in lines if len(words) == 3}


def long_the_agent_is_a_service_of_systemd_and_renews_the_keys_of_ssh():
    with system() as root, started(root, "") as agent:
        check(agent.run("cat /proc/1/comm; systemctl is-active doppel-agent") == "systemd\nactive\n", "the service")
        agent.ask("exec", "--", "sh", "-c", "kill -9 $(systemctl show -P MainPID doppel-agent)")
        wait_for(lambda: agent.ask("exec", "--", "echo", "again")[:2] == (0, "again\n"), "systemd does not start it again")

        agent.run("ssh-keygen -A && systemctl start ssh")
        wait_for(lambda: len(keys_of(agent)) >= 3, "no ssh server")
        before = keys_of(agent)
        files = sorted(path.name for path in (root / "etc/ssh").glob("ssh_host_*"))
        agent.succeed("identity", "another", "fedcba9876543210" * 2, "entropy of the host", "ssh")
        wait_for(lambda: set(keys_of(agent)) == set(before) and not set(keys_of(agent).values()) & set(before.values()),
                 "the server shows old keys")
        check(sorted(path.name for path in (root / "etc/ssh").glob("ssh_host_*")) == files, "other files of keys")
        check(agent.run("ls -A /etc/ssh | grep -c doppel; stat -c %a /etc/ssh/ssh_host_*_key | sort -u") == "0\n600\n", "what is left")
        check(agent.run("hostname; cat /etc/hostname /etc/machine-id").split() == ["another", "another", "fedcba9876543210" * 2], "names")

        agent.succeed("poweroff")
        agent.machine.ends_with(0)


def long_a_debian_system_runs_with_the_agent_as_its_first_process():
    with system() as root:
        with started(root, "init=/usr/local/sbin/doppel-agent -- bash") as agent:
            check(agent.run("cat /proc/1/comm; findmnt -no FSTYPE /") == "doppel-agent\nvirtiofs\n", "process 1")
            agent.run("echo kept > /root/file")
            agent.succeed("reboot")
            wait_for(lambda: agent.ask("exec", "--", "cat", "/root/file")[:2] == (0, "kept\n"), "it is not back")
            agent.succeed("poweroff")
            agent.machine.ends_with(0)
        check((root / "root/file").read_text() == "kept\n", "the file")


if __name__ == "__main__":
    guest.main(globals())
