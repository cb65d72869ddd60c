"""A picture of the engine at one moment, as plain data for `rhp status`."""

from dataclasses import dataclass

from rhp.ike.child_sa import ChildSa, carrier
from rhp.ike.config import Mode
from rhp.ike.effects import Carrier
from rhp.ike.events import Role
from rhp.ike.ike_sa import IkeSa
from rhp.ike.path import Path
from rhp.wire.identity import Identity
from rhp.wire.ts import TrafficSelector


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """One live pair of ESP SAs; times are on the engine's clock, None where there is no such deadline."""

    child_id: int
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
    """One IKE SA; `connection` is empty and `peer`, `suite` are None while they are not known."""

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
    nat_local: bool
    nat_remote: bool
    created_at: float
    established_at: float | None
    rekey_at: float | None
    expires_at: float | None
    last_seen: float
    children: tuple[ChildStatus, ...]


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
        nat_local=sa.nat_local,
        nat_remote=sa.nat_remote,
        created_at=sa.created_at,
        established_at=sa.established_at,
        rekey_at=sa.rekey_at,
        expires_at=sa.expires_at,
        last_seen=sa.last_seen,
        children=tuple(_child(child) for child in sa.children.values()),
    )


def _child(child: ChildSa) -> ChildStatus:
    terms = child.terms
    return ChildStatus(
        child_id=child.id,
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
