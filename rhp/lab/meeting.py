"""One connection between an rhp node and a charon, and what can be said of both its ends at once.

After whatever happened to it, `agree` is the proof: both programs name the same SPIs, and pings come back both ways.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from rhp.lab.errors import LabError
from rhp.lab.lab import Lab
from rhp.lab.namespace import Namespace
from rhp.lab.nodeconf import Table, psk, tunnel
from rhp.lab.ping import ping
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import RhpNode, established
from rhp.lab.strongswan import StrongSwan, SwanChildSa, SwanIkeSa, SwanPrograms
from rhp.lab.swanconf import Section, SwanAuth, SwanChild, SwanConnection
from rhp.lab.topology import outer

OURS, THEIRS = "rhp.example.org", "swan.example.org"
SECRET = "a shared secret of the matrix"  # noqa: S105 (it protects nothing but a test)
CHILD = "lan"
MEETING = "meeting"
INNER = ("10.91.0.1", "10.92.0.1")
PATIENCE = 30.0


class Meeting:
    """`name` is the connection's at both ends; `inner` are the addresses behind rhp and behind strongSwan.

    rhp's child is called `CHILD`, strongSwan's bears the name of the connection.
    """

    def __init__(self, node: RhpNode, swan: StrongSwan, name: str, inner: tuple[str, str] = INNER) -> None:
        self.node = node
        self.swan = swan
        self.name = name
        self.inner = inner

    def __repr__(self) -> str:
        return f"Meeting({self.name})"

    def establish(self, initiator: str) -> None:
        """Have "rhp" or "strongSwan" begin, and ping."""
        if initiator == "rhp":
            self.node.initiate(self.name)
        else:
            self.swan.initiate(self.name)
        self.node.wait_established(self.name, PATIENCE)
        self.agree()

    def agree(self, patience: float = PATIENCE) -> None:
        """Both ends name the same SPIs, and pings come back both ways; raises `LabError`."""
        wait_until(self.same_spis, patience, f"both ends of {self.name} having the same SAs")
        before = self._counters()
        ours, theirs = self.inner
        for host, source, address in ((self.node.namespace, ours, theirs), (self.swan.namespace, theirs, ours)):
            result = ping(host, address, count=3, at_once=True, source=source)
            if result.received < result.sent:
                counted = {name: value - before[name] for name, value in self._counters().items()}
                changed = {name: value for name, value in counted.items() if value}
                raise LabError(f"{self.name}: {result} from {source} to {address}; rhp counted {changed}")

    def entry(self) -> dict[str, Any]:
        """The connection's part of rhp's status."""
        return self.node.connection(self.name)

    def theirs(self) -> SwanIkeSa | None:
        """strongSwan's newest IKE SA of the connection."""
        return max(self.swan.sas(self.name), key=lambda sa: sa.number, default=None)

    def spis(self) -> tuple[str, str]:
        """The SPIs of the Child SAs and of the IKE SA, by rhp."""
        entry = self.entry()
        children = sorted(_hex(child["spi_in"]) for child in entry["children"] if child["state"] == "installed")
        return ",".join(children), str(entry["ike_spi_i"])

    def same_spis(self) -> bool:
        """True when the newest SAs of both ends are the two sides of one."""
        ours, theirs = self.entry(), self.theirs()
        if theirs is None or not theirs.established or not ours["children"]:
            return False
        if (ours["ike_spi_i"], ours["ike_spi_r"]) != (theirs.spi_i, theirs.spi_r):
            return False
        mirrored = {(_hex(child["spi_out"]), _hex(child["spi_in"])) for child in ours["children"]}
        installed = [child for child in theirs.children if child.state == "INSTALLED"]
        return all((_hex(child.spi_in), _hex(child.spi_out)) in mirrored for child in installed)

    def same_children(self) -> bool:
        """True when both ends name the same pairs, be it none, on the one IKE SA that each of them has."""
        listed, ours = self.swan.sas(self.name), self.entry()
        if len(listed) != 1 or (ours["ike_spi_i"], ours["ike_spi_r"]) != (listed[0].spi_i, listed[0].spi_r):
            return False
        mirrored = {(_hex(child["spi_out"]), _hex(child["spi_in"])) for child in ours["children"]}
        return mirrored == {(_hex(child.spi_in), _hex(child.spi_out)) for child in _living(listed[0])}

    def alone(self) -> bool:
        """True when each end has one IKE SA with one pair, and nothing else is left over."""
        return self.same_children() and len(self.entry()["children"]) == 1

    def rekey(self, act: Callable[[], None], *, ike: bool) -> None:
        """Rekey by `act`, see that it was this SA and no other that changed, and ping."""
        before = self.spis()
        act()
        # While the old pair is still there it would be counted among the next rekey's, and its end be taken for that.
        wait_until(
            lambda: (now := self.spis()[ike]) != before[ike] and "," not in now, PATIENCE, f"new SPIs of {self.name}"
        )
        self.agree()
        if self.spis()[not ike] != before[not ike]:
            raise LabError(f"{self.name}: the rekey changed more than it should")

    def rekeys(self) -> Sequence[tuple[Callable[[], None], bool]]:
        """The four ways to rekey, for `rekey`: how, and whether it is the IKE SA that changes."""
        return (
            (lambda: self.node.rekey_child(self.name, CHILD), False),
            (lambda: self.swan.rekey_child(self.name), False),
            (lambda: self.node.rekey_ike(self.name), True),
            (lambda: self.swan.rekey_ike(self.name), True),
        )

    def delete(self, act: Callable[[], None]) -> None:
        """Delete by `act`, and see that nothing of it is left at either end and nothing passes."""
        act()
        self.node.wait_connection(self.name, lambda entry: entry["state"] != "established", PATIENCE)
        wait_until(lambda: self.theirs() is None, PATIENCE, f"strongSwan forgetting {self.name}")
        if self.entry()["children"]:
            raise LabError(f"{self.name}: rhp still has a child after the delete")
        if ping(self.node.namespace, self.inner[1], count=1, wait=0.1, source=self.inner[0]).received:
            raise LabError(f"{self.name}: traffic passes after the delete")

    def hold(self, seconds: float) -> None:
        """See that the connection stands all this time, with the IKE SA that it has now."""
        before = self.entry()["ike_spi_i"]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            entry = self.entry()
            if not established(entry) or entry["ike_spi_i"] != before:
                raise LabError(f"{self.name} did not hold: {entry}")
            time.sleep(0.1)

    def _counters(self) -> dict[str, int]:
        """The data plane's counters, to see where a packet went."""
        counters: dict[str, int] = self.node.status()["counters"]["dataplane"]
        return counters


def meet(
    lab: Lab,
    hosts: tuple[Namespace, Namespace],
    programs: SwanPrograms | None = None,
    *,
    addresses: tuple[str, str] = (outer(1), outer(2)),
    ours: Table | None = None,
    theirs: Section | None = None,
    their_child: Section | None = None,
    settings: Section | None = None,
    more: Table | None = None,
) -> Meeting:
    """Start an rhp node and a charon in two namespaces, with one connection by PSK between `addresses`.

    Neither begins by itself. `ours`, `theirs` and `their_child` override settings of the connection at one end;
    `settings` belong into `charon {}`, `more` are top-level tables of rhp's configuration.
    """
    near, far = (f"{address}/32" for address in INNER)
    hosts[1].address("lo", far)
    child = SwanChild(MEETING, (far,), (near,), settings=their_child or {})
    ends = SwanAuth(THEIRS), SwanAuth(OURS)
    waits = SwanConnection(
        MEETING, addresses[1], addresses[0], *ends, (child,), psk=SECRET, settings={"unique": "never", **(theirs or {})}
    )
    swan = lab.keep(StrongSwan(hosts[1], lab.path("strongswan"), [waits], settings, programs))
    knows: Table = {
        **psk(OURS, THEIRS, SECRET),
        "remote_addrs": [addresses[1]],
        "start": "wait",
        "proposals": ["aes128gcm16-prfsha256-x25519"],
        "children": {CHILD: tunnel([near], [far], esp_proposals=["aes128gcm16"])},
        **(ours or {}),
    }
    configuration: Table = {**(more or {}), "interface": {"addresses": [near]}, "connections": {MEETING: knows}}
    return Meeting(lab.keep(RhpNode(hosts[0], lab.path("rhp"), configuration)), swan, MEETING)


def _living(sa: SwanIkeSa) -> list[SwanChildSa]:
    """The children that are more than a memory: strongSwan keeps a deleted one for some seconds, for late packets."""
    return [child for child in sa.children if child.state != "DELETED"]


def _hex(spi: str) -> str:
    """An SPI as eight hexadecimal digits, whatever its program writes in front."""
    return f"{int(spi, 16):08x}"
