"""What two real nodes tell Prometheus while they meet, talk, renew their keys and refuse each other."""

import json
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

from rhp.lab.pair import CHILD, CONNECTION, PairOptions, start_pair
from rhp.lab.ping import ping
from rhp.lab.process import wait_until
from rhp.lab.topology import cable

sys.path.insert(0, str(Path(__file__).parent.parent / "node"))
from metrics_rig import Numbers, UnixConnection

pytestmark = pytest.mark.netns

NODE = {"metrics": "unix:run/metrics.sock", "audit_file": "state/audit.log", "log_levels": {"link": "error"}}
PINGS = 20
OCTETS = 1000


def numbers(node):
    client = UnixConnection(node.folder / "run" / "metrics.sock")
    client.request("GET", "/metrics")
    response = client.getresponse()
    assert response.status == 200
    text = response.read().decode()
    client.close()
    return Numbers(text)


def wait_for(node, what, wanted):
    """Wait until the node's numbers are as wanted, which may take the second for which they are kept."""
    wait_until(lambda: wanted(numbers(node)), 30, what)


def test_the_numbers_move(lab):
    nodes = start_pair(lab, cable(lab), PairOptions(more={"node": NODE}))
    nodes.wait_established()
    a, b = nodes.a, nodes.b
    for node, role in ((a, "initiator"), (b, "responder")):
        wait_for(node, "a tunnel", lambda found: found("rhp_connection_up", connection=CONNECTION) == 1)
        found = numbers(node)
        assert found("rhp_handshakes_total", connection=CONNECTION, role=role) == 1
        assert found("rhp_ike_sas", connection=CONNECTION) == 1
        assert found("rhp_tunnel_setup_seconds_count") == 1
        assert found("rhp_guard_questions_total", question="prove-psk") >= 1
        assert found("rhp_guard_refusals_total") == found("rhp_handshake_failures_total") == 0
    before = numbers(a), numbers(b)
    assert ping(a.namespace, nodes.inner[1], count=PINGS, at_once=True, size=OCTETS).received == PINGS
    for node, then in zip((a, b), before, strict=True):
        for name in ("rhp_received_bytes_total", "rhp_sent_bytes_total"):
            least = then(name, connection=CONNECTION) + PINGS * OCTETS
            wait_for(node, name, lambda found, name=name, least=least: found(name, connection=CONNECTION) >= least)
        found = numbers(node)
        assert 0 < found("rhp_esp_packets_total", direction="in") <= found("rhp_lane_packets_total", direction="in")
        assert found("rhp_lane_cpu_seconds_total") > 0
    a.rekey_ike(CONNECTION)
    wait_for(b, "a rekeyed IKE SA", lambda found: found("rhp_rekeys_total", kind="ike") == 1)
    a.rekey_child(CONNECTION, CHILD)
    wait_for(b, "a rekeyed child", lambda found: found("rhp_rekeys_total", kind="child") == 1)
    carried = numbers(b)("rhp_received_bytes_total", connection=CONNECTION)
    a.terminate(CONNECTION)
    wait_for(b, "the end", lambda found: found("rhp_connection_up", connection=CONNECTION) == 0)
    ended = numbers(b)
    assert ended("rhp_ike_closed_total", connection=CONNECTION) == 1
    assert ended("rhp_received_bytes_total", connection=CONNECTION) >= carried
    assert all("example.org" not in text for text in (ended.text, found.text))
    done = [json.loads(line) for line in (a.folder / "state" / "audit.log").read_text().splitlines()]
    assert [line.get("command", line["event"]) for line in done] == [
        "node started",
        "rekey-ike",
        "rekey-child",
        "terminate",
    ]
    assert {(line["uid"], line["outcome"]) for line in done[1:]} == {(0, "done")}
    a.down()
    assert not (a.folder / "run" / "metrics.sock").exists()
    ends = [json.loads(line)["event"] for line in (a.folder / "state" / "audit.log").read_text().splitlines()[4:]]
    assert ends == ["command", "node stopping", "node stopped"]


def test_a_wrong_key_is_counted_at_both_ends(lab):
    node = {"metrics": "127.0.0.1:9469"}
    nodes = start_pair(lab, cable(lab), PairOptions(secrets=("one secret", "another"), more={"node": node}))

    def scrape(namespace):
        def ask():
            client = HTTPConnection("127.0.0.1", 9469, timeout=30)
            client.request("GET", "/metrics")
            text = client.getresponse().read().decode()
            client.close()
            return text

        return Numbers(namespace.call(ask))

    for node, role in ((nodes.a, "initiator"), (nodes.b, "responder")):

        def failed(node=node, role=role):
            found = scrape(node.namespace)
            return found("rhp_handshake_failures_total", connection=CONNECTION, role=role) >= 1

        wait_until(failed, 30, f"a failure of the {role}")
        found = scrape(node.namespace)
        assert found("rhp_authentication_failures_total", connection=CONNECTION, role=role) >= 1
        assert found("rhp_connection_up", connection=CONNECTION) == 0
        assert found("rhp_handshakes_total") == 0
