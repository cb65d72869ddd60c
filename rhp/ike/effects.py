"""What the engine wants done. The adapter drains `Engine.effects()` after every verb and carries them out in order."""

from dataclasses import dataclass
from typing import Literal

from rhp.crypto.secret import Secret
from rhp.crypto.suite import EspSuite
from rhp.guard.protocol import Question
from rhp.ike.config import Mode
from rhp.ike.events import Event
from rhp.ike.path import Path
from rhp.realm.policy import OWN_HUB, PortPolicy
from rhp.wire.identity import Identity
from rhp.wire.ts import TrafficSelector

Carrier = Literal["udp", "esp"]
"""How ESP travels: in UDP on the NAT-T ports (RFC 3948), or as IP protocol 50."""


@dataclass(frozen=True, slots=True)
class Send:
    """One IKE message, without the non-ESP marker; the adapter adds it where `path.natt` is set."""

    datagram: bytes
    path: Path


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """The single octet 0xFF, without a marker, to keep a NAT's mapping (RFC 3948 section 2.3)."""

    path: Path


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a pair may carry in either direction, in octets of payload and in packets; 0 is no limit.

    From the `soft_*` ones on it is to be replaced, which the data plane tells; beyond the `hard_*` ones it carries
    nothing.
    """

    soft_octets: int = 0
    hard_octets: int = 0
    soft_packets: int = 0
    hard_packets: int = 0


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class InstallSA:
    """A pair of ESP SAs.

    `child_id` names the lineage and is the same across rekeys. `group` names the lineages that carry the same traffic
    for several lanes, so that a hub port can hang on it; `lane` is the only lane that sends on this pair, None where
    each may that has no pair of its own. `replaces` is the
    inbound SPI of the pair that this one succeeds. SPIs are in host order. With `outbound_active` false, outbound
    traffic stays on the older pair until `ActivateSA` or until that pair is removed. "in" and "out" are as seen from
    here, whichever side began. Keys contain their salt (RFC 4106 section 8.1 and the like). `encr_*` of a
    suite without integrity algorithm (AEAD) come with empty `integ_*`. `policy` says on which hub its port is, and
    what holds there.
    """

    child_id: int
    group: int
    lane: int | None
    ike_id: int
    connection: str
    child_name: str
    peer: Identity
    mode: Mode
    spi_in: int
    spi_out: int
    suite: EspSuite
    encr_in: Secret
    integ_in: Secret
    encr_out: Secret
    integ_out: Secret
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]
    path: Path
    encapsulation: Carrier
    replay_window: int
    outbound_active: bool
    replaces: int | None
    limits: Limits = NO_LIMITS
    policy: PortPolicy = OWN_HUB


@dataclass(frozen=True, slots=True)
class DeactivateSA:
    """Send nothing on this pair any more; it receives what is under way until it is removed."""

    spi_in: int


@dataclass(frozen=True, slots=True)
class RemoveSA:
    """Take a pair away."""

    child_id: int
    spi_in: int


@dataclass(frozen=True, slots=True)
class MigrateSA:
    """The same keys from now on over another path."""

    spi_in: int
    path: Path
    encapsulation: Carrier


@dataclass(frozen=True, slots=True)
class ActivateSA:
    """Send outbound traffic on this pair from now on."""

    spi_in: int


@dataclass(frozen=True, slots=True)
class AskGuard:
    """Put `question` to the guard and give its answer to `Engine.guard_answered(request_id, answer, now)`."""

    request_id: int
    question: Question


@dataclass(frozen=True, slots=True)
class Emit:
    """Something happened that the node wants to log, count or act on."""

    event: Event


Effect = Send | KeepAlive | InstallSA | DeactivateSA | RemoveSA | MigrateSA | ActivateSA | AskGuard | Emit
