"""What changes under a running stream of 1 Gb/s costs at most the packets that are under way at that moment.

The stream counts each datagram and keeps no more than a window of them under way, so the bound is exact on a busy
machine too. A datagram that comes twice or damaged is never allowed.
"""

import pytest

from rhp.lab.lab import Lab
from rhp.lab.pair import CHILD, CONNECTION, INNER, PairOptions, start_pair
from rhp.lab.ping import reaches
from rhp.lab.programs import find
from rhp.lab.stream import WINDOW, Stream
from rhp.lab.topology import cable

pytestmark = pytest.mark.netns

FLOW = 8000
"""Datagrams that must have come through before the next thing is done: 90 ms of 1 Gb/s."""


@pytest.fixture(scope="module", params=[1, 2], ids=["one lane", "two lanes"])
def nodes(request):
    """Two nodes with so many lanes."""
    with Lab() as lab:
        yield from tunnel(lab, lanes=request.param)


@pytest.fixture
def growing(lab):
    """Two nodes with one lane, and room for another one."""
    yield from tunnel(lab, lanes=1, spare_lanes=1)


def tunnel(lab, **settings):
    """Two nodes whose hosts have found each other, so that no datagram waits for ARP; looked at again in the end."""
    made = start_pair(lab, cable(lab), PairOptions(more={"node": settings}))
    made.wait_established()
    assert reaches(made.a.namespace, made.inner[1])
    yield made
    for node in (made.a, made.b):
        assert "Traceback" not in node.process.text()
        assert node.process.status is None


@pytest.fixture(params=["a to b", "b to a"])
def stream(nodes, request):
    """A stream in one of the two directions, which has begun to flow."""
    ends = (nodes.a, nodes.b, nodes.inner[1]) if request.param == "a to b" else (nodes.b, nodes.a, nodes.inner[0])
    return Stream(ends[0].namespace, ends[1].namespace, ends[2])


def spis(node):
    """The SPIs of the connection: its IKE SA's and its Child SAs'."""
    entry = node.connection(CONNECTION)
    return entry["ike_spi_i"], [child["spi_in"] for child in entry["children"]]


def another_pair(node, before):
    """Whether a rekey is over: another pair, and no older one left, whose end could be taken for the next rekey."""
    now = spis(node)[1]
    return len(now) == len(before) and now != before


def nothing_odd(account):
    """What may never happen, whatever the path goes through."""
    return account.doubled == 0 and account.damaged == 0


def test_an_undisturbed_stream_loses_nothing(stream):
    with stream:
        stream.progress(4 * FLOW)
    assert nothing_odd(stream.account)
    assert stream.account.lost == 0
    assert stream.account.overtaken == 0


def test_rekeying_the_child_loses_at_most_what_is_under_way(nodes, stream):
    with stream:
        for node in (nodes.a, nodes.b):
            stream.progress(FLOW)
            before = spis(node)[1]
            node.rekey_child(CONNECTION, CHILD)
            node.wait_connection(CONNECTION, lambda entry, node=node, before=before: another_pair(node, before), 30)
            stream.progress(FLOW)
    assert nothing_odd(stream.account)
    assert stream.account.lost <= 2 * WINDOW


def test_rekeying_the_ike_sa_loses_nothing(nodes, stream):
    with stream:
        for node in (nodes.a, nodes.b):
            stream.progress(FLOW)
            before = spis(node)[0]
            node.rekey_ike(CONNECTION)
            node.wait_connection(CONNECTION, lambda entry, node=node, before=before: spis(node)[0] != before, 30)
            stream.progress(FLOW)
    assert nothing_odd(stream.account)
    assert stream.account.lost == 0


def test_a_moved_path_loses_at_most_what_is_under_way(nodes, stream):
    """A NAT in front of node a gives its packets another port, twice, and then goes away; the older ways back hold.

    Node b sees a packet of node a from there, which is a ping's where the stream itself goes the other way.
    """
    ports = (4500, 40001, 40002, 4500)
    with stream:
        for number, port in enumerate(ports[1:], 1):
            stream.progress(FLOW)
            translate(nodes.a.namespace, port, ports[:number])
            assert reaches(nodes.a.namespace, nodes.inner[1])
            nodes.b.wait_connection(CONNECTION, lambda entry, port=port: remote_port(entry) == port, 30)
            stream.progress(FLOW)
    assert nothing_odd(stream.account)
    assert stream.account.lost <= 3 * WINDOW


def test_adding_a_lane_loses_at_most_what_is_under_way(growing):
    a, b = growing.a, growing.b
    with Stream(a.namespace, b.namespace, INNER[1]) as one, Stream(b.namespace, a.namespace, INNER[0]) as two:
        for node in (a, b):
            one.progress(FLOW)
            node.command("add-lane")
            two.progress(FLOW)
        one.progress(FLOW)
    assert [node.status()["lanes"] for node in (a, b)] == [2, 2]
    for stream in (one, two):
        assert nothing_odd(stream.account)
        assert stream.account.lost <= 2 * WINDOW


def remote_port(entry):
    """The UDP port where a node believes its peer."""
    return int(entry["path"]["remote"].rsplit(":", 1)[1])


def translate(namespace, port, earlier):
    """Let what leaves `namespace` from port 4500 seem to come from `port`; what comes for it or `earlier` gets in."""
    ports = ", ".join(map(str, {port, *earlier}))
    rules = f"""table ip nat {{ }}
        delete table ip nat
        table ip nat {{
            chain out {{ type filter hook output priority 0; udp sport 4500 udp sport set {port}; }}
            chain in {{ type filter hook prerouting priority -400; udp dport {{ {ports} }} udp dport set 4500; }}
        }}"""
    namespace.run(["sh", "-c", f"{find('nft')} -f - <<'END'\n{rules}\nEND\n"])
