"""In-order delivery between two nodes, over a network that changes the order."""

import pytest

from rhp.lab.faults import Count, Faults
from rhp.lab.pair import PairOptions, start_pair
from rhp.lab.ping import reaches
from rhp.lab.relay import relayed
from rhp.lab.stream import Stream
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

DATAGRAMS = 6000
RATE = 1.0
"""Gigabits a second, more than the relay hands on: what it keeps back never waits for the sender as well."""
REORDERING = Faults(reorder=0.05)


@pytest.fixture
def nodes_with(lab):
    """Makes two nodes with this ordering, and the relay between them."""

    def make(ordering):
        net = relayed(lab)
        nodes = start_pair(lab, (net.a, net.b), PairOptions(more={"hub": {"ordering": ordering}}))
        nodes.wait_established()
        # Later the kernel would throw datagrams away while it waits for the answer to its ARP.
        assert reaches(nodes.a.namespace, nodes.inner[1])
        return net.relay, nodes

    return make


def streamed(relay, nodes):
    """The account of a stream, and the receiving node's counters."""
    relay.become(REORDERING)
    with Stream(nodes.a.namespace, nodes.b.namespace, nodes.inner[1], gbps=RATE) as stream:
        stream.progress(DATAGRAMS)
    assert relay.count(Count.REORDERED) > 100
    return stream.account, nodes.b.status()["counters"]["dataplane"]


def test_off_the_order_is_the_networks(nodes_with):
    account, counted = streamed(*nodes_with("off"))
    assert account.overtaken > 100
    assert (account.lost, counted["esp-packets-held"], counted["drop-overtaken"]) == (0, 0, 0)


def test_drop_lets_nothing_through_that_was_overtaken(nodes_with):
    account, counted = streamed(*nodes_with("drop"))
    assert account.overtaken == 0
    assert 100 < account.lost <= counted["drop-overtaken"]


def test_hold_mends_the_order(nodes_with):
    account, counted = streamed(*nodes_with("hold"))
    assert account.overtaken == 0
    assert counted["esp-packets-held"] > 100
    # On a machine that is busy with something else a packet may come after the 4 ms, and is dropped then.
    assert account.lost <= counted["drop-overtaken"] < counted["esp-packets-held"] / 2


@pytest.mark.parametrize("ordering", ["drop", "hold"])
def test_tcp_arrives_whole(nodes_with, ordering):
    relay, nodes = nodes_with(ordering)
    relay.become(Faults(loss=0.02, reorder=0.02, duplicate=0.02))
    assert Transfer(nodes.a.namespace, nodes.b.namespace, nodes.inner[1]).run(500_000)
