"""Both nodes rekey at the same moment, with ML-KEM, over a path that is longer than that, and a stream flows."""

import pytest

from rhp.lab.faults import Faults
from rhp.lab.pair import CHILD, CONNECTION, PairOptions, start_pair
from rhp.lab.ping import reaches
from rhp.lab.relay import relayed
from rhp.lab.stream import Stream

pytestmark = pytest.mark.netns

AWAY = 0.25
"""Seconds to the other side; and nothing gets there before both sides have begun."""
RATE = 0.01
SOON = 30.0
"""Seconds for two exchanges and their DELETE, on a machine that has other things to do as well."""
ROUNDS = 3


@pytest.mark.parametrize("kind", ["child", "ike"])
def test_both_rekey_at_once_and_nothing_is_lost(lab, kind):
    """The IKE proposals are the defaults; a child's rekey has ML-KEM where its proposals say so."""
    net = relayed(lab)
    child = {"esp_proposals": ["aes128gcm16-x25519-ke1_mlkem768"]}
    nodes = start_pair(lab, (net.a, net.b), PairOptions(child=child))
    nodes.wait_established()
    ends = nodes.a, nodes.b
    # Later the kernel would throw datagrams away while it waits for the answer to its ARP.
    assert reaches(nodes.a.namespace, nodes.inner[1], tries=5)
    net.relay.become(Faults(delay=AWAY))

    def ident(node):
        entry = node.connection(CONNECTION)
        return entry["children"][0]["spi_in"] if kind == "child" else entry["ike_spi_i"]

    with Stream(nodes.a.namespace, nodes.b.namespace, nodes.inner[1], gbps=RATE) as stream:
        for number in range(1, ROUNDS + 1):
            before = [ident(node) for node in ends]
            with net.relay.held():
                for node in ends:
                    node.rekey_child(CONNECTION, CHILD) if kind == "child" else node.rekey_ike(CONNECTION)
                for node in ends:
                    node.wait_connection(CONNECTION, lambda entry: entry["asks"] is not None, SOON)
            for node, old in zip(ends, before, strict=True):
                node.wait_connection(
                    CONNECTION, lambda entry, node=node, old=old: settled(entry) and ident(node) != old, SOON
                )
            stream.progress(200)
            for node in ends:
                assert counters(node)[f"{kind}-rekeys-crossed"] == number
    assert (stream.account.lost, stream.account.doubled) == (0, 0)
    assert sum(counters(node).get("rekey-gave-way", 0) for node in ends) == ROUNDS
    for node in ends:
        assert "peer-busy" not in counters(node) and "busy" not in counters(node)
        assert counters(node)[f"{kind}-rekeyed"] == ROUNDS
    (of_a,), (of_b,) = (node.connection(CONNECTION)["children"] for node in ends)
    assert (of_a["spi_in"], of_a["spi_out"]) == (of_b["spi_out"], of_b["spi_in"])


def settled(entry):
    """One pair is left, and nothing is under way on it."""
    return [one["state"] for one in entry["children"]] == ["installed"]


def counters(node):
    return {name: count for name, count in node.status()["counters"]["engine"].items() if count}
