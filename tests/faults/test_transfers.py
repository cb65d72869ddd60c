"""Over a bad network, TCP through the tunnel arrives whole, and what the network did is seen in counters."""

import pytest
from counted import dataplane, settled, since

from rhp.lab.faults import Count, Faults
from rhp.lab.frames import BROADCAST, ETH_P_EXPERIMENT, FrameSocket, ethernet
from rhp.lab.pair import TAP
from rhp.lab.ping import ping
from rhp.lab.process import wait_until
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

MEGABYTE = 1_000_000
UNBELIEVED = ("bad-icv", "replayed", "too-old", "truncated", "misaligned", "zero-sequence")
"""How an ESP packet with one wrong bit may end, beside an SPI that nobody knows."""


def both_ways(nodes, size):
    """Whether `size` octets arrive whole in each direction."""
    a, b = nodes.a.namespace, nodes.b.namespace
    return Transfer(a, b, nodes.inner[1]).run(size) and Transfer(b, a, nodes.inner[0]).run(size, seed=b"back")


@pytest.mark.parametrize(
    ("version", "encapsulation", "gro"),
    [(4, "udp", False), (4, "udp", True), (6, "udp", True), (4, "auto", False), (6, "auto", False)],
)
def test_loss_and_reordering(bad_network, version, encapsulation, gro):
    relay, nodes = bad_network(version, encapsulation, gro=gro)
    relay.become(Faults(loss=0.05, reorder=0.02))
    assert both_ways(nodes, 2 * MEGABYTE)
    assert relay.count(Count.LOST) > 50
    assert relay.count(Count.REORDERED) > 10
    assert relay.longest() <= 1500


@pytest.mark.parametrize("gro", [False, True])
def test_duplicates_are_replays(bad_network, gro):
    relay, nodes = bad_network(gro=gro)
    before = dataplane(nodes.a, nodes.b)
    relay.become(Faults(duplicate=0.1))
    assert both_ways(nodes, 4 * MEGABYTE)
    relay.become(Faults())  # What comes after the transfer is not doubled or broken between the two counts.

    def replays():
        seen = since(before, nodes.a, nodes.b)
        return seen.get("drop-esp-replayed", 0) + seen.get("drop-esp-too-old", 0)

    def counts():
        return relay.count(Count.DUPLICATED), replays()

    wait_until(lambda: (both := counts())[1] >= both[0], 30, "each of the doubles being refused")
    doubled, refused = settled(counts)
    assert refused == doubled > 50


@pytest.mark.parametrize(("version", "encapsulation"), [(4, "udp"), (6, "auto")])
def test_corruption_never_gets_through(bad_network, version, encapsulation):
    relay, nodes = bad_network(version, encapsulation, gro=True)
    before = dataplane(nodes.a, nodes.b)
    relay.become(Faults(corrupt=0.01))
    assert both_ways(nodes, 4 * MEGABYTE)
    relay.become(Faults())  # What comes after the transfer is not doubled or broken between the two counts.

    def counts():
        return relay.count(Count.CORRUPTED), since(before, nodes.a, nodes.b)

    wait_until(lambda: unbelieved((both := counts())[1]) >= both[0], 30, "each broken one being refused")
    broken, seen = settled(counts)
    assert broken > 10
    assert seen["drop-esp-bad-icv"] > broken // 2
    assert unbelieved(seen) == broken


def test_of_frames_that_are_all_corrupted_none_arrives(bad_network):
    relay, nodes = bad_network()
    before = dataplane(nodes.b)
    frames = 400
    with FrameSocket(nodes.a.namespace, TAP) as near, FrameSocket(nodes.b.namespace, TAP) as far:
        relay.become(Faults(corrupt=1.0))
        for number in range(frames):
            near.send(ethernet(BROADCAST, near.mac, ETH_P_EXPERIMENT, number.to_bytes(2, "big") * (20 + number)))
            if number % 50 == 49:  # No queue on the way is ever full, however slow the machine is.
                wait_until(lambda: unbelieved(since(before, nodes.b)) > number, 30, "node b refusing them", 0.01)  # noqa: B023
        assert not [frame for frame in far.incoming(0.5) if frame[12:14] == ETH_P_EXPERIMENT.to_bytes(2, "big")]
        seen = settled(lambda: since(before, nodes.b))
        assert unbelieved(seen) >= frames
        relay.become(Faults())
        near.send(ethernet(BROADCAST, near.mac, ETH_P_EXPERIMENT, b"whole again"))
        assert far.expect(lambda frame: b"whole again" in frame)


def test_delay(bad_network):
    relay, nodes = bad_network()
    relay.become(Faults(delay=0.02, reorder=0.02, distance=10))
    result = ping(nodes.a.namespace, nodes.inner[1], count=5)
    assert result.received == 5
    assert min(result.times_ms) >= 40
    assert both_ways(nodes, 2 * MEGABYTE)


def unbelieved(seen):
    """How many packets the receivers of `seen` did not believe."""
    return sum(seen.get(f"drop-esp-{reason}", 0) for reason in UNBELIEVED) + seen.get("drop-unknown-spi", 0)
