"""Every ESP suite carries an Ethernet, with and without extended sequence numbers."""

import pytest

from rhp.lab.pair import CONNECTION, PairOptions, start_pair
from rhp.lab.ping import ping
from rhp.lab.topology import cable
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

SUITES = [
    "aes128gcm16",
    "aes256gcm16-esn",
    "aes192gcm12",
    "aes128gcm8",
    "aes128ccm16",
    "chacha20poly1305",
    "chacha20poly1305-esn",
    "aes128-sha256",
    "aes256-sha512-esn",
    "aes192-sha384",
    "aes128-sha1",
    "aes128ctr-sha256",
]


@pytest.mark.parametrize("suite", SUITES)
def test_suite(lab, suite):
    nodes = start_pair(lab, cable(lab), PairOptions(child={"esp_proposals": [suite]}))
    nodes.wait_established()
    assert nodes.a.connection(CONNECTION)["children"][0]["suite"].startswith(suite.removesuffix("-esn"))
    assert ping(nodes.a.namespace, nodes.inner[1], count=3).received == 3
    assert Transfer(nodes.a.namespace, nodes.b.namespace, nodes.inner[1]).run(2_000_000)


@pytest.mark.parametrize("window", [32, 4096])
def test_replay_windows(lab, window):
    nodes = start_pair(lab, cable(lab), PairOptions(child={"replay_window": window}))
    nodes.wait_established()
    assert Transfer(nodes.a.namespace, nodes.b.namespace, nodes.inner[1]).run(5_000_000)
