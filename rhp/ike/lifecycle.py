"""How an IKE SA becomes established, is replaced, and ends. Every way out leads through `close`."""

from functools import partial

from rhp.ike import child_sa, leases, lifetimes, linked, paths, renewal, resumption
from rhp.ike.errors import Fault
from rhp.ike.events import HandshakeRefused, IkeClosed, IkeEstablished, IkeRekeyed, InitiationFailed
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import HANDSHAKE_STATES, IkeState
from rhp.ike.table import SaTable, Tombstone
from rhp.ike.turn import Ending

TOMBSTONE_TIME = 32.0
"""As long as a peer with the usual back-off repeats the request whose answer was lost."""

REAP_TIME = 60.0
"""How long a replaced IKE SA waits for the DELETE of whoever replaced it."""


def establish(sa: IkeSa, now: float) -> None:
    """Both sides are authenticated. `sa.peer` and `sa.suite` are known by now."""
    if sa.peer is None:
        raise RuntimeError("an IKE SA needs an authenticated peer")
    sa.become(IkeState.ESTABLISHED)
    sa.established_at = now
    sa.ctx.table.forget_first_message(sa)
    sa.ctx.table.remember_peer(sa)
    lifetimes.begin_ike(sa, now)
    lifetimes.begin_authentication(sa, now)
    if paths.is_stranded(sa):
        # A handshake moves nowhere; and until its exchange is over it is not known whether there will be MOBIKE.
        sa.ctx.timers.start(now, partial(sa.ctx.upkeep.came_up_elsewhere, sa))
    sa.ctx.count("ike-established")
    resumed = sa.handshake is not None and sa.handshake.resumed is not None
    if resumed:
        sa.ctx.count("ike-resumed")
        lifetimes.freshen(sa, now)
    old = renewal.take_over(sa, now)
    if old is not None:
        resumption.retire(old)
        cancel_timers(old)
        wait = renewal.GRACE if sa.is_initiator else REAP_TIME
        old.lifetime_timer = sa.ctx.timers.start(now + wait, partial(sa.ctx.upkeep.renewed_due, old))
        if not paths.same_ends(old.path, sa.path):
            sa.ctx.timers.start(now, partial(sa.ctx.upkeep.renewed_elsewhere, sa))
        return
    sa.ctx.emit(IkeEstablished(sa.id, sa.connection_name, sa.role, sa.peer, sa.path, sa.agreed.name, resumed))


def succeed(old: IkeSa, new: IkeSa, now: float) -> None:
    """`new` takes over the connection and the children of `old`, which waits for its DELETE (RFC 7296 section 2.8)."""
    inherit(old, new, now)
    new.path, new.successor, old.rival = old.path, None, None
    new.leases, old.leases = old.leases, ()
    new.ticket_id, old.ticket_id = old.ticket_id, b""
    new.reauth_at, new.authentic_until = old.reauth_at, old.authentic_until
    new.authenticated_at = old.authenticated_at
    new.renewal, new.renews, new.extra = old.renewal, old.renews, old.extra
    for child in new.children.values():
        child.sa = new
    new.queue, old.queue = [*(old.queue or ()), *(new.queue or ())] or None, None
    for turn in new.queue or ():
        turn.sa = new
    # What tries out paths is the successor's from now on.
    cancel_timers(old)
    new.mobility, old.mobility, new.predecessor = old.mobility, None, old
    old.ctx.table.forget_peer(old)
    new.ctx.table.add(new)
    new.ctx.table.remember_peer(new)
    step_aside(old, new, now)
    lifetimes.begin_ike(new, now)
    new.ctx.upkeep.succeeded(new)
    new.ctx.count("ike-rekeyed")
    new.ctx.emit(IkeRekeyed(new.id, new.connection_name, new.role, new.agreed.name))


def inherit(old: IkeSa, new: IkeSa, now: float) -> None:
    """`new` may be used in place of `old`, which speaks for both until it is known which one stays."""
    if new.state is IkeState.ESTABLISHED:
        return
    new.origin, new.connection, new.maker = old.origin, old.connection, old.maker
    new.local, new.peer = old.local, old.peer
    new.assigned, new.leases, new.redirectable = old.assigned, old.leases, old.redirectable
    new.renews, new.extra, new.ppk = old.renews, old.extra, old.ppk
    new.path, new.encapsulate = old.path, old.encapsulate
    new.nat_detection, new.nat_local, new.nat_remote = old.nat_detection, old.nat_local, old.nat_remote
    new.fragment_size = old.fragment_size
    new.established_at, new.last_sent = now, old.last_sent
    # Shared on purpose: a DELETE of a Child SA finds it, on whichever of the IKE SAs the peer sends it.
    new.children = old.children
    new.successor = old
    new.ctx.table.add_spare(new)
    new.become(IkeState.ESTABLISHED)


def adopt_rival(sa: IkeSa, now: float) -> bool:
    """Our own try to replace an IKE SA has come to nothing: what the peer made of it stays. Whether there is such."""
    rival, sa.rival = sa.rival, None
    if rival is None:
        return False
    if sa.state is IkeState.ESTABLISHED:
        succeed(sa, rival.sa, now)
    else:
        # A renewal has taken its place meanwhile.
        step_aside(rival.sa, sa.newest, now)
    return True


def step_aside(sa: IkeSa, other: IkeSa, now: float) -> None:
    """`other` speaks for both from now on; this one only waits for its DELETE."""
    sa.successor, sa.leases = other, ()
    sa.become(IkeState.REKEYED)
    linked.forget(sa)
    cancel_timers(sa)
    sa.lifetime_timer = sa.ctx.timers.start(now + REAP_TIME, partial(_reap, sa))


def await_initiator(sa: IkeSa, now: float) -> None:
    """As responder: the initiator has its time again to go on with the handshake."""
    sa.ctx.timers.cancel(sa.lifetime_timer)
    sa.lifetime_timer = sa.ctx.timers.start(now + sa.ctx.config.half_open_timeout, partial(_give_up_half_open, sa))


def end_handshake(sa: IkeSa) -> None:
    """IKE_AUTH is over on our side: what only the handshake needed goes."""
    if sa.established_at is not None and sa.handshake is not None:
        sa.handshake.wipe()
        sa.handshake = None


def close(sa: IkeSa, ending: Ending, now: float) -> None:
    """End an IKE SA at once: children, timers, waiting work and keys go, and the events say why."""
    if sa.state is IkeState.CLOSED:
        return
    _forget_work(sa)
    _part_from_rival(sa, ending, now)
    if sa.successor is None:
        if sa.established_at is not None:
            if sa.renews is not None:
                close(sa.renews, ending, now)
            _close_established(sa, ending, now)
        elif sa.state in HANDSHAKE_STATES:
            report_failure(sa, ending)
        if sa.established_at is None:
            renewal.failed(sa, now)
    else:
        renewal.gone(sa, ending, now)
        if sa.successor.predecessor is sa:
            sa.successor.predecessor = None
    sa.ctx.table.remove(sa)
    sa.ctx.fragments.forget(sa)
    linked.forget(sa)
    sa.become(IkeState.CLOSED)
    sa.ctx.count(f"ike-closed-{ending.reason}")
    _wipe(sa)


def bury(sa: IkeSa, ending: Ending, now: float) -> None:
    """Close an IKE SA whose end was an answer of ours, and keep that answer for the peer that did not get it."""
    answers, spi, table = sa.responses, sa.own_spi, sa.ctx.table
    close(sa, ending, now)
    if answers.answer:
        # Strangers make these too, so no more of them than of half-open SAs; the oldest is the least missed.
        while table.tombstones and len(table.tombstones) >= sa.ctx.config.half_open_limit:
            del table.tombstones[next(iter(table.tombstones))]
        table.tombstones[spi] = Tombstone(answers)
        sa.ctx.timers.start(now + TOMBSTONE_TIME, partial(_decay, table, spi))


def report_failure(sa: IkeSa, ending: Ending) -> None:
    """Say that a handshake did not come to its end."""
    if sa.is_initiator:
        sa.ctx.emit(InitiationFailed(sa.id, sa.connection_name, ending.reason, ending.detail, ending.fault))
    else:
        sa.ctx.emit(HandshakeRefused(sa.id, sa.connection_name, sa.path, ending.reason, ending.detail))


def cancel_timers(sa: IkeSa) -> None:
    """Stop what time would bring; the retransmission of a request that is out goes on."""
    for timer in (sa.lifetime_timer, sa.dpd_timer, sa.keepalive_timer):
        sa.ctx.timers.cancel(timer)
    sa.lifetime_timer = sa.dpd_timer = sa.keepalive_timer = None
    if sa.mobility is not None:
        sa.ctx.timers.cancel(sa.mobility.timer)
        sa.mobility.timer = None


def _part_from_rival(sa: IkeSa, ending: Ending, now: float) -> None:
    """Nobody waits any more for the end of a collision of rekeys."""
    if sa.successor is not None and sa.successor.rival is not None and sa.successor.rival.sa is sa:
        sa.successor.rival = None
    rival, sa.rival = sa.rival, None
    if rival is not None:
        close(rival.sa, ending, now)


def _close_established(sa: IkeSa, ending: Ending, now: float) -> None:
    resumption.settle(sa, ending)
    for child in tuple(sa.children.values()):
        child_sa.remove(child, ending.reason, ending.fault, now)
    leases.give_back(sa)
    if sa.peer is not None:
        sa.ctx.emit(IkeClosed(sa.id, sa.connection_name, sa.peer, ending.reason, ending.fault))


def _forget_work(sa: IkeSa) -> None:
    cancel_timers(sa)
    sa.ctx.timers.cancel(sa.requests.timer)
    sa.requests.close()
    sa.turn = sa.queue = None
    if sa.asking is not None:
        _, work = sa.ctx.pending.pop(sa.asking)
        sa.asking = None
        work.close()


def _wipe(sa: IkeSa) -> None:
    if sa.sk_d is not None:
        sa.sk_d.wipe()
    if sa.handshake is not None:
        sa.handshake.wipe()
    sa.handshake = sa.sk_d = sa.cipher_in = sa.cipher_out = None


def _give_up_half_open(sa: IkeSa, now: float) -> None:
    close(sa, Ending("half-open-timeout", Fault.NETWORK, "the peer did not go on"), now)


def _reap(sa: IkeSa, now: float) -> None:
    close(sa, Ending("rekeyed", Fault.NONE), now)


def _decay(table: SaTable, spi: bytes, now: float) -> None:
    table.tombstones.pop(spi, None)
