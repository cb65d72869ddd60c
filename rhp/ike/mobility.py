"""What an IKE SA keeps once both sides agreed on MOBIKE (RFC 4555), and the addresses that they tell each other.

The initiator of the first IKE SA of a lineage decides which path is used; the other side follows, and says which
further addresses it has. Where ESP goes is kept apart from where IKE goes, because a path that the peer only claims
carries no traffic before somebody at its far end has shown that it reads what we send there (section 3.7).
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from rhp.ike.effects import Carrier
from rhp.ike.limiter import Limiter
from rhp.ike.path import Endpoint, IpAddress, Path
from rhp.wire.iana import NotifyType
from rhp.wire.message import Message
from rhp.wire.notify import Notify

if TYPE_CHECKING:
    from rhp.ike.ike_sa import IkeSa
    from rhp.ike.timers import Timer

MOST_PEER_ADDRESSES = 16
"""How many further addresses of a peer are kept; the rest of a longer list is counted and forgotten."""

MOST_OWN_ADDRESSES = 8
"""How many of our own we tell."""

FIRST_HOLD = 10.0
LONGEST_HOLD = 320.0
"""Seconds that a path is kept at least before a better one is tried: doubled each time that the better one fails."""

_RESENDS = 5
_BROADCAST = IPv4Address("255.255.255.255")
_OCTETS = {NotifyType.ADDITIONAL_IP4_ADDRESS: 4, NotifyType.ADDITIONAL_IP6_ADDRESS: 16}


class Mobility:
    """MOBIKE of one lineage; rekeys of the IKE SA hand it on.

    `home` is the peer's address at the beginning, `told` the list that we told last, None when it has to be told anew.
    `serial` counts changes of the path, so that an answer to an older question is known as such. `held` is where the
    traffic still goes, and how, while the new path is unproven. `refused` are pairs of addresses that the peer does not
    want, `suspect` a path on which the peer's ESP came. `left` is where the peer was before the last move. `seen_as` is
    the peer's hash of our address.
    """

    __slots__ = (
        "held",
        "hold",
        "home",
        "left",
        "moved_at",
        "peer_addresses",
        "refused",
        "resends",
        "seen_as",
        "serial",
        "suspect",
        "timer",
        "told",
    )

    def __init__(self, home: IpAddress) -> None:
        self.home = home
        self.peer_addresses: tuple[IpAddress, ...] = ()
        self.told: tuple[IpAddress, ...] | None = ()
        self.serial = 0
        self.held: tuple[Path, Carrier] | None = None
        self.refused: frozenset[tuple[IpAddress, IpAddress]] = frozenset()
        self.suspect: Path | None = None
        self.seen_as = b""
        self.moved_at: float | None = None
        self.left: Endpoint | None = None
        self.hold = FIRST_HOLD
        self.timer: Timer | None = None
        self.resends = Limiter(_RESENDS)


def leads(sa: "IkeSa") -> bool:
    """Whether it is ours to choose the path: we are the initiator of the first IKE SA of the lineage (section 2.1)."""
    return sa.mobility is not None and sa.origin[0] == "initiator"


def told_by(message: Message) -> bool:
    """Whether a message holds a list of addresses."""
    kinds = (*_OCTETS, NotifyType.NO_ADDITIONAL_ADDRESSES)
    return any(message.notify(kind) is not None for kind in kinds)


def read_addresses(sa: "IkeSa", message: Message) -> tuple[IpAddress, ...]:
    """The further addresses that a message lists, those that can be sent to; a list replaces the one before."""
    found: dict[IpAddress, None] = {}
    for notify in message.all(Notify):
        octets = _OCTETS.get(notify.type)  # type: ignore[call-overload]  # Any number is looked up.
        if octets is None:
            continue
        if len(notify.data) != octets:
            sa.ctx.count("bad-additional-address")
            continue
        address = IPv4Address(notify.data) if octets == 4 else IPv6Address(notify.data)
        if not is_usable(address):
            sa.ctx.count("bad-additional-address")
        elif len(found) < MOST_PEER_ADDRESSES:
            found[address] = None
        else:
            sa.ctx.count("too-many-additional-addresses")
    return tuple(found)


def address_notifies(addresses: Iterable[IpAddress]) -> list[Notify]:
    """The payloads that list addresses; one that says that there is none, for an empty list (section 4.2)."""
    kinds = {4: NotifyType.ADDITIONAL_IP4_ADDRESS, 6: NotifyType.ADDITIONAL_IP6_ADDRESS}
    found = [Notify(kinds[address.version], address.packed) for address in addresses]
    return found or [Notify(NotifyType.NO_ADDITIONAL_ADDRESSES)]


def is_usable(address: IpAddress) -> bool:
    """Whether one host that is neither a neighbour nor ourselves can be at that address."""
    if address.version == 6 and address.ipv4_mapped is not None:
        return False  # No packet bears such an address (RFC 4291 section 2.5.5.2).
    nobody = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not nobody and address != _BROADCAST
