"""What a ticket leaves in the hands of its holder, and in a handshake that was begun with it (RFC 5723)."""

from dataclasses import dataclass, field

from rhp.crypto.secret import Secret
from rhp.crypto.suite import IkeSuite
from rhp.ike.path import IpAddress
from rhp.wire.identity import Identity


@dataclass(slots=True)
class HeldTicket:
    """A peer's ticket and what it stands for; `expires` is on the engine's clock, `gateway` who takes it.

    `authenticated` is when both sides proved themselves, `ppk` whether a PPK is in SK_d (RFC 8784).
    """

    ike_id: int
    octets: bytes = field(repr=False)
    expires: float
    gateway: IpAddress
    policy: bytes
    local: Identity
    peer: Identity
    suite: IkeSuite
    sk_d: Secret
    authenticated: float
    ppk: bool


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a resumed handshake has to come to: the same two identities. `spends` is the ticket as responder.

    `authenticated` is when these proved themselves, on the engine's clock: a ticket makes nobody's word last longer.
    """

    local: Identity
    peer: Identity
    authenticated: float
    spends: bytes = b""
    expires: int = 0
