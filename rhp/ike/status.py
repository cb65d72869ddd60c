"""A picture of the engine at one moment, as plain data for `rhp status`."""

from dataclasses import dataclass

from rhp.ike import renewal
from rhp.ike.assignment import Assignment
from rhp.ike.child_sa import ChildSa, carrier
from rhp.ike.config import Mode
from rhp.ike.effects import Carrier
from rhp.ike.events import Role
from rhp.ike.ike_sa import IkeSa
from rhp.ike.path import IpAddress, Path
from rhp.wire.iana import ExchangeType
from rhp.wire.identity import Identity
from rhp.wire.ts import TrafficSelector


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """One live pair of ESP SAs; `lane` is the only lane that sends on it, None where every lane may.

    Times are on the engine's clock, None where there is no such deadline.
    """

    child_id: int
    lane: int | None
    name: str
    mode: Mode
    state: str
    spi_in: int
    spi_out: int
    suite: str
    encapsulation: Carrier
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]
    established_at: float
    rekey_at: float | None
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class IkeStatus:
    """One IKE SA; `connection` is empty and `peer`, `suite` are None while they are not known.

    `assigned` is what the peer gave us by a configuration payload, `leased` are the addresses that we gave it.
    `asks` names the exchange of ours that waits for its answer, None when there is none.
    `realm` is that of a peer that has proved who it is, empty for one of a connection.
    With `mobike` agreed on, the two lists are the further addresses that the sides told each other (RFC 4555).
    """

    ike_id: int
    connection: str
    role: Role
    state: str
    local: Identity | None
    peer: Identity | None
    path: Path
    spi_i: bytes
    spi_r: bytes
    suite: str | None
    ppk: bool
    nat_local: bool
    nat_remote: bool
    mobike: bool
    told_addresses: tuple[IpAddress, ...]
    peer_addresses: tuple[IpAddress, ...]
    created_at: float
    established_at: float | None
    rekey_at: float | None
    expires_at: float | None
    reauth_at: float | None
    asks: str | None
    last_seen: float
    children: tuple[ChildStatus, ...]
    assigned: Assignment | None = None
    leased: tuple[IpAddress, ...] = ()
    realm: str = ""


def of(sa: IkeSa) -> IkeStatus:
    """The picture of one IKE SA."""
    return IkeStatus(
        ike_id=sa.id,
        connection=sa.connection_name,
        role=sa.role,
        state=sa.state.value,
        local=sa.local,
        peer=sa.peer,
        path=sa.path,
        spi_i=sa.spi_i,
        spi_r=sa.spi_r,
        suite=sa.suite.name if sa.suite is not None else None,
        ppk=sa.ppk,
        nat_local=sa.nat_local,
        nat_remote=sa.nat_remote,
        mobike=sa.mobility is not None,
        told_addresses=(sa.mobility.told or ()) if sa.mobility is not None else (),
        peer_addresses=sa.mobility.peer_addresses if sa.mobility is not None else (),
        created_at=sa.created_at,
        established_at=sa.established_at,
        rekey_at=sa.rekey_at,
        expires_at=sa.expires_at,
        reauth_at=sa.reauth_at,
        asks=_exchange(sa.turn.exchange) if sa.turn is not None else None,
        last_seen=sa.last_seen,
        children=tuple(_child(child) for child in renewal.remaining(sa)),
        assigned=sa.assigned,
        leased=tuple(lease.address for lease in sa.leases),
        realm=sa.config.name if sa.established_at is not None and sa.config.match else "",
    )


def _exchange(number: int) -> str:
    """The exchange's name, or its number where an extension made it up."""
    try:
        return ExchangeType(number).name
    except ValueError:
        return str(number)


def _child(child: ChildSa) -> ChildStatus:
    terms = child.terms
    return ChildStatus(
        child_id=child.id,
        lane=child.lane,
        name=child.name,
        mode=terms.config.mode,
        state=child.state.value,
        spi_in=terms.spi_in,
        spi_out=terms.spi_out,
        suite=terms.suite.name,
        encapsulation=carrier(child.sa),
        local_ts=terms.local_ts,
        remote_ts=terms.remote_ts,
        established_at=child.created_at,
        rekey_at=child.rekey_at,
        expires_at=child.expires_at,
    )
