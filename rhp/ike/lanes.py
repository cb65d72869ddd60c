"""Where a pair of ESP SAs belongs among the lanes (RFC 9611).

A lane is a thread of ours; RFC 9611 says "resource". The first pair of a Child SA serves every lane. Where both sides
say SA_RESOURCE_INFO in its exchange, further pairs with the same properties join it, each for one lane: together they
are a group, which carries the number of the lineage that began it. Then no two lanes share an outbound sequence
counter, and each side chooses by its own SPIs which of its lanes opens what the peer sends on which pair. Lane numbers
are each side's own business; what stands in the notify is for people who debug.
"""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rhp.crypto.suite import EspSuite
from rhp.ike.errors import PeerError
from rhp.ike.states import ChildState
from rhp.wire.iana import NotifyType
from rhp.wire.message import Message
from rhp.wire.notify import Notify
from rhp.wire.ts import TrafficSelector

if TYPE_CHECKING:
    from rhp.ike.child_sa import ChildSa
    from rhp.ike.ike_sa import IkeSa

Selectors = tuple[TrafficSelector, ...]

MAX_GROUP = 16
"""How many pairs of one group we grant, for a peer may have more lanes than we."""

_LEAVING = frozenset({ChildState.REKEYED, ChildState.DELETING, ChildState.CLOSED})


@dataclass(frozen=True, slots=True)
class Place:
    """The lane whose inbound SPI a pair has, the group that it joins, and whether both sides want such groups.

    `group` None begins a group of its own.
    """

    lane: int = 0
    group: int | None = None
    shared: bool = False


ANYWHERE = Place()
"""The place of every pair where there is one lane."""


def first_place(sa: "IkeSa") -> Place:
    """The place of a first pair: a lane by chance, so that peers with one pair each spread over the lanes."""
    lanes, spare = sa.ctx.config.lanes, sa.ctx.config.spare_lanes
    several = min(lanes + spare, _most(sa)) > 1
    return Place(lane=int.from_bytes(sa.ctx.random(4)) % lanes if lanes > 1 else 0, shared=several)


def _most(sa: "IkeSa") -> int:
    """How many pairs of one group the connection allows."""
    return MAX_GROUP if sa.config.lanes is None else min(MAX_GROUP, sa.config.lanes)


def place_of(child: "ChildSa") -> Place:
    """The place of a pair's successor: where the pair is (RFC 9611 section 3)."""
    place = child.terms.place
    return Place(place.lane, child.group, place.shared)


def members(sa: "IkeSa", group: int) -> list["ChildSa"]:
    """The pairs of a group that stay, one of each lineage, the oldest first."""
    return [child for child in sa.children.values() if child.group == group and child.state not in _LEAVING]


def free_lane(sa: "IkeSa", group: int) -> int | None:
    """A lane of ours that has no pair of the group, or None; also None where the group has gone or we have enough."""
    if len(sa.children) >= sa.ctx.config.max_children:
        return None
    served = {child.terms.place.lane for child in members(sa, group)}
    free = (lane for lane in range(sa.ctx.config.lanes) if lane not in served)
    enough = sa.config.lanes is not None and len(served) >= sa.config.lanes
    return next(free, None) if served and not enough else None


def granted_place(sa: "IkeSa", request: Message, name: str, local: Selectors, remote: Selectors) -> Place:
    """The place of a pair that the peer asks for, which has settled on that child and those selectors.

    Raises PeerError with TS_MAX_QUEUE when the group has enough of them (section 3).
    """
    if request.notify(NotifyType.SA_RESOURCE_INFO) is None:
        return Place(first_place(sa).lane)
    first = next(
        (
            child
            for child in sa.children.values()
            if child.name == name and child.state not in _LEAVING
            and (child.terms.local_ts, child.terms.remote_ts) == (local, remote)
        ),
        None,
    )  # fmt: skip
    if first is None:
        return first_place(sa)
    others = members(sa, first.group)
    if not first.terms.place.shared or len(others) >= _most(sa):
        raise PeerError("lanes-full", NotifyType.TS_MAX_QUEUE)
    used = Counter(child.terms.place.lane for child in others)
    lane = min(range(sa.ctx.config.lanes), key=lambda number: used[number])
    return Place(lane, first.group, shared=True)


def check_alike(sa: "IkeSa", place: Place, suite: EspSuite, local: Selectors, remote: Selectors) -> None:
    """A pair that joins a group differs from those there in nothing but keys (section 3). Raises PeerError."""
    for child in members(sa, place.group) if place.group is not None else ():
        terms = child.terms
        other = terms.suite
        if (suite.encryption, suite.integrity, suite.esn) != (other.encryption, other.integrity, other.esn):
            detail = f"a pair for a further lane must be {other.name} as its first one, not {suite.name}"
            raise PeerError("other-suite", NotifyType.NO_PROPOSAL_CHOSEN, detail=detail)
        if (local, remote) != (terms.local_ts, terms.remote_ts):
            detail = "a pair for a further lane has other selectors than its first one"
            raise PeerError("other-selectors", NotifyType.TS_UNACCEPTABLE, detail=detail)


def notify(place: Place) -> Notify:
    """SA_RESOURCE_INFO; a pair for one lane names it (section 5.1)."""
    return Notify(NotifyType.SA_RESOURCE_INFO, b"" if place.group is None else place.lane.to_bytes(4))
