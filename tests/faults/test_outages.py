"""What breaks under a running stream comes back: a node that is restarted or dies, an interface that is taken away.

While nothing comes through, the stream sends no more than its window and a probe now and then; so all that may be lost
is what was under way, and the probes. Node a is the one that is restarted, because it is the one that calls.
"""

import json

import pytest

from rhp.lab.errors import NotReached
from rhp.lab.pair import CONNECTION, TAP, start_pair
from rhp.lab.ping import reaches
from rhp.lab.process import wait_until
from rhp.lab.stream import PROBE_SECONDS, WINDOW, Stream
from rhp.lab.topology import cable

pytestmark = pytest.mark.netns

FLOW = 8000


@pytest.fixture
def nodes(lab):
    made = start_pair(lab, cable(lab))
    made.wait_established()
    assert reaches(made.a.namespace, made.inner[1])
    yield made
    for node in (made.a, made.b):
        assert "Traceback" not in node.process.text()
        assert node.process.status is None


def came_through(account, longest, outages=1, least=1):
    """Nothing came twice or damaged, and no more was lost than `outages` of at most `longest` seconds may cost."""
    assert account.doubled == account.damaged == 0
    assert account.silence < longest
    probes = outages * account.silence / PROBE_SECONDS
    assert least <= account.lost <= outages * WINDOW + probes


@pytest.mark.parametrize("sender", ["a", "b"])
def test_a_node_that_is_restarted_in_order(nodes, sender):
    with stream_from(nodes, sender) as stream:
        stream.progress(FLOW)
        nodes.a.stop()
        nodes.a.start()
        nodes.a.wait_established(CONNECTION, 30)
        flows_again(stream, nodes)
    came_through(stream.account, 60)


@pytest.mark.parametrize("sender", ["a", "b"])
def test_a_node_that_dies_and_comes_back(nodes, sender):
    with stream_from(nodes, sender) as stream:
        stream.progress(FLOW)
        nodes.a.kill()
        nodes.a.start()
        nodes.a.wait_established(CONNECTION, 30)
        flows_again(stream, nodes)
    came_through(stream.account, 60)


@pytest.mark.parametrize("end", ["a", "b"])
def test_an_interface_that_is_taken_away(nodes, end):
    """From node a to node b, at either end."""
    node = nodes.a if end == "a" else nodes.b
    with stream_from(nodes, "a") as stream:
        stream.progress(FLOW)
        node.namespace.ip(f"link delete {TAP}")
        wait_until(lambda: "tap restored" in node.process.text(), 30, "the node making its interface again")
        flows_again(stream, nodes)
    came_through(stream.account, 60)


def test_a_cable_that_is_pulled_for_a_moment(nodes):
    a = nodes.a.namespace
    with stream_from(nodes, "a") as stream:
        for _ in range(2):
            stream.progress(FLOW)
            a.ip("link set eth0 down")
            a.ip("link set eth0 up")
        stream.progress(FLOW)
    # On a busy machine nothing may have been under way in that moment.
    came_through(stream.account, 30, outages=2, least=0)


def flows_again(stream, nodes):
    """The stream goes on; else the evidence of both ends."""
    try:
        stream.progress(FLOW)
    except NotReached as stalled:
        evidence = (f"{json.dumps(node.status())}\n{node.process.tail(40)}" for node in (nodes.a, nodes.b))
        pytest.fail("\n".join((str(stalled), *evidence)))


def stream_from(nodes, sender):
    """A stream from one node to the other."""
    near, far, address = (nodes.a, nodes.b, nodes.inner[1]) if sender == "a" else (nodes.b, nodes.a, nodes.inner[0])
    return Stream(near.namespace, far.namespace, address)
