"""The path of an IKE SA changes, and the traffic of its children follows.

Who decides that stands in `roaming` and in the tasks of MOBIKE. Here are the steps: IKE goes over the new path at once,
a request that is out included (RFC 4555 section 3.5), and ESP as soon as the path is proven.
"""

from rhp.ike import child_sa, lifetimes, outbound
from rhp.ike.effects import Carrier
from rhp.ike.events import PathChanged
from rhp.ike.ike_sa import IkeSa
from rhp.ike.mobility import FIRST_HOLD, LONGEST_HOLD
from rhp.ike.path import Path

Traffic = tuple[Path, Carrier]


def follow(sa: IkeSa, path: Path, reason: str) -> None:
    """The peer is elsewhere now; its children follow at once. For SAs without MOBIKE this is all there is."""
    before, sa.path = sa.traffic, path
    _settle(sa, before, reason)


def depart(sa: IkeSa, path: Path, reason: str, now: float, *, proven: bool) -> None:
    """IKE takes another path, and the traffic too if that is `proven`; else it stays where it was until `arrive`."""
    mobility, before = sa.mobility, sa.traffic
    if mobility is None:
        raise RuntimeError("only MOBIKE moves an SA")
    mobility.left = sa.path.remote
    sa.path = path
    mobility.serial += 1
    mobility.held = None if proven else before
    if reason == "path-silent":
        # What fails again soon after it was chosen is left in peace for longer.
        early = mobility.moved_at is not None and now - mobility.moved_at < 2 * LONGEST_HOLD
        mobility.hold = min(2 * mobility.hold, LONGEST_HOLD) if early else FIRST_HOLD
    mobility.moved_at = now
    _settle(sa, before, reason)
    lifetimes.watch_paths(sa, now)
    if mobility.resends.allow(now):
        outbound.resend(sa, now)


def arrive(sa: IkeSa, before: Traffic, reason: str, now: float) -> None:
    """The path is proven: the traffic, which went as in `before`, takes it, in the way that the NATs on it allow."""
    if sa.mobility is not None:
        sa.mobility.held = None
    _settle(sa, before, reason)
    lifetimes.follow_nat(sa, now)


def _settle(sa: IkeSa, before: Traffic, reason: str) -> None:
    """Take the children along where something changed for them, and say so."""
    after = sa.traffic
    if after == before:
        return
    for child in sa.children.values():
        child_sa.migrate(child)
    if sa.renews is not None and sa.renews.successor is sa:
        _take_along(sa, sa.renews)
    if after[0] != before[0]:
        sa.ctx.count("path-changed")
        sa.ctx.emit(PathChanged(sa.id, sa.connection_name, before[0], after[0], reason))


def _take_along(sa: IkeSa, old: IkeSa) -> None:
    """Pairs that wait for their successors on an IKE SA which has been reauthenticated."""
    old.path, old.encapsulate = sa.path, sa.encapsulate
    if old.mobility is not None and sa.mobility is not None:
        old.mobility.held = sa.mobility.held
    for child in old.children.values():
        if child.sa is old:
            child_sa.migrate(child)
