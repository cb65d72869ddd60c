"""Our requests on their way: sent, sent again, and given up; and the clock of a handshake that does not move.

An unprotected error in answer to IKE_SA_INIT ends nothing by itself: anybody can send one. It is a hint that is
believed if nothing better comes within `HINT_GRACE` seconds (RFC 7296 section 2.21.1).
"""

from functools import partial

from rhp.ike import lifecycle, sealing
from rhp.ike.effects import Send
from rhp.ike.errors import Fault, PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import HANDSHAKE_STATES
from rhp.ike.turn import Ending, Turn
from rhp.wire.iana import ExchangeType

HINT_GRACE = 2.0
"""How long a better answer may take after an unprotected error, before that is believed (RFC 7296 section 2.21.1)."""


def transmit(turn: Turn) -> None:
    """Seal a request of ours, send it and wait for its response."""
    sa = turn.sa
    window = sa.requests
    if turn.exchange == ExchangeType.IKE_SA_INIT:
        datagram = sealing.plain(sa, turn.exchange, False, window.next_id, turn.out)
        sa.shake.message_i = datagram
    else:
        datagram = sealing.seal(sa, turn.exchange, False, window.next_id, turn.out)
    wait = window.open(datagram, turn.policy or sa.config.retransmit)
    sa.ctx.do(Send(datagram, sa.path))
    window.timer = sa.ctx.timers.start(turn.now + wait, partial(_retransmit, sa))


def _retransmit(sa: IkeSa, now: float) -> None:
    window = sa.requests
    wait = window.again()
    if wait is None or window.datagram is None:
        give_up(sa, "peer-unresponsive" if sa.established_at is not None else "no-answer", now)
        return
    sa.ctx.count("retransmitted")
    sa.ctx.do(Send(window.datagram, sa.path))
    window.timer = sa.ctx.timers.start(now + wait, partial(_retransmit, sa))


def close_window(sa: IkeSa, *, advance: bool = True) -> None:
    """The response is there; `advance` false keeps the Message ID for the same exchange anew."""
    sa.ctx.timers.cancel(sa.requests.timer)
    sa.requests.timer = None
    sa.requests.close(advance=advance)


def take_hint(sa: IkeSa, error: PeerError, now: float) -> None:
    """An unprotected error during IKE_SA_INIT: it counts only if nothing better comes soon."""
    shake = sa.shake
    sa.ctx.count("unprotected-error")
    if shake.hint is None:
        sa.ctx.timers.cancel(sa.lifetime_timer)
        sa.lifetime_timer = sa.ctx.timers.start(now + HINT_GRACE, partial(give_up, sa, "no-answer"))
    shake.hint = error


def give_up(sa: IkeSa, reason: str, now: float) -> None:
    """Nothing (more) came from the peer in time."""
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
