"""What a super-frame is cut into, against the kernel's own segmentation.

    host                                          observer
    TAP with virtio_net_hdr -- bridge -- wire ==================== wire
    super-frames are written here  |      no offloads               AF_PACKET
                            a second TAP, for all that it hands over

The kernel takes a super-frame whole from the TAP and must cut it for a wire that has neither TSO nor USO nor checksums.
What the observer sees must be what `segments` makes of the same super-frame, octet for octet and in the same order. The
second TAP takes super-frames: what the kernel says of them there must lead to the same packets.
"""

import contextlib
import os
import struct
import time

import pytest

from rhp._fast.parcel import from_tap, to_tap
from rhp._fast.segment import segments
from rhp.guard.taps import USO4, open_tap
from rhp.lab.flows import (
    ACK,
    CWR,
    ECE,
    FIN,
    PLAIN,
    PLAIN6,
    PSH,
    STAMPED,
    Around,
    Segment,
    checksum,
    pseudo_header,
    tcp,
    udp,
)
from rhp.lab.frames import FrameSocket
from rhp.lab.lab import Lab

pytestmark = pytest.mark.netns

NONE, TCP4, TCP6, UDP = 0, 1, 4, 5
VNET_HEADER = 10
QUIET = 0.05
PATIENCE = 20.0
"""A kernel that is busy hands packets on in a thread of its own, when that has its turn."""


class KernelSegments:
    """The kernel's segmentation as a function from a super-frame to packets."""

    def __init__(self, lab):
        host, observer = lab.namespace("host"), lab.namespace("observer")
        for namespace in (host, observer):
            namespace.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        switches = "/proc/sys/net/bridge/bridge-nf-call-ip*tables"
        host.run(["sh", "-c", f"for switch in {switches}; do [ ! -e $switch ] || echo 0 > $switch; done"])
        observer.ip(f"link add wire type veth peer name wire netns {host.name}", "link set wire up")
        off = ["tx", "off", "sg", "off", "tso", "off", "gso", "off", "tx-udp-segmentation", "off"]
        host.run(["ethtool", "-K", "wire", *off])
        observer.run(["ethtool", "-K", "wire", "gro", "off"])
        self.tap, self.second = (open_offloaded(host, name) for name in ("tap0", "tap1"))
        host.ip(
            "link add bridge type bridge mcast_snooping 0",
            "link set wire master bridge",
            "link set tap0 master bridge",
            "link set tap1 master bridge",
            "link set wire up",
            "link set tap0 up",
            "link set tap1 up",
            "link set bridge up",
        )
        self.wire = FrameSocket(observer, "wire")
        self._wait()

    def _wait(self):
        end = time.monotonic() + 30.0
        while not self.segments(tcp(0, 100), TCP4, 50):
            assert time.monotonic() < end, "nothing comes through the bridge"
        self.handed_over()

    def segments(self, frame, kind, each, count=0):
        """What the kernel makes of a super-frame whose checksum is unfinished; `count` packets are waited for."""
        start = transport_of(frame)
        os.write(self.tap, to_tap(frame, kind, each, start, 6 if kind == UDP else 16, True))
        seen = []
        for packet in self.wire.incoming(PATIENCE if count else 0):
            seen.append(packet)
            if len(seen) == count:
                break
        return seen + list(self.wire.incoming(QUIET))

    def handed_over(self):
        """What the second TAP has, cut and finished here."""
        packets = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, kind, size, start, offset, half = from_tap(os.read(self.second, 1 << 17))
                if kind == NONE:
                    packets.append(to_tap(frame, kind, size, start, offset, half, finish=True)[VNET_HEADER:])
                else:
                    packets += segments(frame, kind, size, network_of(frame), checksum_start=start)
        return packets

    def close(self):
        self.wire.close()
        os.close(self.tap)
        os.close(self.second)


def open_offloaded(namespace, name):
    opened = namespace.call(lambda: open_tap(name, 1, offload=True))
    assert opened.offloads & USO4, "this kernel knows no super-frames of UDP"
    return opened.fds[0]


def network_of(frame):
    at = 14
    while frame[at - 2 : at] == b"\x81\x00":
        at += 4
    return at


def transport_of(frame):
    """Behind IPv4 with its options, or IPv6 with its extension headers."""
    at = network_of(frame)
    if frame[at] >> 4 == 4:
        return at + (frame[at] & 15) * 4
    protocol, at = frame[at + 6], at + 40
    while protocol not in (6, 17):
        protocol, at = frame[at], at + (frame[at + 1] + 1) * 8
    return at


@pytest.fixture(scope="module")
def kernel():
    with Lab() as lab:
        made = KernelSegments(lab)
        yield made
        made.close()


def unfinished(frame, addresses, kind):
    """The transport checksum as a host leaves it: the pseudo-header's sum, folded and not inverted."""
    start = transport_of(frame)
    value = 0xFFFF ^ checksum(pseudo_header(addresses, 17 if kind == UDP else 6, len(frame) - start))
    at = start + (6 if kind == UDP else 16)
    return frame[:at] + struct.pack("!H", value) + frame[at + 2 :]


def compare(kernel, make, size, each, around=PLAIN, addresses=None, **more):
    kind = UDP if make is udp else TCP4 if around.version == 4 else TCP6
    frame = unfinished(make(0, size, around=around, **more), addresses or around.addresses(), kind)
    ours = segments(frame, kind, each, network_of(frame), checksum_start=transport_of(frame))
    assert len(ours) > 1
    assert kernel.segments(frame, kind, each, len(ours)) == ours
    assert kernel.handed_over() == ours


SIZES = [(101, 100), (200, 100), (4001, 1000), (5000, 1370), (20000, 1370), (60000, 1370)]


@pytest.mark.parametrize("around", [PLAIN, PLAIN6, Around(fragment=0)])
@pytest.mark.parametrize(("size", "each"), SIZES)
def test_tcp(kernel, around, size, each):
    compare(kernel, tcp, size, each, around)


@pytest.mark.parametrize("around", [PLAIN, PLAIN6])
@pytest.mark.parametrize(("size", "each"), SIZES)
def test_udp(kernel, around, size, each):
    compare(kernel, udp, size, each, around)


@pytest.mark.parametrize(
    "around", [Around(vlans=vlans, version=version) for vlans in [(7,), (7, 8)] for version in (4, 6)]
)
def test_behind_tags(kernel, around):
    compare(kernel, tcp, 5000, 1366, around)
    compare(kernel, udp, 5000, 1366, around)


FLAGS = [ACK, ACK | PSH, ACK | FIN, ACK | PSH | FIN, ACK | ECE, ACK | CWR, ACK | CWR | ECE | PSH, ACK | CWR | FIN]


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("around", [PLAIN, PLAIN6])
def test_flags(kernel, around, flags):
    compare(kernel, tcp, 3500, 1000, around, flags=flags)


@pytest.mark.parametrize("around", [PLAIN, PLAIN6])
def test_options_of_tcp(kernel, around):
    compare(kernel, tcp, 5000, 1358, around, header=STAMPED)
    compare(kernel, tcp, 5000, 1000, around, header=Segment(options=b"\x01" * 40))


def test_options_of_ip(kernel):
    compare(kernel, tcp, 5000, 1000, Around(options=b"\x01\x01\x01\x00"))


PADDING = bytes.fromhex("0000010400000000")
EXTENSIONS = [[(0, PADDING)], [(60, PADDING)], [(0, PADDING), (60, bytes.fromhex("0002010c") + bytes(20))]]


@pytest.mark.parametrize("extensions", EXTENSIONS)
@pytest.mark.parametrize("make", [tcp, udp])
def test_behind_extension_headers(kernel, make, extensions):
    compare(kernel, make, 5000, 1000, Around(version=6, extensions=extensions))


def test_behind_a_routing_header(kernel):
    """The sender has summed the address of the last hop (RFC 8200 section 8.1)."""
    last_hop = bytes(range(16))
    route = bytes.fromhex("0002040100000000") + last_hop
    around = Around(version=6, extensions=[(43, route)])
    compare(kernel, tcp, 5000, 1000, around, around.addresses()[:16] + last_hop)


def test_numbers_that_go_round(kernel):
    compare(kernel, tcp, 5000, 1000, Around(id=0xFFFE), seq=0xFFFFFE00)
    compare(kernel, udp, 5000, 1000, Around(id=0xFFFE))


@pytest.mark.parametrize("seed", range(20))
def test_odd_sizes(kernel, seed):
    size = 1500 + seed * 977
    compare(kernel, tcp, size, 501 + 37 * seed, PLAIN if seed % 2 else PLAIN6)
