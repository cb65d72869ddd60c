"""The strongSwan matrix: who initiates x how they authenticate x which suite, each row living a whole life.

A row is established, pinged both ways, rekeyed (Child SA and IKE SA, by either side, pinged after each), deleted by
rhp, established again, and deleted by strongSwan. After every step both ends have to name the same SPIs, and after a
delete neither may have any. All rows share one rhp node and one charon; each has outer and inner addresses of its own,
by which both programs find the connection.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

from rhp.lab.certificates import Authority
from rhp.lab.lab import Lab
from rhp.lab.meeting import CHILD, OURS, SECRET, THEIRS, Meeting
from rhp.lab.nodeconf import Table, psk, pubkey, tunnel
from rhp.lab.openvpn import Credentials
from rhp.lab.rhpnode import RhpNode
from rhp.lab.strongswan import StrongSwan, SwanPrograms
from rhp.lab.swanconf import Section, SwanAuth, SwanChild, SwanConnection, merged
from rhp.pki.ca import KeyType

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
    """One combination; `number` (from 1) makes its addresses, the outer ones of IP `version`.

    `ours` and `theirs` override settings of one end, `their_child` those of strongSwan's child; `more` are top-level
    sections of swanctl.conf.
    """

    number: int
    initiator: str
    auth: str
    suite: Suite
    ours: Table = field(default_factory=dict)
    theirs: Section = field(default_factory=dict)
    their_child: Section = field(default_factory=dict)
    more: Section = field(default_factory=dict)
    version: int = 4

    @property
    def name(self) -> str:
        """The connection's name at both ends, and the child's at strongSwan's."""
        return f"row{self.number}"

    def outer(self, end: int) -> str:
        """The outer address of rhp (1) or strongSwan (2)."""
        return f"172.20.{self.number}.{end}" if self.version == 4 else f"2001:db8:{self.number}::{end}"

    @property
    def outer_bits(self) -> int:
        """The length of the outer network's prefix."""
        return 24 if self.version == 4 else 64

    def inner(self, end: int) -> str:
        """The inner address of rhp (1) or strongSwan (2)."""
        return f"10.9{end}.{self.number}.1"


ROWS = tuple(
    Row(number, initiator, auth, suite)
    for number, (initiator, auth, suite) in enumerate(product(INITIATORS, ("PSK", "RSA", "ECDSA"), SUITES), 1)
)


class Matrix:
    """One rhp node and one charon on a cable, with a connection for every row.

    `settings` belong into `charon {}`, `more` are further top-level tables of rhp's configuration.
    """

    def __init__(
        self,
        lab: Lab,
        rows: tuple[Row, ...] = ROWS,
        programs: SwanPrograms | None = None,
        settings: Section | None = None,
        more: Table | None = None,
    ) -> None:
        a, s = lab.namespace("rhp"), lab.namespace("swan")
        a.link(s)
        for end, host in ((1, a), (2, s)):
            host.address("eth0", *(f"{row.outer(end)}/{row.outer_bits}" for row in rows))
        s.address("lo", *(f"{row.inner(2)}/32" for row in rows))
        files = {auth: _credentials(lab, auth) for auth in {row.auth for row in rows}}
        theirs = [swan_connection(row, files[row.auth]) for row in rows]
        self.swan = lab.keep(StrongSwan(s, lab.path("strongswan"), theirs, settings, programs))
        configuration: Table = {
            **(more or {}),
            "interface": {"addresses": [f"{row.inner(1)}/32" for row in rows]},
            "connections": {row.name: rhp_connection(row, files[row.auth]) for row in rows},
        }
        self.node = lab.keep(RhpNode(a, lab.path("rhp"), configuration))

    def meeting(self, row: Row) -> Meeting:
        """The row's connection, seen from both its ends."""
        return Meeting(self.node, self.swan, row.name, (row.inner(1), row.inner(2)))

    def steps(self, row: Row) -> dict[str, Callable[[], None]]:
        """What happens to a row, in the order of `STEPS`; each raises `LabError` when it does not hold."""
        met, name = self.meeting(row), row.name
        acts: tuple[Callable[[], None], ...] = (
            lambda: self.establish(row),
            *(partial(met.rekey, act, ike=ike) for act, ike in met.rekeys()),
            lambda: met.delete(lambda: self.node.terminate(name)),
            lambda: self.establish(row),
            lambda: met.delete(lambda: self.swan.terminate(name)),
        )
        return dict(zip(STEPS, acts, strict=True))

    def establish(self, row: Row) -> None:
        """Have the row's initiator begin, and ping."""
        self.meeting(row).establish(row.initiator)

    def agree(self, row: Row) -> None:
        """Both ends name the same SPIs, and pings come back both ways; raises `LabError`."""
        self.meeting(row).agree()


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
    inner = (f"{row.inner(2)}/32",), (f"{row.inner(1)}/32",)
    child = SwanChild(row.name, *inner, row.suite.esp, settings=row.their_child)
    settings = merged({"unique": "never"}, row.theirs)
    parts: dict[str, Any] = {"proposals": row.suite.ike, "settings": settings, "more": row.more}
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
