"""The strongSwan matrix: who initiates x how they authenticate x which suite, each row living a whole life.

A row is established, pinged both ways, rekeyed (Child SA and IKE SA, by either side, pinged after each), deleted by
rhp, established again, and deleted by strongSwan. After every step both ends have to name the same SPIs, and after a
delete neither may have any. All rows share one rhp node and one charon; each has outer and inner addresses of its own,
by which both programs find the connection.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from rhp.lab.certificates import Authority
from rhp.lab.errors import LabError
from rhp.lab.lab import Lab
from rhp.lab.nodeconf import Table, psk, pubkey, tunnel
from rhp.lab.openvpn import Credentials
from rhp.lab.ping import ping
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import RhpNode
from rhp.lab.strongswan import StrongSwan, SwanIkeSa
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection, Value
from rhp.pki.ca import KeyType

OURS, THEIRS = "rhp.example.org", "swan.example.org"
SECRET = "a shared secret of the matrix"  # noqa: S105 (it protects nothing but a test)
CHILD = "lan"
PATIENCE = 8.0

INITIATORS = ("rhp", "strongSwan")
KEY_TYPES: dict[str, KeyType | None] = {"PSK": None, "RSA": "rsa-2048", "ECDSA": "ecdsa-p256", "Ed25519": "ed25519"}
STEPS = (
    "established",
    "Child rekey by rhp",
    "Child rekey by strongSwan",
    "IKE rekey by rhp",
    "IKE rekey by strongSwan",
    "DELETE by rhp",
    "established again",
    "DELETE by strongSwan",
)


@dataclass(frozen=True, slots=True)
class Suite:
    """Algorithms by name and in swanctl's notation; a key exchange in `esp` is used from the first rekey on."""

    name: str
    ike: str
    esp: str


SUITES = (
    Suite("AES-128-GCM", "aes128gcm16-prfsha256-x25519", "aes128gcm16"),
    Suite("AES-256-CBC, SHA2-256", "aes256-sha256-modp2048", "aes256-sha256-modp2048"),
    Suite("ChaCha20-Poly1305", "chacha20poly1305-prfsha256-ecp256", "chacha20poly1305-x25519"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One combination; `number` (from 1) makes its addresses. `ours` and `theirs` override settings of one end."""

    number: int
    initiator: str
    auth: str
    suite: Suite
    ours: Table = field(default_factory=dict)
    theirs: Mapping[str, Value] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The connection's name at both ends, and the child's at strongSwan's."""
        return f"row{self.number}"

    def outer(self, end: int) -> str:
        """The outer address of rhp (1) or strongSwan (2)."""
        return f"172.20.{self.number}.{end}"

    def inner(self, end: int) -> str:
        """The inner address of rhp (1) or strongSwan (2)."""
        return f"10.9{end}.{self.number}.1"


ROWS = tuple(
    Row(number, initiator, auth, suite)
    for number, (initiator, auth, suite) in enumerate(product(INITIATORS, ("PSK", "RSA", "ECDSA"), SUITES), 1)
)


class Matrix:
    """One rhp node and one charon on a cable, with a connection for every row."""

    def __init__(self, lab: Lab, rows: tuple[Row, ...] = ROWS) -> None:
        a, s = lab.namespace("rhp"), lab.namespace("swan")
        a.link(s)
        for end, host in ((1, a), (2, s)):
            host.address("eth0", *(f"{row.outer(end)}/24" for row in rows))
        s.address("lo", *(f"{row.inner(2)}/32" for row in rows))
        files = {auth: _credentials(lab, auth) for auth in {row.auth for row in rows}}
        theirs = [swan_connection(row, files[row.auth]) for row in rows]
        self.swan = lab.keep(StrongSwan(s, lab.path("strongswan"), theirs))
        configuration: Table = {
            "interface": {"addresses": [f"{row.inner(1)}/32" for row in rows]},
            "connections": {row.name: rhp_connection(row, files[row.auth]) for row in rows},
        }
        self.node = lab.keep(RhpNode(a, lab.path("rhp"), configuration))

    def steps(self, row: Row) -> dict[str, Callable[[], None]]:
        """What happens to a row, in the order of `STEPS`; each raises `LabError` when it does not hold."""
        node, swan, name = self.node, self.swan, row.name
        acts: tuple[Callable[[], None], ...] = (
            lambda: self.establish(row),
            lambda: self._rekey(row, lambda: node.rekey_child(name, CHILD), ike=False),
            lambda: self._rekey(row, lambda: swan.rekey_child(name), ike=False),
            lambda: self._rekey(row, lambda: node.rekey_ike(name), ike=True),
            lambda: self._rekey(row, lambda: swan.rekey_ike(name), ike=True),
            lambda: self._delete(row, lambda: node.terminate(name)),
            lambda: self.establish(row),
            lambda: self._delete(row, lambda: swan.terminate(name)),
        )
        return dict(zip(STEPS, acts, strict=True))

    def establish(self, row: Row) -> None:
        """Have the row's initiator begin, and ping."""
        if row.initiator == "rhp":
            self.node.initiate(row.name)
        else:
            self.swan.initiate(row.name)
        self.node.wait_established(row.name, PATIENCE)
        self.agree(row)

    def agree(self, row: Row) -> None:
        """Both ends name the same SPIs, and pings come back both ways; raises `LabError`."""
        wait_until(lambda: self._same_spis(row), PATIENCE, f"both ends of {row.name} having the same SAs")
        before = self._counters()
        for host, own, other in ((self.node.namespace, 1, 2), (self.swan.namespace, 2, 1)):
            result = ping(host, row.inner(other), count=3, interval=0.02, source=row.inner(own))
            if result.received < result.sent:
                counted = {name: value - before[name] for name, value in self._counters().items()}
                changed = {name: value for name, value in counted.items() if value}
                raise LabError(f"{row.name}: {result} at end {own}; rhp counted {changed}")

    def _counters(self) -> dict[str, int]:
        """The data plane's counters, to see where a packet went."""
        counters: dict[str, int] = self.node.status()["counters"]["dataplane"]
        return counters

    def _same_spis(self, row: Row) -> bool:
        """True when the newest SAs of both ends are the two sides of one."""
        ours, theirs = self.node.connection(row.name), self._swan_sa(row)
        if theirs is None or not theirs.established or not ours["children"]:
            return False
        if (ours["ike_spi_i"], ours["ike_spi_r"]) != (theirs.spi_i, theirs.spi_r):
            return False
        mirrored = {(_hex(child["spi_out"]), _hex(child["spi_in"])) for child in ours["children"]}
        installed = [child for child in theirs.children if child.state == "INSTALLED"]
        return all((_hex(child.spi_in), _hex(child.spi_out)) in mirrored for child in installed)

    def _rekey(self, row: Row, act: Callable[[], None], *, ike: bool) -> None:
        """Rekey, see that it was this SA and no other that changed, and ping."""
        before = self._spis(row)
        act()
        wait_until(lambda: self._spis(row)[ike] != before[ike], PATIENCE, f"new SPIs of {row.name}")
        self.agree(row)
        if self._spis(row)[not ike] != before[not ike]:
            raise LabError(f"{row.name}: the rekey changed more than it should")

    def _spis(self, row: Row) -> tuple[str, str]:
        """The SPIs of the Child SA and of the IKE SA, by rhp."""
        entry: dict[str, Any] = self.node.connection(row.name)
        children = sorted(_hex(child["spi_in"]) for child in entry["children"] if child["state"] == "installed")
        return ",".join(children), str(entry["ike_spi_i"])

    def _delete(self, row: Row, act: Callable[[], None]) -> None:
        """Delete, and see that nothing of it is left at either end and nothing passes."""
        act()
        self.node.wait_connection(row.name, lambda entry: entry["state"] != "established", PATIENCE)
        wait_until(lambda: self._swan_sa(row) is None, PATIENCE, f"strongSwan forgetting {row.name}")
        if self.node.connection(row.name)["children"]:
            raise LabError(f"{row.name}: rhp still has a child after the delete")
        if ping(self.node.namespace, row.inner(2), count=1, wait=0.1, source=row.inner(1)).received:
            raise LabError(f"{row.name}: traffic passes after the delete")

    def _swan_sa(self, row: Row) -> SwanIkeSa | None:
        """strongSwan's newest IKE SA of the row."""
        return max(self.swan.sas(row.name), key=lambda sa: sa.number, default=None)


def rhp_connection(row: Row, files: dict[str, Credentials] | None) -> Table:
    """The row as rhp has it: it knows where strongSwan is, but begins only when told."""
    settings: Table = {
        "local_addrs": [row.outer(1)],
        "remote_addrs": [row.outer(2)],
        "start": "wait",
        "proposals": [row.suite.ike],
        "children": {CHILD: tunnel([f"{row.inner(1)}/32"], [f"{row.inner(2)}/32"], esp_proposals=[row.suite.esp])},
        **row.ours,
    }
    if files is None:
        return {**psk(OURS, THEIRS, SECRET), **settings}
    own = files[OURS]
    return {**pubkey(OURS, THEIRS, own.cert, own.key, own.ca), **settings}


def swan_connection(row: Row, files: dict[str, Credentials] | None) -> SwanConnection:
    """The row as strongSwan has it."""
    child = SwanChild(row.name, (f"{row.inner(2)}/32",), (f"{row.inner(1)}/32",), row.suite.esp)
    parts: dict[str, Any] = {"proposals": row.suite.ike, "settings": {"unique": "never", **row.theirs}}
    if files is None:
        ends = SwanAuth(THEIRS), SwanAuth(OURS)
        return SwanConnection(row.name, row.outer(2), row.outer(1), *ends, (child,), psk=SECRET, **parts)
    own = files[THEIRS]
    ends = SwanAuth(THEIRS, "pubkey", (own.cert,), (own.ca,)), SwanAuth(OURS, "pubkey", cas=(own.ca,))
    return SwanConnection(row.name, row.outer(2), row.outer(1), *ends, (child,), key=own.key, **parts)


def _credentials(lab: Lab, auth: str) -> dict[str, Credentials] | None:
    """Certificates of both ends for a way to authenticate; None for PSK."""
    key_type = KEY_TYPES[auth]
    if key_type is None:
        return None
    authority = Authority(lab.path(f"ca-{auth}"), f"rhp lab {auth}", key_type)
    return {name: authority.issue(name) for name in (OURS, THEIRS)}


def _hex(spi: str) -> str:
    """An SPI as eight hexadecimal digits, whatever its program writes in front."""
    return f"{int(spi, 16):08x}"
