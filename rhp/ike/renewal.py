"""Reauthentication: a new IKE SA, proved anew, takes the place of an old one before that goes (RFC 7296 section 2.8.3).

The side that began the old IKE SA begins the new one beside it. The responder knows a renewal by its peer, who is
authenticated on the same connection while it has an IKE SA there, and has not said INITIAL_CONTACT. From then on the
new one speaks for the lineage on both sides. Its Child SAs are made anew, each in succession of the old pair that
carried the same traffic, so a hub port sees no more than a rekey. The initiator deletes the old IKE SA once every pair
has its successor, or `GRACE` seconds later. Where the renewal fails, the old one stays and it is tried again.
"""

from typing import TYPE_CHECKING

from rhp.ike import child_sa, lifetimes
from rhp.ike.child_sa import ChildSa, ChildTerms
from rhp.ike.errors import Fault
from rhp.ike.events import IkeReauthenticated
from rhp.ike.states import LIVE_CHILD, IkeState
from rhp.ike.turn import Ending

if TYPE_CHECKING:
    from rhp.ike.ike_sa import IkeSa

GRACE = 10.0
"""Seconds that the old IKE SA waits for the successors of its pairs; one that did not come is missed by then anyway."""

RETRY = 10.0
"""Seconds until a renewal that failed is tried again."""

RENEWED = Ending("reauthenticated", Fault.NONE, "a new IKE SA took its place")


def take_over(new: "IkeSa", now: float) -> "IkeSa | None":
    """`new` is authenticated: have it speak for the lineage that it renews; the old IKE SA, or None if that has gone.

    The old one keeps its pairs, and is good for nothing else but its end.
    """
    old = new.renews.newest if new.renews is not None else None
    new.renews = None
    if old is None or old is new or old.state is not IkeState.ESTABLISHED:
        return None
    table, handshake_id = old.ctx.table, new.id
    table.forget_peer(old)
    old.successor, new.renews, old.renewal = new, old, None
    new.assigned, new.leases, old.leases = old.assigned, old.leases, ()
    old.become(IkeState.REKEYED)
    table.rename(new, old.id)
    new.ctx.count("ike-reauthenticated")
    peer = new.peer if new.peer is not None else old.peer
    if peer is not None:
        event = IkeReauthenticated(new.id, new.connection_name, new.role, peer, new.path, new.agreed.name, handshake_id)
        new.ctx.emit(event)
    return old


def failed(new: "IkeSa", now: float) -> None:
    """An IKE SA ended before it was established; if it was a renewal of ours, it is tried again after a while."""
    if new.renews is None:
        return
    old = new.renews.newest
    new.renews = None
    if old.renewal is new:
        old.renewal = None
        if old.state is IkeState.ESTABLISHED:
            old.reauth_at = now + RETRY
            lifetimes.arm_ike(old)


def gone(old: "IkeSa", ending: Ending, now: float) -> None:
    """An IKE SA ended that had a successor; after a renewal it still has pairs, after a rekey they have moved on."""
    for child in tuple(old.children.values()):
        if child.sa is old:
            child_sa.remove(child, ending.reason, ending.fault, now)
    heir = old.newest
    if heir.renews is old:
        heir.renews = None


def forerunner(sa: "IkeSa", terms: ChildTerms) -> ChildSa | None:
    """The pair of the renewed IKE SA that a new pair succeeds: the same traffic, and the same place among the lanes."""
    for child in _unrenewed(sa):
        alike = child.name == terms.config.name and child.terms.config.mode == terms.config.mode
        same_traffic = (child.terms.local_ts, child.terms.remote_ts) == (terms.local_ts, terms.remote_ts)
        if terms.place.group is None:
            same_place = child.group == child.id
        else:
            same_place = child.group == terms.place.group and child.lane == terms.place.lane
        if alike and same_traffic and same_place:
            return child
    return None


def waiting(sa: "IkeSa") -> list[ChildSa]:
    """The first pair of each child that has no successor on the new IKE SA yet, and no other pair of its name there."""
    left = _unrenewed(sa)
    others = {child.name for child in sa.children.values()} if left else set()
    return [child for child in left if child.group == child.id and child.name not in others]


def overtaken(sa: "IkeSa") -> bool:
    """Whether another IKE SA has taken this one's place, so that what is still granted on this one is of no use."""
    return sa.state is IkeState.REKEYED and sa.newest.renews is sa


def remaining(sa: "IkeSa") -> list[ChildSa]:
    """The pairs of an IKE SA, and those that are still on the one that it renews."""
    return [*sa.children.values(), *_unrenewed(sa)]


def _unrenewed(sa: "IkeSa") -> list[ChildSa]:
    if sa.renews is None or sa.renews.state is not IkeState.REKEYED:
        return []
    renewed = {child.id for child in sa.children.values()}
    return [child for child in sa.renews.children.values() if child.id not in renewed and child.state in LIVE_CHILD]
