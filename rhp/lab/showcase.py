"""What `rhp demo` shows, as steps that measure: two nodes with an Ethernet, and a strongSwan with IP, on one switch.

Each step does one thing and returns findings with their values; the command that shows them knows how to lay them out.
Nothing here prints, and nothing is taken on faith: a step whose claim does not hold raises `LabError`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rhp.lab.errors import LabError
from rhp.lab.frames import BROADCAST, ETH_P_EXPERIMENT, FrameSocket, ethernet
from rhp.lab.iperf3 import Iperf3
from rhp.lab.lab import Lab
from rhp.lab.namespace import Namespace
from rhp.lab.nodeconf import psk, tunnel
from rhp.lab.pair import CONNECTION, IDENTITIES, INNER, SECRET, TAP, PairOptions, configuration
from rhp.lab.ping import ping
from rhp.lab.processes import Seen, look
from rhp.lab.programs import find
from rhp.lab.rhpnode import RhpNode
from rhp.lab.strongswan import StrongSwan
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection
from rhp.lab.topology import PORT, outer, switch
from rhp.lab.transfer import Transfer

SWAN_CONNECTION = "strongswan"
SWAN_IDENTITY = "s.example.org"
SWAN_INNER = "10.88.0.1"
SECONDS = 3
ELSEWHERE = "192.0.2.101"
ROAM_OCTETS = 60_000_000
PROGRAMS = ("iperf3", "charon", "swanctl", "ping", "ip", "ps")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen: `key` and `value` for a program, `label` and `text` for a person, if there is a text."""

    key: str
    value: str | float | bool
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """Something that takes a moment: `doing` says what, `act` does it and returns what was seen."""

    chapter: str
    doing: str
    act: Callable[[], list[Finding]]


class Showcase:
    """The demo's network. Making it needs root, and the programs that `PROGRAMS` names."""

    def __init__(self, lab: Lab) -> None:
        for program in PROGRAMS:
            find(program)
        self._lab = lab
        self._hosts = switch(lab, ("a", "b", "s"))
        self._a: RhpNode
        self._b: RhpNode

    def steps(self) -> list[Step]:
        """All steps in their order."""
        a, b, s = self._hosts
        near, far = INNER
        ours, theirs = "Two rhp nodes: an Ethernet between them", "Node a and strongSwan: IP between them"
        roams = "Node a roams: its address changes, its tunnels stay"
        return [
            Step(ours, "Starting two nodes and a strongSwan", self._start),
            Step(ours, "Looking at node a's two processes", self._processes),
            Step(ours, "Waiting for the tunnel", lambda: self._tunnel(CONNECTION, "", "Ethernet")),
            Step(ours, "Pinging across it", lambda: [_round_trip("ping_ms", "ping a to b", a, far, near)]),
            Step(ours, "Pinging back", lambda: [_round_trip("ping_back_ms", "ping b to a", b, near, far)]),
            Step(ours, "Sending a broadcast", self._broadcast),
            Step(ours, "Measuring TCP", lambda: [self._speed("tcp_gbps", b, far)]),
            Step(theirs, "Waiting for strongSwan", lambda: self._tunnel(SWAN_CONNECTION, "strongswan_", "IP")),
            Step(
                theirs,
                "Pinging across it",
                lambda: [_round_trip("strongswan_ping_ms", "ping a to s", a, SWAN_INNER, near)],
            ),
            Step(
                theirs,
                "Pinging back",
                lambda: [_round_trip("strongswan_ping_back_ms", "ping s to a", s, near, SWAN_INNER)],
            ),
            Step(theirs, "Measuring TCP", lambda: [self._speed("strongswan_tcp_gbps", s, SWAN_INNER)]),
            Step(roams, "Moving node a to another address under a TCP transfer", self._roam),
            Step(
                roams,
                "Pinging strongSwan from there",
                lambda: [_round_trip("roamed_strongswan_ping_ms", "ping a to s", a, SWAN_INNER, near)],
            ),
        ]

    def _start(self) -> list[Finding]:
        """strongSwan and node b wait; node a calls both."""
        a, b, s = self._hosts
        near = INNER[0]
        s.address("lo", f"{SWAN_INNER}/32")
        child = SwanChild("lan", (f"{SWAN_INNER}/32",), (f"{near}/32",))
        ends = SwanAuth(SWAN_IDENTITY), SwanAuth(IDENTITIES[0])
        waits = SwanConnection("rhp", outer(3), outer(1), *ends, (child,), psk=SECRET, settings={"mobike": True})
        self._lab.keep(StrongSwan(s, self._lab.path("strongswan"), [waits]))
        self._b = self._lab.keep(RhpNode(b, self._lab.path("b"), configuration(2, PairOptions())))
        calls = {
            **psk(IDENTITIES[0], SWAN_IDENTITY, SECRET),
            "remote_addrs": [outer(3)],
            "children": {"lan": tunnel([f"{near}/32"], [f"{SWAN_INNER}/32"])},
        }
        wanted = configuration(1, PairOptions(), {SWAN_CONNECTION: calls})
        self._a = self._lab.keep(RhpNode(a, self._lab.path("a"), wanted))
        return []

    def _processes(self) -> list[Finding]:
        """Who has the keys, who talks to the world, and what each of them may."""
        return [
            finding
            for part, pid in (("guard", self._a.process.pid), ("node", self._a.pid))
            for finding in _process(part, look(pid))
        ]

    def _tunnel(self, connection: str, prefix: str, what: str) -> list[Finding]:
        """Wait for one tunnel; how long it took, by the node's own clock, and with what."""
        seen = self._a.wait_established(connection)
        took, suite, esp = float(seen["established_ms"]), str(seen["suite"]), str(seen["children"][0]["suite"])
        return [
            Finding(f"{prefix}established_ms", took, "established", f"{what} after {took:.0f} ms, as {seen['peer']}"),
            Finding(f"{prefix}suite", suite, "IKE", suite),
            Finding(f"{prefix}esp_suite", esp, "ESP", esp),
        ]

    def _broadcast(self) -> list[Finding]:
        """Send one broadcast frame on a's TAP and look for it, octet by octet, on b's."""
        a, b, _ = self._hosts
        with FrameSocket(a, TAP) as near, FrameSocket(b, TAP) as far:
            sent = ethernet(BROADCAST, near.mac, ETH_P_EXPERIMENT, b"rhp demo: a broadcast")
            near.send(sent)
            far.expect(lambda frame: frame == sent)
        return [Finding("broadcast_seen", True, "broadcast", "sent by a, seen unchanged by b")]

    def _roam(self) -> list[Finding]:
        """Take a's address away in the middle of a TCP transfer and give it another one; every octet must arrive."""
        a, b, _ = self._hosts
        before = self._a.connection(CONNECTION)
        moved: list[float] = []

        def change() -> None:
            begun = time.monotonic()
            a.ip(f"address del {outer(1)}/24 dev {PORT}", f"address add {ELSEWHERE}/24 dev {PORT}")
            for connection in (CONNECTION, SWAN_CONNECTION):
                self._a.wait_connection(connection, lambda entry: ELSEWHERE in entry["path"]["local"])
            self._b.wait_connection(CONNECTION, lambda entry: ELSEWHERE in entry["path"]["remote"])
            moved.append((time.monotonic() - begun) * 1000)

        if not Transfer(a, b, INNER[1]).run(ROAM_OCTETS, during=change):
            raise LabError("not every octet arrived unchanged while node a roamed")
        after = self._a.connection(CONNECTION)
        if after["ike_id"] != before["ike_id"] or after["children"][0]["spi_in"] != before["children"][0]["spi_in"]:
            raise LabError("the tunnel was made anew when node a roamed")
        octets = f"{ROAM_OCTETS / 1e6:.0f} MB arrived intact, by their SHA-256"
        return [
            Finding("roamed_to", ELSEWHERE, "moved", f"from {outer(1)} to {ELSEWHERE}, with the same keys"),
            Finding("roam_ms", round(moved[0]), "followed", f"by node b after {moved[0]:.0f} ms"),
            Finding("roam_intact", True, "TCP", octets),
        ]

    def _speed(self, key: str, server: Namespace, address: str) -> Finding:
        """One TCP stream from a."""
        with Iperf3(self._hosts[0], server, address, self._lab.path(f"{key}.log")) as iperf3:
            gbps = iperf3.tcp(SECONDS).gbps
        if gbps <= 0:
            raise LabError(f"no TCP data arrived at {address}")
        return Finding(key, round(gbps, 3), "TCP", f"{gbps:.2f} Gb/s, one stream for {SECONDS} s")


def _process(part: str, seen: Seen) -> list[Finding]:
    """User and capabilities; one line for a person."""
    if (part == "node") == bool(seen.capabilities):
        raise LabError(f"the {part} has {' '.join(seen.capabilities) or 'no'} capabilities")
    may = " ".join(seen.capabilities)
    return [
        Finding(f"{part}_user", seen.user, part, seen.text),
        Finding(f"{part}_capabilities", may, "", ""),
    ]


def _round_trip(key: str, label: str, host: Namespace, address: str, source: str) -> Finding:
    """The median of a few pings, all of which have to come back; the first may be lost to address resolution."""
    ping(host, address, count=1, source=source)
    result = ping(host, address, count=10, interval=0.05, source=source)
    if result.median_ms is None or result.received < result.sent:
        raise LabError(f"{label}: {result.received} of {result.sent} came back")
    text = f"{result.median_ms:.2f} ms, {result.received} of {result.sent} came back"
    return Finding(key, round(result.median_ms, 3), label, text)
