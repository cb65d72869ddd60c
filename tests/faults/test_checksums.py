"""A packet that is broken as it enters the tunnel leaves it broken: coalescing never makes a wrong checksum right.

Frames go onto node a's TAP by a packet socket. Node b is held while they travel, so that it finds all of them at once
and merges what it may; that it did is seen in its counters.
"""

import pytest
from counted import batch

from rhp.lab.flows import ACK, PLAIN, PLAIN6, STAMPED, checksum, spoilt, tcp, udp
from rhp.lab.frames import FrameSocket
from rhp.lab.lab import Lab
from rhp.lab.pair import TAP, start_pair
from rhp.lab.ping import reaches
from rhp.lab.topology import cable

pytestmark = pytest.mark.netns

COUNT = 48
BROKEN = frozenset({0, 5, 6, 17, 30, 31, 32, 47})
SIZE = 600


@pytest.fixture(scope="module")
def nodes():
    with Lab() as lab:
        made = start_pair(lab, cable(lab))
        made.wait_established()
        assert reaches(made.a.namespace, made.inner[1])
        assert reaches(made.a.namespace, made.inner6[1])
        yield made


@pytest.fixture
def taps(nodes):
    with FrameSocket(nodes.a.namespace, TAP) as near, FrameSocket(nodes.b.namespace, TAP) as far:
        yield near, far


def addressed(nodes, version, **fields):
    """Around a packet from host a to host b, in the tunnel's own addresses."""
    plain, ends = (PLAIN, nodes.inner) if version == 4 else (PLAIN6, nodes.inner6)
    return plain._replace(source=ends[0], destination=ends[1], **fields)


def arrived(nodes, taps, frames):
    """What node b's host sees of the frames that are sent at once, without ARP and the like, which are short."""
    near, far = taps
    seen, counted = batch(nodes, taps, [far.mac + near.mac + frame[12:] for frame in frames])
    return [frame for frame in seen if len(frame) > SIZE], counted


def made(nodes, kind, version, broken):
    """A flow in which the packets that `broken` names are wrong: in the checksum, in the payload, in the header."""
    around = addressed(nodes, version)
    headers = 14 + (20 if version == 4 else 40) + (20 if kind == "tcp" else 8)
    frames = []
    for number in range(COUNT):
        whole = tcp(number, SIZE, ACK, around, step=SIZE) if kind == "tcp" else udp(number, SIZE, around)
        ways = headers - (4 if kind == "tcp" else 2), headers + number * 7, -1
        frames.append(spoilt(whole, ways[number % 3], 1 << number % 8) if number in broken else whole)
    return frames


def error_count(nodes, kind, version):
    """How many wrong checksums the kernel of host b has seen."""
    if version == 6 and kind == "udp":
        words = nodes.b.namespace.run(["cat", "/proc/net/snmp6"]).split()
        return int(words[words.index("Udp6InCsumErrors") + 1])
    lines = nodes.b.namespace.run(["cat", "/proc/net/snmp"]).splitlines()
    names, values = (line.split() for line in lines if line.startswith(f"{kind.capitalize()}:"))
    return int(dict(zip(names, values, strict=True))["InCsumErrors"])


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_broken_packets_arrive_alone_and_broken(nodes, taps, kind, version):
    frames = made(nodes, kind, version, BROKEN)
    wrong = error_count(nodes, kind, version)
    seen, counted = arrived(nodes, taps, frames)
    bodies = [frame[12:] for frame in seen]
    for number in BROKEN:
        assert bodies.count(frames[number][12:]) == 1
    assert error_count(nodes, kind, version) - wrong == len(BROKEN)
    assert counted["packets-merged"] > COUNT // 3
    assert len(seen) == COUNT - counted["packets-merged"]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_whole_packets_lose_no_octet(nodes, taps, kind, version):
    """The same without a broken one, as the check of the check: everything merges, and nothing is found wrong."""
    frames = made(nodes, kind, version, ())
    wrong = error_count(nodes, kind, version)
    seen, counted = arrived(nodes, taps, frames)
    headers = len(frames[0]) - SIZE
    assert b"".join(frame[headers:] for frame in seen) == b"".join(frame[headers:] for frame in frames)
    assert error_count(nodes, kind, version) == wrong
    assert counted["packets-merged"] > COUNT // 2


def test_a_broken_ip_header_stays_broken(nodes, taps):
    frames = made(nodes, "tcp", 4, ())
    for number in BROKEN:
        frames[number] = spoilt(frames[number], 14 + 10)
    seen, _ = arrived(nodes, taps, frames)
    assert [frame[12:] for frame in seen if checksum(frame[14:34])] == [
        frames[number][12:] for number in sorted(BROKEN)
    ]


def test_what_differs_in_its_timestamps_or_ttl_is_told_apart(nodes, taps):
    """A broken packet among ones that may not be merged with it anyway."""
    frames = []
    for number in range(COUNT):
        around = addressed(nodes, 4, ttl=64 - number % 2)
        frame = tcp(number, SIZE, ACK, around, STAMPED, step=SIZE)
        frames.append(spoilt(frame, -3) if number in BROKEN else frame)
    seen, counted = arrived(nodes, taps, frames)
    assert sorted(frame[12:] for frame in seen) == sorted(frame[12:] for frame in frames)
    assert "packets-merged" not in counted
