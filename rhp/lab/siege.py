"""A gateway with one tunnel at work, a friend who is yet to come, and strangers who flood it from forged addresses."""

import json
import sys
import time
from typing import Any

from rhp.lab.lab import Lab
from rhp.lab.namespace import Namespace
from rhp.lab.nodeconf import Table, psk
from rhp.lab.pair import CHILD, CONNECTION, INNER, SECRET, TAP, NodePair, PairOptions, configuration
from rhp.lab.process import Background
from rhp.lab.rhpnode import RhpNode
from rhp.lab.topology import cable

LATE = "late"
_LATE_ID = "c.example.org"
_GATE_ID = "b.example.org"
_GATE_ADDRESS = "198.51.100.1"
_LATE_ADDRESS = "198.51.100.2"
_STRANGER_ADDRESS = "203.0.113.2"


class Siege:
    """Node `a` has its tunnel to the gateway, node `c` waits to be told to call it, floods start at `stranger`.

    Each of the three has a cable of its own to the gateway, whose default route leads to the stranger, so that answers
    to forged addresses go where they would.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        near, gateway = cable(lab)
        self.stranger: Namespace = lab.namespace("stranger")
        friend = lab.namespace("c")
        gateway.link(self.stranger, "eth1")
        gateway.address("eth1", "203.0.113.1/24")
        self.stranger.address("eth0", f"{_STRANGER_ADDRESS}/24")
        gateway.ip(f"route add default via {_STRANGER_ADDRESS}")
        self.stranger.ip("route add default via 203.0.113.1")
        gateway.link(friend, "eth2")
        gateway.address("eth2", f"{_GATE_ADDRESS}/24")
        friend.address("eth0", f"{_LATE_ADDRESS}/24")
        others = {LATE: {**psk(_GATE_ID, _LATE_ID, SECRET), "children": {CHILD: {"mode": "ethernet"}}}}
        options = PairOptions()
        b = lab.keep(RhpNode(gateway, lab.path("b-node"), configuration(2, options, others)))
        a = lab.keep(RhpNode(near, lab.path("a-node"), configuration(1, options)))
        ethernet: Table = {CHILD: {"mode": "ethernet"}}
        call: Table = {**psk(_LATE_ID, _GATE_ID, SECRET), "remote_addrs": [_GATE_ADDRESS], "start": "wait"}
        interface: Table = {"name": TAP, "addresses": ["10.77.0.3/24"]}
        late: Table = {"interface": interface, "connections": {LATE: {**call, "children": ethernet}}}
        self.c: RhpNode = lab.keep(RhpNode(friend, lab.path("c-node"), late))
        self.pair = NodePair(a, b)
        self.gateway = b
        self.inner = INNER
        self.pair.wait_established()

    def flood(self, seconds: float, rate: float, *, port: int = 500, kind: str = "begin") -> Background:
        """Begin a flood, which ends by itself; returns when it has begun."""
        command = [sys.executable, "-m", "rhp.lab.flood", "192.0.2.2", "--port", str(port), "--kind", kind]
        command += ["--rate", str(rate), "--seconds", str(seconds)]
        log = self._lab.path(f"flood-{time.monotonic_ns()}.log")
        started = self._lab.keep(self.stranger.start(command, log))
        started.wait_for("pouring", 30)
        return started

    def let_in(self, timeout: float = 30.0) -> float:
        """Have the friend call; the seconds until its tunnel stands. Raises `NotReached`."""
        began = time.monotonic()
        self.c.initiate(LATE)
        self.c.wait_established(LATE, timeout)
        return time.monotonic() - began

    def send_away(self) -> None:
        """End the friend's tunnel."""
        self.c.terminate(LATE)
        self.c.wait_connection(LATE, lambda entry: entry["ike_id"] is None)

    def edges(self) -> dict[str, int]:
        """The gateway's counters of its ports."""
        found: dict[str, int] = self.gateway.status()["counters"]["edges"]
        return found

    @property
    def established(self) -> bool:
        """Whether node a's tunnel stands at the gateway."""
        return bool(self.gateway.connection(CONNECTION)["state"] == "established")


def poured(flood: Background, timeout: float = 70.0) -> dict[str, Any]:
    """Wait for a flood's end; what it says of itself: "sent" and "seconds"."""
    flood.wait(timeout)
    said: dict[str, Any] = json.loads(flood.text().splitlines()[-1])
    return said
