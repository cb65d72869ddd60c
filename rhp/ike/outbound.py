"""Our requests on their way: sent, sent again, and given up; and the clock of a handshake that does not move.

An unprotected error in answer to IKE_SA_INIT ends nothing by itself: anybody can send one. It is a hint that is
believed if nothing better comes within `HINT_GRACE` seconds (RFC 7296 section 2.21.1).

A long request that stays without an answer is cut into smaller pieces: perhaps the path does not carry the larger ones
(RFC 7383 section 2.5.2).
"""

from functools import partial

from rhp.ike import lifecycle, paths, sealing
from rhp.ike.errors import Fault, PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.path import Path
from rhp.ike.states import FIRST_EXCHANGES, HANDSHAKE_STATES, IkeState
from rhp.ike.turn import Ending, Turn
from rhp.wire.iana import ExchangeType

HINT_GRACE = 2.0
"""How long a better answer may take after an unprotected error, before that is believed (RFC 7296 section 2.21.1)."""

RECUT_FROM = 3
"""The transmission of a request from which on its datagrams are of the smallest size."""

SILENT_AFTER = 2
"""Transmissions without an answer before other paths to the peer are tried as well (RFC 4555 section 3.10)."""

OFFLINE_WAIT = 5.0
"""Seconds between two looks for an address to send from; a new one is told at once anyway."""


def transmit(turn: Turn) -> None:
    """Seal a request of ours, send it and wait for its response."""
    sa = turn.sa
    window = sa.requests
    if turn.exchange in FIRST_EXCHANGES:
        datagrams: tuple[bytes, ...] = (sealing.plain(sa, turn.exchange, False, window.next_id, turn.out),)
        sa.shake.message_i = datagrams[0]
    else:
        letter = sealing.write(sa, turn.exchange, False, window.next_id, turn.out)
        datagrams = letter.sealed(sealing.limit(sa))
        for task in turn.tasks:
            task.sealed(turn, letter)
    wait = window.open(datagrams, turn.policy or sa.config.retransmit)
    sa.last_sent = turn.now
    sa.ctx.send(datagrams, turn.over or sa.newest.path)
    window.timer = sa.ctx.timers.start(turn.now + wait, partial(_retransmit, sa))


def resend(sa: IkeSa, now: float, also: Path | None = None) -> None:
    """The path changed: what is out goes over the new one at once, and over `also`, with all its tries before it.

    After many changes of path without an answer it goes with the tries that are left, and then the peer is given up.
    """
    window = sa.requests
    if not window.outstanding or sa.turn is None:
        return
    sa.turn.over = None
    sa.last_sent = now
    wait = window.restart(sa.turn.policy or sa.config.retransmit)
    for path in (sa.newest.path, also):
        if path is not None:
            sa.ctx.send(window.datagrams, path)
    if wait is None:
        sa.ctx.count("resent-too-often")
        return
    sa.ctx.timers.cancel(window.timer)
    window.timer = sa.ctx.timers.start(now + wait, partial(_retransmit, sa))


def _retransmit(sa: IkeSa, now: float) -> None:
    window, turn, newest = sa.requests, sa.turn, sa.newest
    if _waits_for_an_address(newest, now):
        window.timer = sa.ctx.timers.start(now + OFFLINE_WAIT, partial(_retransmit, sa))
        return
    wait = window.again()
    if wait is None and turn is not None and turn.over is not None:
        # The path that was tried out is silent; the request itself has to be answered nevertheless.
        turn.policy = None
        window.restarts = 0
        resend(sa, now)
        return
    if wait is None or not window.outstanding:
        give_up(sa, "peer-unresponsive" if sa.established_at is not None else "no-answer", now)
        return
    sa.ctx.count("retransmitted")
    if window.sent >= RECUT_FROM:
        _recut(sa)
    sa.last_sent = now
    over = turn.over if turn is not None else None
    sa.ctx.send(window.datagrams, over or newest.path)
    if over is None and window.sent > SILENT_AFTER:
        for path in paths.others(newest):
            window.spread = True
            sa.ctx.send(window.datagrams, path)
    window.timer = sa.ctx.timers.start(now + wait, partial(_retransmit, sa))


def _waits_for_an_address(sa: IkeSa, now: float) -> bool:
    """While this machine has no address to send from, a peer is not to be blamed for its silence.

    Only MOBIKE can take the SA elsewhere later, and its hard lifetime holds all the same. One that is being deleted
    goes nowhere any more.
    """
    if sa.state is not IkeState.ESTABLISHED or sa.mobility is None:
        return False
    stranded = paths.is_stranded(sa) and not paths.others(sa)
    return stranded and (sa.expires_at is None or now < sa.expires_at)


def _recut(sa: IkeSa) -> None:
    """Make the request that is out fit any path, if it does not and the peer takes fragments."""
    window, turn, limit = sa.requests, sa.turn, sealing.smallest_limit(sa)
    if not sa.fragment_size or turn is None or turn.exchange in FIRST_EXCHANGES:
        return
    if max(map(len, window.datagrams)) > limit:
        sa.ctx.count("fragments-recut")
        sa.fragment_size = min(sa.fragment_size, sealing.smallest_size(sa))
        letter = sealing.write(sa, turn.exchange, False, window.next_id, turn.out)
        window.datagrams = letter.recut(limit, window.datagrams)


def close_window(sa: IkeSa, *, advance: bool = True) -> None:
    """The response is there; `advance` false keeps the Message ID for the same exchange anew."""
    sa.ctx.timers.cancel(sa.requests.timer)
    sa.requests.timer = None
    sa.requests.close(advance=advance)


def take_hint(sa: IkeSa, error: PeerError, now: float) -> None:
    """An unprotected error during IKE_SA_INIT: it counts only if nothing better comes soon."""
    shake = sa.shake
    sa.ctx.count("unprotected-error")
    sa.ctx.count(error.reason)
    if shake.hint is None:
        sa.ctx.timers.cancel(sa.lifetime_timer)
        sa.lifetime_timer = sa.ctx.timers.start(now + HINT_GRACE, partial(give_up, sa, "no-answer"))
    shake.hint = error


def give_up(sa: IkeSa, reason: str, now: float) -> None:
    """Nothing (more) came from the peer in time; of a ticket that came to nothing only the ticket is given up.

    If the peer has replaced the IKE SA itself meanwhile, that one has to show whether it lives.
    """
    if sa.turn is not None and sa.turn.exchange == ExchangeType.IKE_SESSION_RESUME:
        sa.ctx.upkeep.resumption_in_vain(sa, now)
        return
    lifecycle.adopt_rival(sa, now)
    hint = sa.handshake.hint if sa.handshake is not None else None
    if hint is not None:
        lifecycle.close(sa, Ending(hint.reason, Fault.PEER, hint.detail), now)
    else:
        lifecycle.close(sa, sa.ending or Ending(reason, Fault.NETWORK), now)


def watch_guard(sa: IkeSa, now: float) -> None:
    """A handshake waits for our own guard: not for ever. A responder's has its time already."""
    if sa.lifetime_timer is None and sa.state in HANDSHAKE_STATES:
        limit = now + sa.ctx.config.half_open_timeout
        sa.lifetime_timer = sa.ctx.timers.start(limit, partial(_guard_silent, sa))


def stop_clock(sa: IkeSa) -> None:
    """A handshake of ours goes on: neither an early hint nor a slow guard ends it any more."""
    if sa.handshake is not None and sa.established_at is None:
        sa.ctx.timers.cancel(sa.lifetime_timer)
        sa.lifetime_timer = None
        sa.handshake.hint = None


def _guard_silent(sa: IkeSa, now: float) -> None:
    lifecycle.close(sa, Ending("guard-silent", Fault.LOCAL, "our own guard did not answer"), now)
