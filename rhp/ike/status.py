"""A picture of the engine at one moment, as plain data for `rhp status`."""

from dataclasses import dataclass

from rhp.ike.config import Mode
from rhp.ike.effects import Carrier
from rhp.ike.events import Role
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
