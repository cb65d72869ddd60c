"""How an IKE SA becomes established, is replaced, and ends. Every way out leads through `close`."""

from functools import partial

from rhp.ike import child_sa, lifetimes
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
    sa.ctx.count("ike-established")
    sa.ctx.emit(IkeEstablished(sa.id, sa.connection_name, sa.role, sa.peer, sa.path, sa.agreed.name))


def succeed(old: IkeSa, new: IkeSa, now: float) -> None:
    """`new` takes over the connection and the children of `old`, which waits for its DELETE (RFC 7296 section 2.8)."""
    new.origin, new.connection, new.peer_is_rhp = old.origin, old.connection, old.peer_is_rhp
    new.local, new.peer = old.local, old.peer
    new.path, new.encapsulate = old.path, old.encapsulate
    new.nat_local, new.nat_remote = old.nat_local, old.nat_remote
    new.established_at = now
    # Shared on purpose: a DELETE of a Child SA that the peer still sent on the old IKE SA finds it.
    new.children = old.children
    for child in new.children.values():
        child.sa = new
    new.queue, old.queue = old.queue, None
    for turn in new.queue or ():
        turn.sa = new
    old.successor = new
    old.become(IkeState.REKEYED)
    cancel_timers(old)
    old.lifetime_timer = old.ctx.timers.start(now + REAP_TIME, partial(_reap, old))
    old.ctx.table.forget_peer(old)
    new.ctx.table.add(new)
    new.ctx.table.remember_peer(new)
    new.become(IkeState.ESTABLISHED)
    lifetimes.begin_ike(new, now)
    new.ctx.count("ike-rekeyed")
    new.ctx.emit(IkeRekeyed(new.id, new.connection_name, new.role, new.agreed.name))


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
    if sa.successor is None:
        if sa.established_at is not None:
            _close_established(sa, ending)
        elif sa.state in HANDSHAKE_STATES:
            report_failure(sa, ending)
    sa.ctx.table.remove(sa)
    sa.become(IkeState.CLOSED)
    sa.ctx.count(f"ike-closed-{ending.reason}")
    _wipe(sa)


def bury(sa: IkeSa, ending: Ending, now: float) -> None:
    """Close an IKE SA whose end was an answer of ours, and keep that answer for the peer that did not get it."""
    answers, spi, table = sa.responses, sa.own_spi, sa.ctx.table
    close(sa, ending, now)
    if answers.answer is not None:
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


def _close_established(sa: IkeSa, ending: Ending) -> None:
    for child in tuple(sa.children.values()):
        child_sa.remove(child, ending.reason, ending.fault)
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


def _reap(sa: IkeSa, now: float) -> None:
    close(sa, Ending("rekeyed", Fault.NONE), now)


def _decay(table: SaTable, spi: bytes, now: float) -> None:
    table.tombstones.pop(spi, None)
