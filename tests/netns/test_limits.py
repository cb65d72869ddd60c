"""A child that may carry so many packets only: it is replaced again and again under load, and nobody notices."""

import pytest

from rhp.lab.pair import CONNECTION, PairOptions, start_pair
from rhp.lab.ping import ping
from rhp.lab.topology import cable

pytestmark = pytest.mark.netns

PACKETS = 1500
USED_UP = ("drop-lifetime-over", "drop-sequence-exhausted")


def test_packets_renew_the_child_and_none_is_lost(lab):
    # Both ends count both directions, so they often want it at the same moment.
    options = PairOptions(child={"rekey_packets": PACKETS})
    nodes = start_pair(lab, cable(lab), options)
    nodes.wait_established()
    ike = nodes.a.connection(CONNECTION)["ike_spi_i"]
    result = ping(nodes.a.namespace, nodes.inner[1], count=3 * PACKETS, interval=0.002, wait=2.0)
    counters = [node.status()["counters"] for node in (nodes.a, nodes.b)]
    # On a machine that stands still for too long the hard limit is reached; nothing else may cost a packet. For the
    # last answer ping itself does not wait long.
    stalled = sum(one["dataplane"][name] for one in counters for name in USED_UP)
    assert result.sent - result.received <= stalled + 1
    assert sum(one["engine"].get("child-limit", 0) for one in counters) >= 2
    for node in (nodes.a, nodes.b):
        entry = node.wait_connection(CONNECTION, lambda entry: len(entry["children"]) == 1)
        assert entry["ike_spi_i"] == ike
        words = node.process.text()
        assert 2 <= words.count("child rekeyed") <= 8
        assert "child closed" not in words and "Traceback" not in words
