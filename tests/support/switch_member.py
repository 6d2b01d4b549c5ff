"""A member of a switch that is no machine: it speaks the switch's protocol (src/network/lan/protocol.h, src/network/ring)."""
import json
import mmap
import os
import pathlib
import select
import socket
import struct
import time

from support.verdict import check

PATIENCE = 60
TO_SWITCH, TO_MEMBER, HEAD = 1 << 20, 2 << 20, 4096
SKIP = 0xffffffff
WRITTEN, READ, SLEEPS = 0, 64, 128  # within a ring's positions, 256 bytes each
RECEIVES = 512
BROADCAST = b"\xff" * 6


def mac(number):
    return bytes((2, 0, 0, 0, 0, number))


def mac_text(address):
    return ":".join(f"{byte:02x}" for byte in address)


def frame(to, sender, payload=b"", kind=0x88b5, tag=None):
    """kind: for experiments, IEEE 802."""
    between = b"" if tag is None else struct.pack(">HH", 0x8100, tag)
    return to + sender + between + struct.pack(">H", kind) + payload.ljust(46, b"\0")


def socket_of(state, network):
    return pathlib.Path(state) / "run" / "networks" / f"{network}.socket"


def connect(state, network):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.settimeout(PATIENCE)
    link.connect(str(socket_of(state, network)))
    return link


def ask(link, request):
    """The answer, and a descriptor or None."""
    link.send(json.dumps(request).encode())
    answer, descriptors, _, _ = socket.recv_fds(link, 1 << 18, 1)
    return json.loads(answer), descriptors[0] if descriptors else None


class Member:
    def __init__(self, state, network, number, port="", publish=()):
        self.mac = mac(number)
        self.link = connect(state, network)
        self.answer, descriptor = ask(self.link, {"do": "join", "port": port, "mac": mac_text(self.mac), "publish": list(publish)})
        check("error" not in self.answer, self.answer)
        self.memory = mmap.mmap(descriptor, HEAD + TO_SWITCH + TO_MEMBER)
        os.close(descriptor)
        self.written = self.read = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.link.close()

    def number(self, at, value=None, size="Q"):
        if value is None:
            return struct.unpack_from(size, self.memory, at)[0]
        return struct.pack_into(size, self.memory, at, value)

    def wake(self):
        try:
            self.link.send(b"w", socket.MSG_DONTWAIT)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass

    def send(self, data, offload=bytes(16)):
        entry = struct.pack("II", 16 + len(data), 0) + offload + data
        entry += bytes(-len(entry) % 8)
        at = self.written % TO_SWITCH
        if at + len(entry) > TO_SWITCH:
            self.number(HEAD + at, SKIP, "I")
            self.written += TO_SWITCH - at
            at = 0
        self.memory[HEAD + at:HEAD + at + len(entry)] = entry
        self.written += len(entry)
        self.number(WRITTEN, self.written)
        self.wake()

    def take(self):
        """The next frame that is there, or None."""
        base = HEAD + TO_SWITCH
        if self.number(256 + WRITTEN) == self.read:
            return None
        at = self.read % TO_MEMBER
        length = self.number(base + at, size="I")
        if length == SKIP:
            self.read += TO_MEMBER - at
            at = 0
            length = self.number(base, size="I")
        data = self.memory[base + at + 8 + 16:base + at + 8 + length]
        self.read += (8 + length + 7) // 8 * 8
        self.number(256 + READ, self.read)
        return data

    def receive(self, wanted=lambda _: True):
        """The next frame that `wanted` holds for; it comes, or the test fails."""
        deadline = time.monotonic() + PATIENCE
        while True:
            while (data := self.take()) is not None:
                if wanted(data):
                    return data
            check(time.monotonic() < deadline, "no frame came")
            check(not self.is_off(0.01), "the switch has put this member off")

    def received(self, marker, until):
        """Whether a frame with `marker` came before one with `until`, which another member sends afterwards."""
        seen = []
        self.receive(lambda data: seen.append(marker in data) or until in data)
        return any(seen)

    def is_off(self, seconds):
        """Whether the switch closes the connection within this time; wake-ups are taken meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self.link], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                return False
            try:
                if not self.link.recv(16):
                    return True
            except ConnectionResetError:
                return True
