"""When an SA is to be replaced, checked or ended. Here the deadlines are set; `upkeep` does what they ask for.

A soft lifetime is shortened by a random share, so that two peers with the same settings seldom rekey at the same moment
(RFC 7296 section 2.8). One timer serves the soft lifetime and then the hard one.
"""

from functools import partial
from typing import Protocol

from rhp.ike.child_sa import ChildSa
from rhp.ike.context import Context
from rhp.ike.ike_sa import IkeSa
from rhp.ike.turn import Turn


class Upkeep(Protocol):
    """What time brings to established SAs."""

    def ike_due(self, sa: IkeSa, now: float) -> None:
        """The soft or hard lifetime of an IKE SA is reached."""

    def child_due(self, child: ChildSa, now: float) -> None:
        """The soft or hard lifetime of a Child SA is reached."""

    def check_due(self, sa: IkeSa, now: float) -> None:
        """It may be time to ask the peer for a sign of life."""

    def keepalive_due(self, sa: IkeSa, now: float) -> None:
        """A NAT in front of us is about to forget us."""

    def turn_due(self, turn: Turn, now: float) -> None:
        """An exchange that the peer could not take is to be tried again."""


def begin_ike(sa: IkeSa, now: float) -> None:
    """An IKE SA is established, new or by a rekey."""
    ctx, config = sa.ctx, sa.config
    sa.expires_at = now + config.life_time if config.life_time > 0 else None
    sa.rekey_at = now + shortened(ctx, config.rekey_time, config.jitter) if config.rekey_time > 0 else None
    arm_ike(sa)
    if config.dpd_delay > 0:
        sa.dpd_timer = ctx.timers.start(now + config.dpd_delay, partial(ctx.upkeep.check_due, sa))
    if config.keepalive > 0 and sa.nat_local and sa.path.natt:
        sa.keepalive_timer = ctx.timers.start(now + config.keepalive, partial(ctx.upkeep.keepalive_due, sa))


def arm_ike(sa: IkeSa) -> None:
    """Wait for the next lifetime of an IKE SA; `rekey_at` None means that the soft one is done with."""
    sa.ctx.timers.cancel(sa.lifetime_timer)
    when = earliest(sa.rekey_at, sa.expires_at)
    sa.lifetime_timer = None if when is None else sa.ctx.timers.start(when, partial(sa.ctx.upkeep.ike_due, sa))


def begin_child(child: ChildSa, now: float) -> None:
    """A pair is installed."""
    config, ctx = child.terms.config, child.sa.ctx
    jitter = child.sa.config.jitter
    child.expires_at = now + config.life_time if config.life_time > 0 else None
    child.rekey_at = now + shortened(ctx, config.rekey_time, jitter) if config.rekey_time > 0 else None
    arm_child(child)


def arm_child(child: ChildSa) -> None:
    """Wait for the next lifetime of a pair."""
    ctx = child.sa.ctx
    ctx.timers.cancel(child.timer)
    when = earliest(child.rekey_at, child.expires_at)
    child.timer = None if when is None else ctx.timers.start(when, partial(ctx.upkeep.child_due, child))


def try_later(turn: Turn, now: float) -> None:
    """Begin an exchange after a while, because the peer was busy (TEMPORARY_FAILURE, RFC 7296 section 2.25)."""
    ctx = turn.ctx
    ctx.timers.start(now + retry_delay(turn.sa), partial(ctx.upkeep.turn_due, turn))


def retry_delay(sa: IkeSa) -> float:
    """Seconds until a rekey that the peer could not take now is tried again.

    The original initiator comes back first, so that two peers which refused each other do not meet again.
    """
    share = sa.ctx.uniform()
    return 1.0 + 2.0 * share if sa.is_initiator else 4.0 + 4.0 * share


def shortened(ctx: Context, seconds: float, jitter: float) -> float:
    """A soft lifetime less a random part of the share `jitter`."""
    return seconds * (1.0 - jitter * ctx.uniform())


def earliest(one: float | None, other: float | None) -> float | None:
    """The earlier of two deadlines that may not exist."""
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
