"""A peer that is busy, and for how long we believe it (TEMPORARY_FAILURE, RFC 7296 section 2.25)."""

from rhp.ike.errors import Fault
from rhp.ike.tasks import delete
from rhp.ike.turn import Ending, Turn
from rhp.wire.iana import NotifyType

PATIENCE = 300.0
"""After so many seconds of nothing but TEMPORARY_FAILURE the two sides are taken to be out of step for good."""

ANEW = 180.0
"""Refusals that are so many seconds apart have nothing to do with each other."""

OUT_OF_STEP = Ending("peer-always-busy", Fault.PEER, "the peer has refused every change for minutes")


def is_forgetful(turn: Turn) -> bool:
    """Whether the peer no longer knows what our IKE_FOLLOWUP_KE belongs to: begin anew (RFC 9370 section 2.2.4)."""
    return turn.message.notify(NotifyType.STATE_NOT_FOUND) is not None


def is_busy(turn: Turn) -> bool:
    """Whether the peer could not take our CREATE_CHILD_SA request now.

    It is to be tried again after a while; where that has not helped for minutes, the IKE SA is closed.
    """
    sa, now = turn.sa, turn.now
    if turn.message.notify(NotifyType.TEMPORARY_FAILURE) is None:
        sa.busy = None
        return False
    turn.ctx.count("peer-busy")
    first, last = sa.busy or (now, now)
    sa.busy = (first if now - last < ANEW else now), now
    if now - sa.busy[0] >= PATIENCE:
        turn.follow.append(delete.deletion(sa, OUT_OF_STEP))
    return True
