"""What is merged, and into what, against the kernel's own GRO.

    sender                     receiver
    wire ==================== wire -- bridge -- TAP with virtio_net_hdr, read here
    AF_PACKET, TSO off         GRO on

Frames go out one by one; the receiver's GRO merges them, and the bridge hands what came of it to the TAP whole. The
same frames in the same order must come out of `merge` the same, octet for octet. The kernel may end a run early when
its clock ticks meanwhile, so each stream is sent until both agree, a few times at most.
"""

import os
import random
import select
import struct
import time

import pytest

from rhp._fast import merge
from rhp.guard.taps import USO4, open_tap
from rhp.lab.flows import ACK, CWR, ECE, FIN, PLAIN, PLAIN6, PSH, RST, STAMPED, URG, Around, Segment, spoilt, tcp, udp
from rhp.lab.frames import FrameSocket
from rhp.lab.lab import Lab

pytestmark = pytest.mark.netns

VNET = struct.Struct("=BBHHHH")
NEEDS_CHECKSUM = 1
WITH_ECN = 0x80
ATTEMPTS = 100
QUIET = 0.03
HOLD_NS = 8_000_000
BEACON = udp(0, ports=(9, 9))


class KernelMerge:
    """The kernel's GRO as a function from frames to what it makes of them."""

    def __init__(self, lab):
        sender, receiver = lab.namespace("sender"), lab.namespace("receiver")
        for namespace in (sender, receiver):
            namespace.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        # Else the bridge trims padding and drops what is broken, on a machine where it hands frames to iptables.
        switches = "/proc/sys/net/bridge/bridge-nf-call-ip*tables"
        receiver.run(["sh", "-c", f"for switch in {switches}; do [ ! -e $switch ] || echo 0 > $switch; done"])
        queues = "numtxqueues 1 numrxqueues 1"
        sender.ip(f"link add wire {queues} type veth peer name wire {queues} netns {receiver.name}", "link set wire up")
        sender.run(["ethtool", "-K", "wire", "tso", "off", "gso", "off"])
        receiver.run(["ethtool", "-K", "wire", "gro", "on", "rx-udp-gro-forwarding", "on"])
        # Else each frame is a poll of its own, which ends every run.
        receiver.run(["sh", "-c", f"echo {HOLD_NS} > /sys/class/net/wire/gro_flush_timeout"])
        opened = receiver.call(lambda: open_tap("tap0", 1, offload=True))
        # Without, the kernel cuts merged datagrams again in front of the TAP.
        self.udp = bool(opened.offloads & USO4)
        [self.tap] = opened.fds
        receiver.ip(
            "link add bridge type bridge mcast_snooping 0",
            "link set wire master bridge",
            "link set tap0 master bridge",
            "link set wire up",
            "link set tap0 up",
            "link set bridge up",
        )
        self.wire = FrameSocket(sender, "wire")
        self.receiver = receiver
        self._wait()

    def _wait(self):
        """The bridge opens its port when the kernel has noticed that the wire is up."""
        end = time.monotonic() + 30.0
        while not self.merged([BEACON]):
            assert time.monotonic() < end, "nothing comes through the bridge"

    def close(self):
        self.wire.close()
        os.close(self.tap)

    def merged(self, frames):
        """One attempt: what came out for these frames."""
        for frame in frames:
            self.wire.send(frame)
        return self._drain()

    def _drain(self):
        found = []
        while select.select([self.tap], [], [], QUIET)[0]:
            found.append(described(os.read(self.tap, 70000)))
        return found


def described(data):
    """A read of the TAP as `merge.merged` puts it."""
    flags, kind, _, size, start, offset = VNET.unpack_from(data)
    if not kind:
        return data[VNET.size :], 0, 0, 0, 0, False
    assert flags & NEEDS_CHECKSUM
    return data[VNET.size :], kind & ~WITH_ECN, size, start, offset, True


@pytest.fixture(scope="module")
def kernel():
    with Lab() as lab:
        made = KernelMerge(lab)
        yield made
        made.close()


def compare(kernel, frames):
    expected = sorted(merge.merged(frames, kernel.udp))
    for _ in range(ATTEMPTS):
        found = sorted(kernel.merged(frames))
        if found == expected:
            return
    assert [len(data) for data, *_ in found] == [len(data) for data, *_ in expected]
    assert found == expected


FLOWS = {
    "tcp4": lambda number, size=100: tcp(number, size, step=size),
    "tcp6": lambda number, size=100: tcp(number, size, step=size, around=PLAIN6),
    "stamped": lambda number, size=100: tcp(number, size, step=size, header=STAMPED),
    "fragmentable": lambda number, size=100: tcp(number, size, step=size, around=Around(fragment=0)),
    "udp4": udp,
    "udp6": lambda number, size=100: udp(number, size, PLAIN6),
}


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize(("count", "size"), [(1, 100), (2, 100), (3, 1), (30, 7), (50, 1400), (70, 100)])
def test_runs(kernel, flow, count, size):
    frames = [FLOWS[flow](number, size) for number in range(count)]
    compare(kernel, frames)


def test_one_identification_for_all(kernel):
    frames = [tcp(number, around=Around(id=0)) for number in range(3)]
    [(whole, *_)] = merge.merged(frames, True)
    # No TAP can be told of it, so the kernel cuts again what its GRO has merged: it is seen in between.
    with FrameSocket(kernel.receiver, "wire") as behind:
        for _ in range(ATTEMPTS):
            kernel.merged(frames)
            if whole in behind.incoming(QUIET):
                return
    pytest.fail("the kernel merges no constant identification")


@pytest.mark.parametrize("around", [PLAIN, PLAIN6])
@pytest.mark.parametrize("size", [1, 99, 101])
def test_one_of_another_size(kernel, around, size):
    compare(kernel, [tcp(number, size if number == 2 else 100, around=around) for number in range(5)])
    compare(kernel, [udp(number, size if number == 2 else 100, around=around) for number in range(5)])


# Each takes the place of segment 1; what no kernel looks at and we do (urgent pointers) is left out.
CHANGES = {
    "another station": lambda number: spoilt(tcp(number), 11),
    "another vlan": lambda number: tcp(number, around=Around(vlans=(7,))),
    "another source": lambda number: tcp(number, around=Around(source="10.0.0.3")),
    "another hop count": lambda number: tcp(number, around=Around(ttl=63)),
    "another class": lambda number: tcp(number, around=Around(tos=4)),
    "congestion experienced": lambda number: tcp(number, around=Around(tos=3)),
    "options of IPv4": lambda number: tcp(number, around=Around(options=b"\x01\x01\x01\x00")),
    "no DF": lambda number: tcp(number, around=Around(fragment=0)),
    "more fragments": lambda number: tcp(number, around=Around(fragment=0x2000)),
    "a later fragment": lambda number: tcp(number, around=Around(fragment=0x0001)),
    "an identification too far": lambda number: tcp(number, around=Around(id=number + 102)),
    "the identification before": lambda number: tcp(number, around=Around(id=number + 98)),
    "a wrong header checksum": lambda number: tcp(number, around=Around(check=0x1234)),
    "other ports": lambda number: tcp(number, header=Segment(ports=(1000, 2001))),
    "a gap": lambda number: tcp(number, seq=7001 + 100 * number),
    "an overlap": lambda number: tcp(number, seq=6999 + 100 * number),
    "the one before": lambda number: tcp(max(0, number - 1)),
    "another acknowledgement": lambda number: tcp(number, header=Segment(ack=10)),
    "another window": lambda number: tcp(number, header=Segment(window=501)),
    "a reserved bit": lambda number: tcp(number, header=Segment(reserved=1)),
    "options of TCP": lambda number: tcp(number, header=STAMPED),
    "a pure acknowledgement": lambda number: tcp(number, 0),
    "a wrong checksum": lambda number: tcp(number, header=Segment(check=0x1234)),
    "a spoilt payload": lambda number: spoilt(tcp(number), -1),
    "padding": lambda number: tcp(number) + b"\x00",
    "a cut end": lambda number: tcp(number)[:-1],
    "a datagram": udp,
    "congestion echoed": lambda number: tcp(number, flags=ACK | ECE),
    "the window reduced": lambda number: tcp(number, flags=ACK | CWR),
    "a reset": lambda number: tcp(number, flags=ACK | RST),
    "urgent": lambda number: tcp(number, flags=ACK | URG),
    "pushed": lambda number: tcp(number, flags=ACK | PSH),
    "the end": lambda number: tcp(number, flags=ACK | FIN),
    "the end, pushed": lambda number: tcp(number, flags=ACK | PSH | FIN),
    "shorter": lambda number: tcp(number, 60),
    "longer": lambda number: tcp(number, 101),
}
# The kernel begins a run also with one that says CWR, and leaves CWR to the device that cuts: not all of them do well.
ONLY_LATER = {"the window reduced"}


@pytest.mark.parametrize("name", CHANGES)
def test_one_that_is_different(kernel, name):
    compare(kernel, [tcp(0), CHANGES[name](1), tcp(2), tcp(3), tcp(4)])
    if name not in ONLY_LATER:
        compare(kernel, [CHANGES[name](0), tcp(1), tcp(2)])
    compare(kernel, [tcp(0), tcp(1), CHANGES[name](2)])


DATAGRAMS = {
    "without checksum": lambda: udp(2, check=0),
    "a wrong checksum": lambda: udp(2, check=0x1234),
    "a spoilt payload": lambda: spoilt(udp(2), -1),
    "a length too long": lambda: udp(2, length=109),
    "a length too short": lambda: udp(2, length=107),
    "nothing inside": lambda: udp(2, 0),
    "padding": lambda: udp(2) + b"\x00",
    "another port": lambda: udp(2, ports=(1001, 2000)),
    "another hop count": lambda: udp(2, around=Around(ttl=63)),
    "a fragment": lambda: udp(2, around=Around(fragment=0x2000)),
}


@pytest.mark.parametrize("name", DATAGRAMS)
def test_one_datagram_that_is_different(kernel, name):
    compare(kernel, [udp(0), udp(1), DATAGRAMS[name](), udp(3), udp(4)])


@pytest.mark.parametrize("seed", range(40))
def test_long_streams_with_differences_here_and_there(kernel, seed):
    choice = random.Random(seed)
    names = sorted(CHANGES.keys() - ONLY_LATER)
    frames = [CHANGES[choice.choice(names)](n) if choice.random() < 0.2 else tcp(n) for n in range(30)]
    compare(kernel, frames)
