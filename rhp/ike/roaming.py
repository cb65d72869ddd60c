"""Which path an IKE SA takes: what we do when addresses come and go, when paths fall silent and when they come back.

With MOBIKE the initiator of the first IKE SA chooses. It keeps to a path that works; leaves it when its own address has
gone, or when a request stays unanswered on it and is answered on another one (`outbound` sends it over all of them);
and comes back to the preferred path once that has been tried and works. The responder changes its own address only
when that has gone, and tells which others it has. Without MOBIKE a NAT in between, or the belief in one, has the peer
follow our messages (RFC 7296 section 2.23).
"""

from collections.abc import Sequence
from functools import partial

from rhp.ike import conductor, lifecycle, lifetimes, moving, outbound, paths
from rhp.ike.context import Context
from rhp.ike.errors import Fault
from rhp.ike.ike_sa import IkeSa
from rhp.ike.mobility import leads
from rhp.ike.path import Endpoint, IpAddress, Path
from rhp.ike.states import HANDSHAKE_STATES, IkeState
from rhp.ike.tasks import dpd, mobike_addresses, mobike_update, path_trial
from rhp.ike.turn import Ending

AT_ONCE = 100
PER_SECOND = 1000
"""So many SAs look around in the same moment when addresses change, and so many in each second after that: a gateway
has a message for each."""

BUSY_WAIT = 1.0
"""Seconds until a path is tried, when something else was under way."""

SETTLING = 5.0
"""Seconds after a move in which ESP from where the peer was before is taken for late packets of the old path."""


def addresses_changed(ctx: Context, addresses: Sequence[IpAddress], now: float) -> None:
    """These are the addresses of this machine now; the routes to the peers may have changed as well."""
    routes_alone = ctx.addresses == tuple(addresses)
    ctx.addresses = tuple(addresses)
    # Routes concern only those who choose: a gateway that hears of many has thousands of SAs that need not know.
    concerned = [sa for sa in ctx.table.sas() if leads(sa) or not routes_alone]
    for number, sa in enumerate(concerned):
        if number < AT_ONCE:
            look_around(sa, now)
        else:
            ctx.timers.start(now + (number - AT_ONCE) / PER_SECOND, partial(look_around, sa))


def answered(sa: IkeSa, path: Path, was_update: bool, now: float) -> None:
    """A request that had gone over several paths was answered over this one."""
    mobility = sa.mobility
    if mobility is None or sa.state is not IkeState.ESTABLISHED:
        return
    if leads(sa):
        if not paths.same_ends(path, sa.path):
            moving.depart(sa, path, "path-silent", now, proven=_is_known(sa, path))
            _update(sa, "path-silent", now)
        elif was_update and not mobike_update.is_updating(sa):
            _update(sa, "path-silent", now)
    elif mobility.suspect is not None and sa.requests.outstanding:
        outbound.resend(sa, now, also=mobility.suspect)
    elif mobility.suspect is not None:
        sa.enqueue(path_trial.trial(sa, mobility.suspect, "nat-moved"))
        mobility.suspect = None
    conductor.pump(sa, now)


def heard_from(sa: IkeSa, path: Path, now: float) -> None:
    """Authentic ESP came over another path: a NAT moved, or it is late. With MOBIKE the path is tested first."""
    mobility = sa.mobility
    if mobility is None or sa.state is not IkeState.ESTABLISHED:
        return
    moved_lately = mobility.moved_at is not None and now - mobility.moved_at < SETTLING
    if moved_lately and path.remote == mobility.left:
        sa.ctx.count("late-on-old-path")
    elif sa.requests.outstanding:
        # Its answer may well be lost, for the old mapping has gone; a test follows it.
        mobility.suspect = path
        if mobility.resends.allow(now):
            outbound.resend(sa, now, also=path)
    elif not sa.queue:
        sa.enqueue(path_trial.trial(sa, path, "nat-moved"))
        conductor.pump(sa, now)


def update_predecessor(sa: IkeSa, reason: str, now: float) -> None:
    """A peer that has not got our answer to its rekey knows no other IKE SA yet: move or try that one as well."""
    old = sa.predecessor
    if leads(sa) and old is not None and not mobike_update.is_waiting(old) and not mobike_update.is_updating(old):
        old.enqueue(mobike_update.update(old, reason))
        conductor.pump(old, now)


def say_path(sa: IkeSa, now: float) -> None:
    """The SA renews one with another path: have the peer hear once more where we are.

    An update on the old one that was sent before we knew the new one has the peer take the new one along.
    """
    if sa.mobility is not None and leads(sa) and sa.state is IkeState.ESTABLISHED and sa.successor is None:
        _update(sa, "own-address", now)
        conductor.pump(sa, now)


def try_preferred(sa: IkeSa, now: float) -> None:
    """The path in use has been kept for long enough: does the preferred one work?"""
    mobility, known = sa.mobility, paths.candidates(sa)
    if mobility is None or sa.state is not IkeState.ESTABLISHED:
        return
    mobility.timer = None
    if sa.requests.outstanding or sa.queue:
        mobility.timer = sa.ctx.timers.start(now + BUSY_WAIT, partial(try_preferred, sa))
        return
    if known and not paths.same_ends(known[0], sa.path):
        sa.ctx.count("path-tried")
        sa.enqueue(path_trial.trial(sa, known[0], "path-preferred"))
        conductor.pump(sa, now)
    lifetimes.watch_paths(sa, now)


def look_around(sa: IkeSa, now: float) -> None:
    """Addresses have changed, or had when the SA came up: leave the path if it begins where we are no longer."""
    if sa.state in HANDSHAKE_STATES and sa.is_initiator and paths.is_stranded(sa):
        # No answer can come any more. Who wants the SA begins it again from where we are now.
        lifecycle.close(sa, Ending("own-address-gone", Fault.NETWORK, "the address that we called from has gone"), now)
    if sa.state is IkeState.DELETING and paths.is_stranded(sa):
        _say_it_from(paths.own_address(sa, sa.path.remote.ip), sa, now)
    if sa.state is not IkeState.ESTABLISHED or sa.successor is not None:
        return
    if sa.mobility is None:
        _slip_away(sa, now)
        return
    # What the peer refused may be welcome from another network.
    sa.mobility.refused = frozenset()
    if leads(sa):
        _choose(sa, now)
    else:
        _change_source(sa, now)
    if sa.mobility.told != paths.further_addresses(sa):
        sa.enqueue(mobike_addresses.tell(sa))
    lifetimes.watch_paths(sa, now)
    conductor.pump(sa, now)


def _choose(sa: IkeSa, now: float) -> None:
    """As the side that chooses: leave a path whose beginning has gone."""
    if not paths.is_stranded(sa):
        return
    known = paths.others(sa)
    if not known:
        sa.ctx.count("no-address-left")
        return
    moving.depart(sa, known[0], "own-address", now, proven=_is_known(sa, known[0]))
    _update(sa, "own-address", now)


def _change_source(sa: IkeSa, now: float) -> None:
    """As the other side: use another address of ours when there is no choice, and tell the peer (section 3.5)."""
    ip = paths.own_address(sa, sa.path.remote.ip) if paths.is_stranded(sa) else None
    if ip is not None:
        path = Path(Endpoint(ip, sa.path.local.port), sa.path.remote, sa.path.natt)
        moving.depart(sa, path, "own-address", now, proven=True)
        if sa.mobility is not None:
            # Even if the list is the same as before: the peer learns from it where we are.
            sa.mobility.told = None


def _say_it_from(ip: IpAddress | None, sa: IkeSa, now: float) -> None:
    """A DELETE is out: it is authentic from whatever address it comes, and nothing else has to move any more."""
    if ip is not None:
        sa.path = Path(Endpoint(ip, sa.path.local.port), sa.path.remote, sa.path.natt)
        outbound.resend(sa, now)


def _slip_away(sa: IkeSa, now: float) -> None:
    """Without MOBIKE: a peer that sees a NAT before us follows the next message, whatever address it comes from."""
    ip = paths.own_address(sa, sa.path.remote.ip) if paths.is_stranded(sa) else None
    if ip is None or not sa.path.natt:
        return
    path = Path(Endpoint(ip, sa.path.local.port), sa.path.remote, sa.path.natt)
    moving.follow(sa, path, "own-address")
    if sa.requests.outstanding:
        outbound.resend(sa, now)
    else:
        sa.enqueue(dpd.check(sa))
        conductor.pump(sa, now)


def _update(sa: IkeSa, reason: str, now: float) -> None:
    """Have the peer follow as soon as nothing of ours is out; one update tells all that changed until then."""
    if not mobike_update.is_waiting(sa):
        sa.enqueue(mobike_update.update(sa, reason), first=True)
    update_predecessor(sa, reason, now)


def _is_known(sa: IkeSa, path: Path) -> bool:
    """Whether traffic may go there before the peer has answered a COOKIE2: its address is the one in use."""
    return path.remote.ip == sa.traffic[0].remote.ip
