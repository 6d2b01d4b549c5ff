#!/usr/bin/env python3
"""The switch: --net switch:NAME, as guests and as members that are none see it."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]
from support import guest, switch_member  # noqa: E402
from support.guest import Machine, check  # noqa: E402
from support.switch_member import BROADCAST, Member, frame, mac  # noqa: E402


@contextlib.contextmanager
def own_state():
    """A user's state of its own, so that no other test's networks are met."""
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as folder:
        os.environ["DOPPEL_STATE"] = folder
        try:
            yield pathlib.Path(folder)
        finally:
            for network in (pathlib.Path(folder) / "run" / "networks").glob("*.socket"):
                with contextlib.suppress(OSError):
                    stop(folder, network.stem)


def stop(state, network):
    with switch_member.connect(state, network) as link:
        switch_member.ask(link, {"do": "stop"})


def show(state, network):
    with switch_member.connect(state, network) as link:
        return switch_member.ask(link, {"do": "show"})[0]


def port_of(state, network, name):
    return next(port for port in show(state, network)["ports"] if port["name"] == name)


@contextlib.contextmanager
def machines(*networks):
    """Guests at their shells, a --net each."""
    guest.tiny()
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(Machine("--net", network, "tiny")) for network in networks]
        for machine in made:
            machine.expect(guest.PROMPT)
        yield made


def ask_until(machine, command, wanted):
    deadline = time.monotonic() + guest.PATIENCE
    while wanted not in (answer := machine.shell(command)[1]):
        check(time.monotonic() < deadline, command, "gave", answer)


@contextlib.contextmanager
def lab(state):
    """The network `lab` runs, for members that are no machines."""
    started = subprocess.run([guest.DOPPEL, "network", "create", "lab", "--uplink", "none"], capture_output=True, text=True, check=False)
    check(started.returncode == 0, started)
    yield
    stop(state, "lab")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def expect_words(port):
    deadline, heard = time.monotonic() + guest.PATIENCE, b""
    while heard != b"served\n":
        check(time.monotonic() < deadline, "the port gave", heard)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as client:
            heard = client.recv(100)


def test_two_guests_on_a_switch_reach_each_other_by_address_and_by_name():
    port = free_port()
    with own_state() as state:
        guest.tiny()
        with Machine("--net", "switch:lab,name=web", "--publish", f"127.0.0.1:{port}:80", "tiny") as web, \
                Machine("--net", "switch:lab,name=db", "tiny") as db:
            web.expect(guest.PROMPT)
            db.expect(guest.PROMPT)
            address = port_of(state, "lab", "web")["addresses"][0]
            db.ask(f"ping -c 1 {address}")
            db.ask("ping -c 1 web.lab && ping -c 1 web")
            check("nowhere" not in db.shell("ping -c 1 nowhere.lab")[1].replace("nowhere.lab", ""), db.tail())
            check(address in db.ask("nslookup web.lab"), db.tail())
            web.ask("(while true; do echo served | nc -l -p 80; done) >/dev/null 2>&1 & :")
            ask_until(db, "nc -w 5 web.lab 80 </dev/null", "served")
            expect_words(port)
            # A second member's name and ports are taken.
            refused = subprocess.run([guest.DOPPEL, "run", "--net", "switch:lab,name=web", "--kernel", guest.tiny()[0]],
                                     capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=guest.PATIENCE, check=False)
            check(refused.returncode == 125 and "another member has this name" in refused.stderr, refused)
            gateway = show(state, "lab")["subnet"].replace(".0/24", ".2")
            db.ask(f"ping -c 1 {gateway}")


def test_guests_on_a_switch_have_ipv6_and_a_router():
    with own_state() as state, machines("switch:lab,name=a", "switch:lab,name=b") as (a, b):
        prefix = show(state, "lab")["prefix"].removesuffix("/64")
        ask_until(b, "ip -6 addr show eth0", prefix.removesuffix(":"))
        ask_until(a, "ip -6 route", "default via fe80::2")
        ask_until(a, "nslookup -type=aaaa b.lab", prefix.removesuffix(":"))
        ask_until(a, "ping6 -c 1 -W 5 b.lab", "1 packets received")
        ask_until(a, f"ping6 -c 1 -W 5 {prefix}2", "1 packets received")


def test_large_transfers_between_guests_are_whole():
    with own_state(), machines("switch:lab,name=a", "switch:lab,name=b") as (a, b):
        wanted = a.ask("dd if=/dev/urandom of=/tmp/f bs=1M count=16 2>/dev/null; sha256sum </tmp/f")
        a.ask("httpd -p 80 -h /tmp")
        ask_until(b, "wget -q -O - http://a.lab/f | sha256sum", wanted)


def test_vlans_are_apart_and_a_trunk_has_both():
    with own_state() as state, lab(state), Member(state, "lab", 1, "vlan=10,name=a") as a, \
            Member(state, "lab", 2, "vlan=20,name=b") as b, Member(state, "lab", 3, "trunk=10+20,name=t") as trunk:
        a.send(frame(BROADCAST, a.mac, b"from ten"))
        trunk.send(frame(BROADCAST, trunk.mac, b"to twenty", tag=20))
        check(not b.received(b"from ten", b"to twenty"), "a frame crossed")
        data = trunk.receive(lambda one: b"from ten" in one)
        check(data == frame(BROADCAST, a.mac, b"from ten", tag=10), data)
        b.send(frame(BROADCAST, b.mac, b"no tags here", tag=10))
        b.send(frame(BROADCAST, b.mac, b"the end"))
        trunk.receive(lambda one: b"the end" in one)
        check(port_of(state, "lab", "b")["counters"]["dropped_wrong_vlan"] == 1, show(state, "lab"))


def test_a_capture_shows_what_a_member_gets_and_nothing_of_another_vlan():
    with own_state() as state, lab(state), Member(state, "lab", 1, "vlan=10,name=a") as a, \
            Member(state, "lab", 2, "vlan=20,name=b") as b, Member(state, "lab", 3, "trunk=10+20,name=t") as trunk:
        file = state / "b.pcapng"
        with subprocess.Popen([guest.DOPPEL, "network", "capture", "--port", "b", "--frames", "2", "-o", str(file), "lab"]) as capture:
            deadline = time.monotonic() + guest.PATIENCE
            while not file.exists() or file.stat().st_size == 0:
                check(time.monotonic() < deadline, "no capture")
                time.sleep(0.02)
            a.send(frame(BROADCAST, a.mac, b"from ten"))
            trunk.send(frame(BROADCAST, trunk.mac, b"to twenty", tag=20))
            b.receive(lambda one: b"to twenty" in one)
            b.send(frame(BROADCAST, b.mac, b"the end"))
            check(capture.wait(guest.PATIENCE) == 0, "capture ended with", capture.returncode)
        seen = file.read_bytes()
        check(seen.startswith(b"\x0a\x0d\x0d\x0a"), seen[:16])
        check(b"to twenty" in seen and b"the end" in seen and b"from ten" not in seen, seen)


def test_networks_are_made_listed_shown_and_removed():
    def network(*words, code=0):
        done = subprocess.run([guest.DOPPEL, "network", *words], capture_output=True, text=True, timeout=guest.PATIENCE, check=False)
        check(done.returncode == code, words, done)
        return done.stdout if code == 0 else done.stderr

    with own_state() as state:
        check(json.loads(network("ls", "--json")) == [], "there is a network")
        network("create", "lab", "--subnet", "10.20.30.0/24", "--uplink", "none")
        check("there is one of this name" in network("create", "lab", code=1), "made twice")
        network("create", "Lab", code=2)
        with Member(state, "lab", 1, "name=a") as a:
            listed = json.loads(network("ls", "--json"))
            check([(one["name"], one["state"], one["members"], one["subnet"]) for one in listed] ==
                  [("lab", "running", 1, "10.20.30.0/24")], listed)
            shown = json.loads(network("show", "--json", "lab"))
            check(shown["ports"][0]["name"] == "a" and shown["ports"][0]["addresses"][0].startswith("10.20.30."), shown)
            check("1 members are plugged into it" in network("rm", "lab", code=1), "removed with a member")
            network("rm", "--force", "lab")
            check(a.is_off(guest.PATIENCE), "its link is up")
        check("there is none of this name" in network("show", "lab", code=1), "still there")


def test_a_tap_and_a_bridge_of_the_host_carry_a_guests_frames():
    if os.geteuid() != 0 or not shutil.which("ip") or not os.path.exists("/dev/net/tun"):
        guest.skip("interfaces of the host need root, ip and /dev/net/tun")
    bridge, tap = f"dtb{os.getpid() % 100000}", f"dtt{os.getpid() % 100000}"
    with contextlib.ExitStack() as undo:
        made = subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            guest.skip(f"no bridge can be made here: {made.stderr.strip()}")
        undo.callback(subprocess.run, ["ip", "link", "del", bridge], check=False)
        subprocess.run(["ip", "addr", "add", "10.253.7.1/24", "dev", bridge], check=True)
        subprocess.run(["ip", "link", "set", bridge, "up"], check=True)
        with Machine("--net", f"bridge:{bridge}", "--net", f"tap:{tap}", "tiny") as machine:
            machine.expect(guest.PROMPT)
            subprocess.run(["ip", "addr", "add", "10.253.8.1/24", "dev", tap], check=True)
            machine.ask("ip addr add 10.253.7.2/24 dev eth0; ip addr add 10.253.8.2/24 dev eth1; ip link set eth0 up; ip link set eth1 up")
            ask_until(machine, "ping -c 1 -W 2 10.253.7.1", "1 packets received")
            ask_until(machine, "ping -c 1 -W 2 10.253.8.1", "1 packets received")
            # TCP, whose segments and sums the interface gets as they are.
            machine.ask("dd if=/dev/urandom of=/tmp/f bs=1M count=4 2>/dev/null; httpd -p 80 -h /tmp")
            wanted = machine.ask("sha256sum </tmp/f").split()[0]
            with socket.create_connection(("10.253.7.2", 80), guest.PATIENCE) as client:
                client.sendall(b"GET /f HTTP/1.0\r\n\r\n")
                data = b"".join(iter(lambda: client.recv(1 << 16), b""))
            check(hashlib.sha256(data[-(4 << 20):]).hexdigest() == wanted, len(data))
            machine.send("poweroff\r")
            machine.ends_with(0)


def test_a_spoofed_address_is_dropped():
    with own_state() as state, lab(state), Member(state, "lab", 1, "pin,name=a") as a, Member(state, "lab", 2, "name=b") as b:
        a.send(frame(BROADCAST, mac(9), b"not mine"))
        a.send(frame(BROADCAST, a.mac, b"mine"))
        check(not b.received(b"not mine", b"mine"), "a spoofed frame came")
        b.send(frame(BROADCAST, a.mac, b"as a"))
        b.send(frame(a.mac, b.mac, b"as b"))
        check(not a.received(b"as a", b"as b"), "another one has a pinned address")
        check(port_of(state, "lab", "a")["counters"]["dropped_spoofed"] == 1, show(state, "lab"))


def test_a_spoofing_guest_is_dropped():
    with own_state() as state, machines("switch:lab,name=a,pin", "switch:lab,name=b") as (a, b):
        a.ask("ping -c 1 b.lab")
        a.ask("ip link set eth0 down && ip link set eth0 address 02:00:00:00:00:77 && ip link set eth0 up")
        address = port_of(state, "lab", "b")["addresses"][0]
        check(a.shell(f"ping -c 1 -W 2 {address}")[0] != 0, "it was answered")
        check(port_of(state, "lab", "a")["counters"]["dropped_spoofed"] > 0, show(state, "lab"))
        b.ask("true")


def test_a_member_that_damages_its_rings_is_put_off_and_the_others_go_on():
    with own_state() as state, lab(state), Member(state, "lab", 1, "name=a") as a, Member(state, "lab", 2, "name=b") as b:
        for kind, damage in enumerate((lambda bad: bad.number(switch_member.WRITTEN, 1 << 40),
                                       lambda bad: bad.number(256 + switch_member.READ, 1 << 40),
                                       lambda bad: (bad.number(switch_member.HEAD, 1 << 31, "I"), bad.number(switch_member.WRITTEN, 64)))):
            with Member(state, "lab", 10, "name=bad") as bad:
                damage(bad)
                bad.wake()
                # The switch looks at its reader's position when there is no room any more.
                deadline = time.monotonic() + guest.PATIENCE
                while not bad.is_off(0.01):
                    check(time.monotonic() < deadline, "it is still there after damage", kind)
                    a.send(frame(BROADCAST, a.mac, bytes(60_000)))
                    b.receive(lambda one: len(one) > 60_000)
        a.send(frame(BROADCAST, a.mac, b"still here"))
        b.receive(lambda one: b"still here" in one)
        check(show(state, "lab")["put_off"] == 3, show(state, "lab"))


def test_a_member_that_takes_nothing_blocks_nobody():
    with own_state() as state, lab(state), Member(state, "lab", 1, "name=a") as a, Member(state, "lab", 2, "name=b") as b, \
            Member(state, "lab", 3, "name=dead"):
        for number in range(60):
            a.send(frame(BROADCAST, a.mac, b"number %d." % number + bytes(60_000)))
            b.receive(lambda one, wanted=b"number %d." % number: wanted in one)
        check(port_of(state, "lab", "dead")["counters"]["dropped_no_room"] > 0, show(state, "lab"))
        check(port_of(state, "lab", "b")["counters"]["dropped_no_room"] == 0, show(state, "lab"))


def test_the_end_of_a_switch_is_told_and_the_next_start_makes_a_new_one():
    with own_state() as state, machines("switch:lab,name=a") as (a,):
        status = pathlib.Path(f"/proc/{show(state, 'lab')['pid']}/status").read_text()
        if not guest.INSTRUMENTED:
            check("Seccomp:\t2" in status and "NoNewPrivs:\t1" in status, status)
        check(a.ask("cat /sys/class/net/eth0/carrier") == "1", a.tail())
        os.kill(show(state, "lab")["pid"], signal.SIGKILL)
        a.expect(rb"network lab: its switch is gone; the link is down until this machine is started again")
        ask_until(a, "cat /sys/class/net/eth0/carrier", "0")
        with Machine("--net", "switch:lab,name=a", "tiny") as again:
            again.expect(rb"network lab: its switch was killed; a new one is started")
            again.expect(guest.PROMPT)
        a.send("poweroff\r")
        a.ends_with(0)


def test_a_switch_ends_after_its_last_member():
    with own_state() as state:
        kernel = guest.tiny()[0]
        with Machine("--net", "switch:brief", "--kernel", kernel, "--append", "panic=1", on_terminal=False):
            deadline = time.monotonic() + guest.PATIENCE
            while not switch_member.socket_of(state, "brief").exists():
                check(time.monotonic() < deadline, "no switch started")
                time.sleep(0.05)
            pid = show(state, "brief")["pid"]
        deadline = time.monotonic() + guest.PATIENCE
        while list((state / "run" / "networks").iterdir()):
            check(time.monotonic() < deadline, "it did not end")
            time.sleep(0.2)
        with contextlib.suppress(OSError):
            while "State:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text():  # nobody may wait for it here
                check(time.monotonic() < deadline, "its process did not end")
                time.sleep(0.2)


if __name__ == "__main__":
    guest.main(globals())
