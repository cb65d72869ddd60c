"""A network that is narrower than it looks, and says so or not: the tunnel finds its width, and TCP arrives whole."""

import pytest

from rhp.lab.faults import Count, Faults
from rhp.lab.pair import CONNECTION
from rhp.lab.process import wait_until
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

NARROW = 1340


def both(nodes, name):
    """What each end says of its path."""
    return [node.connection(CONNECTION)["children"][0][name] for node in (nodes.a, nodes.b)]


@pytest.mark.parametrize(
    ("version", "encapsulation", "answer"), [(4, "udp", True), (6, "auto", True), (6, "udp", False)]
)
def test_tcp_arrives_whole_over_a_narrow_network(bad_network, version, encapsulation, answer):
    relay, nodes = bad_network(version, encapsulation)
    relay.become(Faults(mtu=NARROW, answer=answer))
    a, b = nodes.a.namespace, nodes.b.namespace
    wait_until(lambda: max(both(nodes, "path_mtu")) <= NARROW, 60, f"both ends finding a path of {NARROW}")
    if not answer:
        # Each end goes on asking, with packets that are too long, for what the path carries beyond what is certain.
        wait_until(lambda: set(both(nodes, "path_mtu_from")) == {"peer"}, 120, "both ends having found all of it")
    before = relay.count(Count.TOO_LONG)
    assert Transfer(a, b, nodes.inner[1]).run(2_000_000)
    assert Transfer(b, a, nodes.inner[0]).run(2_000_000)
    assert relay.count(Count.TOO_LONG) - before < 10
