"""What happened, typed: the engine emits these and the node logs, counts and reacts. No event carries a secret.

`ike_id` and `child_id` name lineages: they stay the same when an SA is rekeyed. `reason` is a kebab-case name from the
vocabulary of the counters; `detail` is a sentence for people.
"""

from dataclasses import dataclass
from typing import Literal

from rhp.ike.assignment import Assignment
from rhp.ike.config import Mode
from rhp.ike.errors import Fault
from rhp.ike.path import IpAddress, Path
from rhp.wire.identity import Identity
from rhp.wire.ts import TrafficSelector

Role = Literal["initiator", "responder"]


@dataclass(frozen=True, slots=True)
class StateChanged:
    """An IKE SA went from one state of `rhp.ike.states` to another; `connection` is empty while it is not known."""

    ike_id: int
    connection: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class IkeEstablished:
    """Both sides are authenticated, by a ticket where `resumed`; `role` is ours."""

    ike_id: int
    connection: str
    role: Role
    peer: Identity
    path: Path
    suite: str
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class IkeRekeyed:
    """The IKE SA has new SPIs and keys; its children moved with it."""

    ike_id: int
    connection: str
    role: Role
    suite: str


@dataclass(frozen=True, slots=True)
class IkeReauthenticated:
    """Both sides have proved themselves anew, on an IKE SA that took the old one's place; its children follow.

    `handshake_id` is the id that the new one had while it was in the making.
    """

    ike_id: int
    connection: str
    role: Role
    peer: Identity
    path: Path
    suite: str
    handshake_id: int


@dataclass(frozen=True, slots=True)
class IkeClosed:
    """An established IKE SA ended, with all its children. A node that keeps the connection up starts it again."""

    ike_id: int
    connection: str
    peer: Identity
    reason: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class ChildEstablished:
    """The first pair of a Child SA lineage is installed; `lane` is the one lane that it serves, if not all."""

    child_id: int
    ike_id: int
    connection: str
    child_name: str
    peer: Identity
    mode: Mode
    spi_in: int
    spi_out: int
    suite: str
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]
    lane: int | None = None


@dataclass(frozen=True, slots=True)
class ChildRekeyed:
    """A lineage has a new pair; the one before it goes soon."""

    child_id: int
    ike_id: int
    connection: str
    child_name: str
    spi_in: int
    spi_out: int
    suite: str


@dataclass(frozen=True, slots=True)
class ChildClosed:
    """A Child SA lineage ended."""

    child_id: int
    ike_id: int
    connection: str
    child_name: str
    reason: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """A Child SA could not be made; its IKE SA lives on. `child_name` is empty when the peer asked for one we lack."""

    ike_id: int
    connection: str
    child_name: str
    reason: str
    detail: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class AuthenticationFailed:
    """One side could not prove who it is, or is not whom the other expects.

    `peer` is the identity that the peer claimed, or None while it has not told one. `fault` PEER: we refused the
    peer. Otherwise the peer refused us, or our guard could not prove our own identity (LOCAL).
    """

    ike_id: int
    connection: str
    role: Role
    peer: Identity | None
    path: Path
    reason: str
    detail: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class InitiationFailed:
    """An IKE SA that we began did not come up (also after AuthenticationFailed); the node may try again."""

    ike_id: int
    connection: str
    reason: str
    detail: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class HandshakeRefused:
    """A handshake that a peer began did not come up."""

    ike_id: int
    connection: str
    path: Path
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Redirected:
    """The peer sends us from `gateway` to another one, an address or a host name; the IKE SA ends as "redirected"."""

    ike_id: int
    connection: str
    target: IpAddress | str
    gateway: IpAddress


@dataclass(frozen=True, slots=True)
class PathChanged:
    """Traffic takes another path: an address of ours or the peer's changed, or the old path fell silent.

    `reason` is "nat-moved" (RFC 7296 section 2.23), "own-address", "peer-address", "path-silent",
    "path-refused" or "path-preferred".
    """

    ike_id: int
    connection: str
    old: Path
    new: Path
    reason: str


@dataclass(frozen=True, slots=True)
class PathRefused:
    """The peer does not want to be reached over this path, or sees a NAT where it allows none (RFC 4555)."""

    ike_id: int
    connection: str
    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class AddressLeased:
    """The peer asked for an inner address and got one out of a pool, or two of different IP versions."""

    ike_id: int
    connection: str
    peer: Identity
    addresses: tuple[IpAddress, ...]


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """The IKE SA that held these addresses ended; they wait for the same peer to come back."""

    ike_id: int
    connection: str
    peer: Identity
    addresses: tuple[IpAddress, ...]


@dataclass(frozen=True, slots=True)
class AddressesAssigned:
    """The peer gave us inner addresses, which are ours until the IKE SA of that lineage is closed."""

    ike_id: int
    connection: str
    peer: Identity
    path: Path
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class ExtensionNote:
    """Something that an extension has to tell; `extension` is its name, `detail` a sentence for people."""

    ike_id: int
    connection: str
    peer: Identity | None
    extension: str
    detail: str


@dataclass(frozen=True, slots=True)
class EngineFault:
    """A bug of ours: an exception that no rule foresaw.

    The IKE SA it came up in, if any, is closed; `ike_id` 0 is none.
    """

    ike_id: int
    detail: str


Event = (
    StateChanged
    | IkeEstablished
    | IkeRekeyed
    | IkeReauthenticated
    | IkeClosed
    | ChildEstablished
    | ChildRekeyed
    | ChildClosed
    | ChildFailed
    | AuthenticationFailed
    | InitiationFailed
    | HandshakeRefused
    | PathChanged
    | AddressLeased
    | LeaseEnded
    | AddressesAssigned
    | PathRefused
    | Redirected
    | ExtensionNote
    | EngineFault
)
