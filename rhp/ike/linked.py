"""What waits for its additional key exchanges, as responder (RFC 9370 section 2.2.4).

A CREATE_CHILD_SA request that settles on several key exchanges is answered at once, but the new SA comes about with the
last IKE_FOLLOWUP_KE. Until then what is settled lies here, under a link that only we can read. The peer may forget it,
so it does not wait for ever; and while it waits, this IKE SA begins no CREATE_CHILD_SA of its own, which would only
cross the peer's. Where one of ours was out already and replaces the same SA, `collision` tells which of them goes on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from rhp.crypto.secret import Secret
from rhp.ike.errors import PeerError
from rhp.ike.timers import Timer
from rhp.wire.iana import NotifyType
from rhp.wire.notify import Notify

if TYPE_CHECKING:
    from rhp.ike.child_sa import ChildSa
    from rhp.ike.ike_sa import IkeSa
    from rhp.ike.turn import Turn

LINK_OCTETS = 8
MAX_LINKED = 2
"""How many a peer may have at once on one IKE SA; with one request at a time it needs no second one."""
LINK_TIME = 20.0
"""Seconds that the peer has for its next key exchange."""

Finish = Callable[["Turn", Sequence[Secret]], None]


@dataclass(slots=True)
class Linked:
    """`rounds` are the methods still to come; `finish` makes the SA out of `secrets`, those made so far.

    `first` is the secret of CREATE_CHILD_SA, which `finish` has as well, and `nonce` the lower one of that exchange.
    `replaces` is the SA that the new one takes the place of, None where there is no such.
    """

    rounds: tuple[int, ...]
    finish: Finish
    first: Secret | None = None
    replaces: "IkeSa | ChildSa | None" = None
    nonce: bytes = b""
    secrets: list[Secret] = field(default_factory=list)
    timer: Timer | None = None

    def wipe(self) -> None:
        """Nothing comes of it, or it is done: its secrets go."""
        for secret in (self.first, *self.secrets):
            if secret is not None:
                secret.wipe()


def put(sa: "IkeSa", linked: Linked, now: float) -> Notify:
    """Keep it until the peer goes on; the notify that tells it how. Raises PeerError when the peer has too many."""
    if sa.linked is None:
        sa.linked = {}
    if len(sa.linked) >= MAX_LINKED:
        raise PeerError("too-many-linked", NotifyType.TEMPORARY_FAILURE, detail="other key exchanges are not finished")
    link = sa.ctx.random(LINK_OCTETS)
    linked.timer = sa.ctx.timers.start(now + LINK_TIME, partial(_expire, sa, link))
    sa.linked[link] = linked
    return notify(link)


def notify(link: bytes) -> Notify:
    """ADDITIONAL_KEY_EXCHANGE; the initiator gives the link back as it came."""
    return Notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, link)


def take(sa: "IkeSa", link: bytes) -> Linked:
    """What waits under a link, which is good for once. Raises PeerError when there is nothing (any more)."""
    found = sa.linked.pop(link, None) if sa.linked else None
    if found is None:
        raise PeerError("unknown-link", NotifyType.STATE_NOT_FOUND, detail="nothing waits for this key exchange")
    sa.ctx.timers.cancel(found.timer)
    return found


def claim(sa: "IkeSa", replaced: "IkeSa | ChildSa") -> Linked | None:
    """What the peer has begun to put in the place of that SA, and is not done with."""
    return next((one for one in (sa.linked or {}).values() if one.replaces is replaced), None)


def drop(sa: "IkeSa", replaced: "IkeSa | ChildSa") -> None:
    """The peer will not go on with what it has begun to put in the place of that SA, for ours goes on."""
    for link, one in tuple((sa.linked or {}).items()):
        if one.replaces is replaced:
            take(sa, link).wipe()


def forget(sa: "IkeSa") -> None:
    """Nothing will come of what waits on this IKE SA."""
    for link in tuple(sa.linked or ()):
        take(sa, link).wipe()
    sa.linked = None


def _expire(sa: "IkeSa", link: bytes, now: float) -> None:
    sa.ctx.count("link-expired")
    take(sa, link).wipe()
    sa.ctx.upkeep.link_expired(sa, now)
