"""A node that carries its packets by the reference provider, and one by the fast one, are the two ends of a cable."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rhp.lab.errors import NotReached
from rhp.lab.frames import FrameSocket
from rhp.lab.pair import CONNECTION, IDENTITIES, TAP, NodePair, PairOptions, configuration
from rhp.lab.ping import ping, reaches
from rhp.lab.rhpnode import RhpNode
from rhp.lab.topology import cable, outer
from rhp.lab.transfer import Transfer
from rhp.pki.ca import create_ca, issue

sys.path.insert(0, str(Path(__file__).parent.parent / "spi"))

from spi_install import install

pytestmark = pytest.mark.netns
ESP = 50
SUITE = "aes256gcmsiv16-prfsha3256-secp256k1"
TUNNELS = (["10.77.0.1/32"], ["10.77.0.2/32"])


def meet(lab, **options):
    """Node a by the reference provider calls node b, which has the fast one."""
    hosts = cable(lab)
    made = {}
    for number, provider in ((2, "fast"), (1, "reference")):
        child = {**options.get("child", {})}
        if child.get("mode") == "tunnel":
            child |= {"local_ts": TUNNELS[number - 1], "remote_ts": TUNNELS[2 - number]}
        chosen = PairOptions(
            child=child,
            connection=options.get("connection", {}),
            interface=options.get("interface", {}),
            more={"node": {"esp_provider": provider}},
        )
        made[number] = lab.keep(
            RhpNode(hosts[number - 1], lab.path(hosts[number - 1].name), configuration(number, chosen))
        )
    pair = NodePair(made[1], made[2])
    pair.wait_established()
    return pair


def test_an_ethernet_between_two_providers(lab):
    pair = meet(lab)
    assert [node.status()["esp_provider"] for node in (pair.a, pair.b)] == ["reference", "fast"]
    near, far = pair.a.namespace, pair.b.namespace
    assert reaches(near, pair.inner[1])
    assert ping(far, pair.inner[0], count=3).received == 3
    assert reaches(far, pair.inner6[0])
    assert Transfer(near, far, pair.inner[1]).run(2_000_000)
    assert Transfer(far, near, pair.inner6[0]).run(2_000_000)
    # New keys, and the traffic goes on.
    before = pair.a.connection(CONNECTION)["children"][0]["spi_in"]
    pair.a.rekey_child(CONNECTION, "ethernet")
    pair.a.wait_connection(CONNECTION, lambda one: one["children"] and one["children"][0]["spi_in"] != before)
    assert ping(near, pair.inner[1], count=3).received == 3
    child = pair.a.connection(CONNECTION)["children"][0]
    assert child["packets_out"] > 0
    assert pair.a.command("status")
    for node, peer in ((pair.a, IDENTITIES[1]), (pair.b, IDENTITIES[0])):
        assert node.connection(CONNECTION)["peer"] == peer
        assert "Traceback" not in node.process.text()
    pair.a.down()
    assert pair.a.process.status == 0


def test_ip_over_plain_esp_between_two_providers(lab):
    addresses = {"addresses": []}
    pair = meet(lab, child={"mode": "tunnel"}, connection={"encapsulation": "auto"}, interface=addresses)
    for number, node in ((1, pair.a), (2, pair.b)):
        node.namespace.address("lo", f"10.77.0.{number}/32")
    near, far = pair.a.namespace, pair.b.namespace
    assert reaches(near, pair.inner[1], source=pair.inner[0])
    assert Transfer(near, far, pair.inner[1], source=pair.inner[0]).run(500_000)
    with FrameSocket(far, "eth0") as outside:
        assert reaches(near, pair.inner[1], source=pair.inner[0])
        assert outside.expect(lambda frame: frame[12:14] == b"\x08\x00" and frame[23] == ESP)
    for node in (pair.a, pair.b):
        assert "Traceback" not in node.process.text()


def test_a_node_with_a_provider_of_every_kind(lab, tmp_path_factory, monkeypatch):
    """The example of docs/providers.md, installed as its page says, at both ends of a cable."""
    installed = install("spare-parts", tmp_path_factory)
    monkeypatch.setenv("PYTHONPATH", f"{installed}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    hosts, ca = cable(lab), create_ca("Example CA", datetime.now(UTC) - timedelta(days=1))
    trusted = lab.path("trusted")
    trusted.mkdir()
    (trusted / "ca.pem").write_bytes(ca.certificate)
    made = {}
    for number in (2, 1):
        own, peer = IDENTITIES[number - 1], IDENTITIES[2 - number]
        folder = lab.path(f"{hosts[number - 1].name}-files")
        folder.mkdir()
        node = issue(ca, [own], datetime.now(UTC) - timedelta(hours=1))
        (folder / "node.pem").write_bytes(node.certificate)
        (folder / "node.key").write_bytes(node.private_key)
        (folder / "node.key").chmod(0o600)
        # By a shared key one way, by certificates the other: the guards make and check both by added algorithms.
        proof = {
            1: {"local": {"id": own}, "remote": {"id": peer, "cas": [str(trusted)], "certificate_store": "folder"}},
            2: {
                "local": {"id": own, "certs": [str(folder / "node.pem")], "key": str(folder / "node.key")},
                "remote": {"id": peer},
            },
        }
        connection = {
            **proof[number],
            "psk": "a shared key for both of them",
            "proposals": [SUITE],
            "remote_addrs": [outer(2)] if number == 1 else [],
            "children": {"ethernet": {}},
        }
        told = {
            "node": {
                "esp_provider": "diary",
                "crypto_providers": ["more-algorithms"],
                "event_sinks": ["jsonl", "datagrams"],
            },
            "interface": {"name": TAP, "addresses": [f"10.77.0.{number}/24"]},
            "connections": {CONNECTION: connection},
        }
        made[number] = lab.keep(RhpNode(hosts[number - 1], lab.path(hosts[number - 1].name), told))
    pair = NodePair(made[1], made[2])
    pair.wait_established()
    assert reaches(pair.a.namespace, pair.inner[1])
    status = pair.a.status()
    assert status["esp_provider"] == "diary"
    assert pair.a.connection(CONNECTION)["suite"] == SUITE
    pair.a.down()
    said = pair.a.process.text()
    assert "diary: installed spi_in=" in said and "diary: retired spi_in=" in said
    assert "Traceback" not in said
    lines = [json.loads(line) for line in (pair.a.folder / "state" / "events.jsonl").read_text().splitlines()]
    words = [line["event"] for line in lines]
    assert words[0] == "node started" and words[-1] == "node stopped"
    assert "ike established" in words and "child established" in words
    assert status["counters"]["node"]["sink-jsonl-failed"] == status["counters"]["node"]["sink-datagrams-failed"] == 0


def test_a_start_with_a_provider_that_is_not_there(lab):
    host, _ = cable(lab)
    options = PairOptions(more={"node": {"esp_provider": "none-such"}})
    with pytest.raises(NotReached, match=r'there is no ESP provider "none-such"; installed: .*fast'):
        RhpNode(host, lab.path("node"), configuration(1, options))
