"""A gateway is killed and comes back: its client is told by token, and is back by ticket."""

import threading

import pytest

from rhp.lab.pair import CONNECTION, PairOptions, start_pair
from rhp.lab.ping import ping, reaches
from rhp.lab.process import wait_until
from rhp.lab.topology import cable

pytestmark = pytest.mark.netns


class Traffic:
    """Pings from the client all the while, as somebody who works there."""

    def __init__(self, nodes):
        self._nodes = nodes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.is_set():
            ping(self._nodes.a.namespace, self._nodes.inner[1], count=20, interval=0.02, wait=0.2)


def counted(node, name):
    return node.status()["counters"]["engine"].get(name, 0)


def crashes(node):
    """How many IKE SAs the node has ended because the peer proved its crash."""
    return sum("ike closed" in line and "reason=peer-crashed" in line for line in node.process.text().splitlines())


def kill_and_restart(nodes):
    """Kill the gateway, and have the client be back: that it was told by token, `crashes` shows.

    How long it takes hangs on how many first messages are lost: each costs half a second, then one, two and four.
    """
    before = nodes.a.connection(CONNECTION)["ike_id"]
    nodes.b.kill()
    nodes.b.start()
    nodes.a.wait_connection(
        CONNECTION, lambda one: one["state"] == "established" and one["ike_id"] != before and one["children"], 60
    )
    nodes.b.wait_established(CONNECTION, 30)


def test_client_is_back_by_ticket_when_its_gateway_was_killed(lab):
    nodes = start_pair(lab, cable(lab))
    nodes.wait_established()
    with Traffic(nodes):
        kill_and_restart(nodes)
    assert crashes(nodes.a) == 1
    assert counted(nodes.b, "ike-resumed") == counted(nodes.b, "ticket-accepted") == 1
    assert "resumed=yes" in nodes.a.process.text()
    assert reaches(nodes.a.namespace, nodes.inner[1])
    # And once more, for a ticket is good only once.
    with Traffic(nodes):
        kill_and_restart(nodes)
    assert crashes(nodes.a) == 2
    assert counted(nodes.b, "ike-resumed") == 1
    assert reaches(nodes.a.namespace, nodes.inner[1])


def test_gateway_without_its_vault_makes_a_full_handshake(lab):
    nodes = start_pair(lab, cable(lab))
    nodes.wait_established()
    (nodes.b.folder / "state" / "vault.json").unlink()
    with Traffic(nodes):
        nodes.b.kill()
        nodes.b.start()
        wait_until(lambda: counted(nodes.b, "ike-established") == 1, 60, "the client being back")
    assert counted(nodes.b, "ike-resumed") == 0
    # Its token is another one now, so nobody believes it, and the ticket cannot be read.
    assert counted(nodes.a, "wrong-crash-token") >= 1
    assert counted(nodes.b, "ticket-unreadable") == 1
    assert reaches(nodes.a.namespace, nodes.inner[1])


def test_killed_client_is_noticed_by_its_gateway(lab):
    """The gateway's tokens are the client's to give: its old IKE SA ends by token or by INITIAL_CONTACT, at once."""
    nodes = start_pair(lab, cable(lab), PairOptions())
    nodes.wait_established()
    nodes.a.kill()
    nodes.a.start()
    nodes.wait_established()
    wait_until(lambda: "ike closed" in nodes.b.process.text(), 30, "the gateway noticing")
    assert len(nodes.b.connection(CONNECTION)["children"]) == 1
    assert reaches(nodes.a.namespace, nodes.inner[1])


def test_resumption_can_be_switched_off(lab):
    nodes = start_pair(lab, cable(lab), PairOptions(connection={"resumption": False}))
    nodes.wait_established()
    with Traffic(nodes):
        kill_and_restart(nodes)
    assert crashes(nodes.a) == 1
    assert counted(nodes.b, "ike-resumed") == 0
    assert counted(nodes.b, "ike-established") == 1
