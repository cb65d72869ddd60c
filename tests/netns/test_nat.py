"""A node behind a NAT that starts anew: its packets come from another port, and the peer follows (RFC 7296 2.23)."""

import pytest

from rhp.lab.nat import natted
from rhp.lab.pair import CONNECTION, PairOptions, start_pair
from rhp.lab.ping import ping, reaches
from rhp.lab.process import wait_until
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns


class Hidden:
    """A pair of nodes with their tunnel up; `a` is behind the gate."""

    def __init__(self, lab, mobike):
        net = natted(lab, (True, False))
        (self._gate, _), (self.a, self.b) = net.gates, net.hosts
        self.nodes = start_pair(lab, net.hosts, PairOptions(connection={"mobike": mobike}))
        self.nodes.wait_established()
        self._first = 21000
        assert reaches(self.a, self.nodes.inner[1])

    def start_anew(self):
        """The gate forgets every flow and gives new ones other ports."""
        self._first += 100
        self._gate.masquerade(self._first, self._first + 99)
        self._gate.forget()

    def port(self):
        """The port that b sends to."""
        return int(self.nodes.b.connection(CONNECTION)["path"]["remote"].rpartition(":")[2])

    def answered(self):
        return ping(self.a, self.nodes.inner[1], count=3, interval=0.05, wait=0.3).received

    def moved(self):
        return self._first <= self.port() < self._first + 100


@pytest.fixture(params=[True, False], ids=["mobike", "no-mobike"])
def hidden(request, lab):
    return Hidden(lab, request.param)


def test_packets_alone_move_the_peer(hidden):
    """No IKE message of a's is needed: its authenticated packets from the new port are enough."""
    nodes = hidden.nodes
    ike = nodes.b.connection(CONNECTION)["ike_spi_i"]
    for _ in range(3):
        # Every time these are ports that no flow had before, so `moved` cannot be true of an earlier move.
        hidden.start_anew()
        # Only a's own traffic opens a mapping again; what b sends to the old port finds nobody.
        wait_until(lambda: hidden.answered() and hidden.moved(), 60, "an answer by the new port")
    assert nodes.b.connection(CONNECTION)["ike_spi_i"] == ike
    for node in (nodes.a, nodes.b):
        assert not any(word in node.process.text() for word in ("Traceback", "ike closed", "child closed"))


def test_a_transfer_goes_on(hidden):
    """A TCP connection lives on while the mapping is lost under it."""
    assert Transfer(hidden.a, hidden.b, hidden.nodes.inner[1]).run(3_000_000, during=hidden.start_anew)
    # The kernel forgets flows in its own time.
    wait_until(lambda: hidden.answered() and hidden.moved(), 60, "an answer by the new port")
