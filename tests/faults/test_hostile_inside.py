"""A peer with valid keys sends what it likes: hostile packets inside the tunnel change counters, and nothing else.

Node a is that peer: whatever its host puts on its TAP goes through. What is no fault of Ethernet's passes a switch
unchanged, so a frame arrives as it was sent, or its drop is counted; one that lies is never merged with another.
"""

import random

import pytest
from counted import arrived, batch, dataplane, drops, settled, since
from hostile import everything, marked, overlapping

from rhp.lab.flows import ACK, PLAIN, tcp
from rhp.lab.frames import FrameSocket
from rhp.lab.lab import Lab
from rhp.lab.pair import TAP, start_pair
from rhp.lab.ping import reaches
from rhp.lab.process import wait_until
from rhp.lab.topology import cable
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

GOOD = PLAIN._replace(source="10.9.0.1", destination="10.9.0.2")
GOOD_SIZE = 500
CHUNK = 70


@pytest.fixture(scope="module")
def nodes():
    with Lab() as lab:
        made = start_pair(lab, cable(lab))
        made.wait_established()
        assert reaches(made.a.namespace, made.inner[1])
        yield made


@pytest.fixture
def taps(nodes):
    """Both TAPs; afterwards the tunnel is as good as before."""
    with FrameSocket(nodes.a.namespace, TAP) as near, FrameSocket(nodes.b.namespace, TAP) as far:
        yield near, far
    a, b = nodes.a.namespace, nodes.b.namespace
    assert Transfer(a, b, nodes.inner[1]).run(2_000_000)
    assert Transfer(b, a, nodes.inner[0]).run(2_000_000)
    for node in (nodes.a, nodes.b):
        assert "Traceback" not in node.process.text()
        assert node.process.status is None


def test_each_hostile_frame_arrives_as_it_was_sent(nodes, taps):
    """One by one, so that each drop would be told."""
    near, far = taps
    before = dataplane(nodes.a, nodes.b)
    frames = [far.mac + near.mac + frame[12:] for frame in marked([*everything(), *overlapping()])]
    for start in range(0, len(frames), CHUNK):
        for frame in frames[start : start + CHUNK]:
            near.send(frame)
        seen = set(arrived(far, frames[start : start + CHUNK]))
        assert [frame.hex() for frame in frames[start : start + CHUNK] if frame not in seen] == []
    assert drops(settled(lambda: since(before, nodes.a, nodes.b))) == {}


def test_hostile_frames_among_good_ones_are_merged_with_nothing(nodes, taps):
    """Two good segments of a flow between each two hostile frames, taken as one batch: what is hostile comes alone."""
    near, far = taps
    hostile = [far.mac + near.mac + frame[12:] for frame in everything()]
    good = [far.mac + near.mac + segment(number)[12:] for number in range(2 * len(hostile))]
    merged = 0
    for start in range(0, len(hostile), CHUNK):
        chosen = range(start, min(start + CHUNK, len(hostile)))
        seen, counted = batch(nodes, taps, [one for at in chosen for one in (*good[2 * at : 2 * at + 2], hostile[at])])
        assert drops(counted) == {}
        merged += counted["packets-merged"]
        flow = [frame for frame in seen if frame[26:34] == GOOD.addresses()]
        assert sorted(frame for frame in seen if frame not in flow) == sorted(hostile[at] for at in chosen)
        sent = good[2 * chosen[0] : 2 * chosen[-1] + 2]
        assert b"".join(frame[54:] for frame in flow) == b"".join(frame[54:] for frame in sent)
    assert merged >= len(hostile)


def test_segments_that_overlap_are_never_made_one(nodes, taps):
    """What arrives as one packet was sent as packets that follow each other without a gap and without an overlap."""
    near, far = taps
    sent = [far.mac + near.mac + frame[12:] for frame in overlapping()]
    seen, counted = batch(nodes, taps, sent)
    assert drops(counted) == {}
    waiting = iter(sent)
    for frame in seen:
        run = next(waiting)
        while len(run) < len(frame):
            more = next(waiting)
            assert (number_of(run) + len(run) - 54) % 2**32 == number_of(more)
            run += more[54:]
        assert (number_of(frame), frame[54:]) == (number_of(run), run[54:])
    assert next(waiting, None) is None


def number_of(frame):
    """The sequence number of a TCP segment."""
    return int.from_bytes(frame[38:42], "big")


def test_random_damage(nodes, taps):
    """Frames with random octets changed, cut or doubled: every one is delivered or counted, and memory stays."""
    near, far = taps
    fate = random.Random(11)
    models = [*everything(), *overlapping()] + [segment(number) for number in range(100)]
    before, memory = dataplane(nodes.a, nodes.b), nodes.b.process.resident_bytes()
    sent = 0

    def through():
        counted = since(before, nodes.a, nodes.b)
        return counted.get("tap-frames-in", 0) >= sent and counted["esp-packets-in"] == counted["esp-packets-out"]

    for _ in range(4000):
        frame = bytearray(fate.choice(models)[12:])
        for _ in range(fate.randrange(6)):
            frame[fate.randrange(len(frame))] = fate.choice((0, 1, 0x45, 0x60, 0x7F, 0x80, 0xFF, fate.randrange(256)))
        near.send((far.mac + near.mac + bytes(frame))[: fate.choice((2000, 2000, fate.randrange(14, 100)))])
        sent += 1
        if sent % 200 == 0:
            wait_until(through, 30, "all of them going through", 0.01)
    counted = settled(lambda: since(before, nodes.a, nodes.b))
    assert counted["tap-frames-in"] >= sent
    assert counted["esp-packets-in"] == counted["esp-packets-out"]
    assert sum(drops(counted).values()) < sent // 20
    assert nodes.b.process.resident_bytes() - memory < 8 << 20


def segment(number):
    """A segment of a flow that nobody knows, good in every respect."""
    return tcp(number, GOOD_SIZE, ACK, GOOD, step=GOOD_SIZE)
