"""What a real host hands a real TAP, cut and finished here, as the host's peer receives it.

    sender                  this test                    receiver
    sockets -- TAP ==== super-frames -> packets ==== TAP -- sockets

Packets leave without any promise, so the receiver's kernel sums every checksum itself.
"""

import contextlib
import os
import select
import socket
import threading
from collections import Counter

import pytest

from rhp._fast.parcel import from_tap, to_tap
from rhp._fast.segment import segments
from rhp.guard.taps import USO4, open_tap
from rhp.lab.lab import Lab
from rhp.lab.process import wait_until
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

NONE, TCP4, TCP6, UDP = 0, 1, 4, 5
WITH_ECN = 0x80
VNET_HEADER = 10
NETWORK = 14
MTU = 1400
SIZE = 4_000_000
UDP_SEGMENT = 103
PADDING = bytes.fromhex("0000010400000000")
"""An extension header of IPv6 that pads; the kernel writes its first octet."""
CONGESTED = 3
MARK_EVERY = 500


class Wire(threading.Thread):
    """Carries frames between two TAPs, cut into packets; marks some as if a router on the way were congested."""

    def __init__(self, one, other):
        super().__init__(name="wire")
        self._ends = {one: other, other: one}
        self._over = threading.Event()
        self._carried = 0
        self.seen = Counter()
        self.refused = []

    def run(self):
        while not self._over.is_set():
            for fd in select.select(list(self._ends), [], [], 0.05)[0]:
                # A TAP that takes no more loses what it is given, as any wire.
                with contextlib.suppress(BlockingIOError):
                    for packet in self._packets(os.read(fd, 1 << 17)):
                        os.write(self._ends[fd], bytes(VNET_HEADER) + packet)

    def _packets(self, data):
        try:
            frame, kind, size, start, offset, unfinished = from_tap(data)
            self.seen[kind] += 1
            self.seen["window reduced"] += bool(data[1] & WITH_ECN)
            if kind == NONE:
                return [to_tap(frame, kind, size, start, offset, unfinished, finish=True)[VNET_HEADER:]]
            packets = segments(frame, kind, size, checksum_start=start, checksum_offset=offset)
        except ValueError as error:
            self.refused.append(f"{error}: {data[:128].hex()}")
            return []
        assert all(len(packet) <= NETWORK + MTU for packet in packets)
        return [self._marked(packet) for packet in packets]

    def _marked(self, packet):
        """IPv6 alone, whose header has no checksum."""
        self._carried += 1
        at = NETWORK + 1
        if self._carried % MARK_EVERY or packet[at - 1] >> 4 != 6 or not packet[at] & 0x30:
            return packet
        return packet[:at] + bytes([packet[at] | CONGESTED << 4]) + packet[at + 1 :]

    def stop(self):
        self._over.set()
        self.join()
        for fd in self._ends:
            os.close(fd)


def attach(namespace, number):
    """A host whose only interface is a TAP."""
    namespace.sysctl("net.ipv4.tcp_ecn", 1)
    opened = namespace.call(lambda: open_tap("tap0", 1, offload=True))
    assert opened.offloads & USO4, "this kernel knows no super-frames of UDP"
    namespace.ip(f"link set tap0 mtu {MTU} txqueuelen 5000", "link set tap0 up")
    namespace.address("tap0", f"10.0.0.{number}/24", f"fd00::{number}/64")
    # The kernel tells the interface a moment later that its link is there; until then nobody can bind to fd00::.
    shown = ["ip", "-6", "address", "show", "dev", "tap0", "tentative"]
    wait_until(lambda: not namespace.run(shown).strip(), 30, "an IPv6 address that can be used")
    return opened.fds[0]


@pytest.fixture
def hosts():
    with Lab() as lab:
        sender, receiver = lab.namespace("sender"), lab.namespace("receiver")
        wire = lab.keep(Wire(attach(sender, 1), attach(receiver, 2)))
        wire.start()
        yield sender, receiver, wire
        assert wire.is_alive()
        assert wire.refused == []
        assert broken_checksums(receiver) == broken_checksums(sender) == 0


def broken_checksums(namespace):
    """Of TCP over both IP versions, and of UDP."""
    lines = namespace.run(["cat", "/proc/net/snmp"]).splitlines()
    found = 0
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        if names.startswith(("Tcp:", "Udp:")):
            found += int(dict(zip(names.split(), values.split(), strict=True))["InCsumErrors"])
    lines = namespace.run(["cat", "/proc/net/snmp6"]).splitlines()
    return found + sum(int(line.split()[1]) for line in lines if line.startswith("Udp6InCsumErrors"))


@pytest.mark.parametrize(("address", "kind"), [("10.0.0.2", TCP4), ("fd00::2", TCP6)])
@pytest.mark.parametrize("stamps", [0, 1])
def test_tcp(hosts, address, kind, stamps):
    sender, receiver, wire = hosts
    sender.sysctl("net.ipv4.tcp_timestamps", stamps)
    assert Transfer(sender, receiver, address).run(SIZE)
    assert wire.seen[kind] > SIZE / 65536


def test_a_sender_that_reduces_its_window(hosts):
    sender, receiver, wire = hosts
    assert Transfer(sender, receiver, "fd00::2").run(5 * SIZE)
    assert wire.seen["window reduced"] > 0


@pytest.mark.parametrize("option", [socket.IPV6_DSTOPTS, socket.IPV6_HOPOPTS])
def test_tcp_behind_extension_headers(hosts, option):
    sender, receiver, wire = hosts
    options = [(socket.IPPROTO_IPV6, option, PADDING)]
    assert Transfer(sender, receiver, "fd00::2", options=options).run(SIZE)
    assert wire.seen[TCP6] > SIZE / 65536


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
def test_udp(hosts, address):
    """An application that sends many datagrams at once (UDP_SEGMENT)."""
    sender, receiver, wire = hosts
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    data = os.urandom(30_001)
    with receiver.socket(family, socket.SOCK_DGRAM) as server, sender.socket(family, socket.SOCK_DGRAM) as client:
        server.bind((address, 0))
        server.settimeout(20)
        # The first finds the neighbour.
        client.sendto(b"hello", server.getsockname()[:2])
        assert server.recv(100) == b"hello"
        client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1001)
        client.sendto(data, server.getsockname()[:2])
        arrived = [server.recv(2000) for _ in range(30)]
    assert arrived == [data[at : at + 1001] for at in range(0, len(data), 1001)]
    assert wire.seen[UDP] == 1
