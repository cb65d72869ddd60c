"""When an SA is to be replaced, checked or ended. Here the deadlines are set; `upkeep` does what they ask for.

A soft lifetime is shortened by a random share, so that two peers with the same settings seldom rekey at the same moment
(RFC 7296 section 2.8). One timer serves the soft lifetime and then the hard one. Lifetimes in octets and packets are
counted by the data plane, which stops at the hard one by itself and tells when either is reached.
"""

from functools import partial
from typing import Protocol

from rhp.ike import paths
from rhp.ike.child_sa import ChildSa
from rhp.ike.config import ChildConfig, ConnectionConfig
from rhp.ike.context import Context
from rhp.ike.effects import Limits
from rhp.ike.ike_sa import IkeSa
from rhp.ike.mobility import leads
from rhp.ike.states import ChildState
from rhp.ike.turn import Turn

REAUTH_OVER = 0.1
"""The share of a reauthentication time that is left for trying again, before the IKE SA ends."""

EARLIEST_REAUTH = 10.0
"""Seconds: no peer has us prove ourselves more often, however short it says that its belief is."""

USED_UP_WAIT = 30.0
"""Seconds in which a pair has to be replaced that may carry no more; then it is deleted."""

DELETE_WAIT = 60.0
"""Seconds that a peer has to delete a pair which it has replaced."""

REFUSED_PAUSE = 60.0
"""Seconds until a rekey is tried again that the peer has refused for another reason than being busy."""

PEER_FIRST = 5.0
"""Seconds that a peer has to make pairs for its own lanes, which may do for ours."""

FRESH_KEYS = 300.0
"""Seconds within which a resumed IKE SA is rekeyed, so that a stolen ticket key opens no more than those."""

PATH_CHECK = 10.0
"""Seconds of silence before the path is tested, where there is another one."""


class Upkeep(Protocol):
    """What time brings to established SAs."""

    def ike_due(self, sa: IkeSa, now: float) -> None:
        """The soft or hard lifetime of an IKE SA is reached."""

    def renewed_due(self, sa: IkeSa, now: float) -> None:
        """An IKE SA whose place another one has taken has waited long enough."""

    def child_due(self, child: ChildSa, now: float) -> None:
        """The soft or hard lifetime of a Child SA is reached."""

    def check_due(self, sa: IkeSa, now: float) -> None:
        """It may be time to ask the peer for a sign of life."""

    def keepalive_due(self, sa: IkeSa, now: float) -> None:
        """A NAT in front of us is about to forget us."""

    def path_due(self, sa: IkeSa, now: float) -> None:
        """A path that is preferred to the one in use may work again."""

    def renewed_elsewhere(self, sa: IkeSa, now: float) -> None:
        """The IKE SA renews one that had another path."""

    def came_up_elsewhere(self, sa: IkeSa, now: float) -> None:
        """An IKE SA was established over an address of ours that had gone by then."""

    def lanes_due(self, child: ChildSa, now: float) -> None:
        """A lane of ours may lack a pair of its own."""

    def succeeded(self, new: IkeSa) -> None:
        """An IKE SA has taken another one's place."""

    def leave_due(self, sa: IkeSa, now: float) -> None:
        """A client that was sent to another gateway has had its time to leave."""

    def resumption_in_vain(self, sa: IkeSa, now: float) -> None:
        """Nobody took the ticket that an IKE SA was to begin with."""

    def turn_due(self, turn: Turn, now: float) -> None:
        """An exchange that the peer could not take is to be tried again."""

    def link_expired(self, sa: IkeSa, now: float) -> None:
        """The peer has not gone on with a change that it began; what waited for it can begin."""


def begin_ike(sa: IkeSa, now: float) -> None:
    """An IKE SA is established, new or by a rekey."""
    ctx, config = sa.ctx, sa.config
    sa.expires_at = now + config.life_time if config.life_time > 0 else None
    sa.rekey_at = now + shortened(ctx, config.rekey_time, config.jitter) if config.rekey_time > 0 else None
    arm_ike(sa)
    if config.dpd_delay > 0:
        sa.dpd_timer = ctx.timers.start(now + check_delay(sa), partial(ctx.upkeep.check_due, sa))
    follow_nat(sa, now)
    watch_paths(sa, now)


def check_delay(sa: IkeSa) -> float:
    """Seconds of silence before the peer is asked for a sign of life: fewer where it might be reached elsewhere."""
    delay = sa.config.dpd_delay
    return min(delay, PATH_CHECK) if paths.others(sa) else delay


def follow_nat(sa: IkeSa, now: float) -> None:
    """Keep the mapping of a NAT in front of us alive, as long as there is one."""
    ctx, wanted = sa.ctx, sa.config.keepalive > 0 and sa.nat_local and sa.path.natt
    if wanted and sa.keepalive_timer is None:
        due = now + sa.config.keepalive
        sa.keepalive_timer = ctx.timers.start(due, partial(ctx.upkeep.keepalive_due, sa))
    elif not wanted:
        ctx.timers.cancel(sa.keepalive_timer)
        sa.keepalive_timer = None


def watch_paths(sa: IkeSa, now: float) -> None:
    """While another path is preferred to the one in use, come back to it; see to it that silence is noticed in time."""
    ctx, mobility = sa.ctx, sa.mobility
    if mobility is None or not leads(sa):
        return
    ctx.timers.cancel(mobility.timer)
    mobility.timer = None
    known = paths.candidates(sa)
    if known and not paths.same_ends(known[0], sa.path):
        mobility.timer = ctx.timers.start(now + mobility.hold, partial(ctx.upkeep.path_due, sa))
    if sa.dpd_timer is not None and sa.dpd_timer.when > now + check_delay(sa):
        ctx.timers.cancel(sa.dpd_timer)
        sa.dpd_timer = ctx.timers.start(now + check_delay(sa), partial(ctx.upkeep.check_due, sa))


def changed(sa: IkeSa, old: ConnectionConfig, now: float, spread: float) -> None:
    """The connection of an established IKE SA has other times than `old`: count them from when each began.

    What would be over by now, or nearly so, is over within `spread` seconds, at random.
    """
    ctx, new = sa.ctx, sa.config
    soon = now + spread * (1.0 - ctx.uniform())
    if (old.rekey_time, old.life_time) != (new.rekey_time, new.life_time):
        began = sa.established_at if sa.established_at is not None else now
        sa.rekey_at = sa.expires_at = None
        if new.rekey_time > 0:
            sa.rekey_at = max(soon, began + shortened(ctx, new.rekey_time, new.jitter))
        if new.life_time > 0:
            sa.expires_at = max(soon + new.life_time - new.rekey_time, began + new.life_time)
    if old.reauth_time != new.reauth_time:
        # What the peer itself has asked for stays, for it is not known apart.
        sa.authentic_until = None
        if new.reauth_time > 0:
            over = new.reauth_time * REAUTH_OVER
            sa.authentic_until = max(soon + over, sa.authenticated_at + new.reauth_time + over)
            if sa.origin[0] == "initiator":
                sa.reauth_at = max(soon, sa.authenticated_at + shortened(ctx, new.reauth_time, new.jitter))
    arm_ike(sa)
    if old.dpd_delay != new.dpd_delay:
        ctx.timers.cancel(sa.dpd_timer)
        sa.dpd_timer = None
        if new.dpd_delay > 0:
            sa.dpd_timer = ctx.timers.start(now + check_delay(sa), partial(ctx.upkeep.check_due, sa))
    if old.keepalive != new.keepalive:
        follow_nat(sa, now)


def child_changed(child: ChildSa, now: float, spread: float) -> None:
    """The configuration of a live pair has other times: as `changed` does for an IKE SA."""
    ctx, config = child.sa.ctx, child.terms.config
    soon = now + spread * (1.0 - ctx.uniform())
    child.rekey_at = child.expires_at = None
    if config.rekey_time > 0 and child.state is ChildState.INSTALLED:
        child.rekey_at = max(soon, child.created_at + shortened(ctx, config.rekey_time, child.sa.config.jitter))
    if config.life_time > 0:
        child.expires_at = max(soon + config.life_time - config.rekey_time, child.created_at + config.life_time)
    arm_child(child)


def freshen(sa: IkeSa, now: float) -> None:
    """A resumed IKE SA has the old one's secrecy: let a key exchange of its own follow, not all clients at once."""
    soon = now + shortened(sa.ctx, FRESH_KEYS, 0.5)
    if sa.is_initiator and sa.rekey_at is not None and sa.rekey_at > soon:
        sa.rekey_at = soon
        arm_ike(sa)


def begin_authentication(sa: IkeSa, now: float) -> None:
    """Both sides have proved themselves just now, or back then when a ticket stands for that: how long that holds.

    Rekeys do not make it longer.
    """
    resumed = sa.handshake.resumed if sa.handshake is not None else None
    sa.authenticated_at = since = now if resumed is None else resumed.authenticated
    seconds = sa.config.reauth_time
    if seconds > 0:
        sa.authentic_until = since + seconds * (1.0 + REAUTH_OVER)
        if sa.is_initiator:
            sa.reauth_at = max(now, since + shortened(sa.ctx, seconds, sa.config.jitter))
        arm_ike(sa)


def limit_authentication(sa: IkeSa, seconds: int, now: float) -> None:
    """The peer believes in us for so long (AUTH_LIFETIME, RFC 4478): renew the IKE SA before that is over."""
    early = min(max(seconds * REAUTH_OVER, 1.0), EARLIEST_REAUTH)
    limit = now + max(seconds - early, EARLIEST_REAUTH)
    if sa.renewal is None and (sa.reauth_at is None or limit < sa.reauth_at):
        sa.reauth_at = limit
        arm_ike(sa)


def arm_ike(sa: IkeSa) -> None:
    """Wait for the next lifetime of an IKE SA; `rekey_at` None means that the soft one is done with."""
    sa.ctx.timers.cancel(sa.lifetime_timer)
    when = earliest(earliest(sa.rekey_at, sa.expires_at), earliest(sa.reauth_at, sa.authentic_until))
    sa.lifetime_timer = None if when is None else sa.ctx.timers.start(when, partial(sa.ctx.upkeep.ike_due, sa))


def begin_child(child: ChildSa, now: float) -> None:
    """A pair is installed."""
    config, ctx = child.terms.config, child.sa.ctx
    jitter = child.sa.config.jitter
    child.expires_at = now + config.life_time if config.life_time > 0 else None
    child.rekey_at = now + shortened(ctx, config.rekey_time, jitter) if config.rekey_time > 0 else None
    arm_child(child)


def traffic_limits(ctx: Context, config: ChildConfig, jitter: float) -> Limits:
    """How much a new pair may carry."""
    return Limits(
        soft_octets=int(shortened(ctx, config.rekey_bytes, jitter)) if config.rekey_bytes else 0,
        hard_octets=config.life_bytes,
        soft_packets=int(shortened(ctx, config.rekey_packets, jitter)) if config.rekey_packets else 0,
        hard_packets=config.life_packets,
    )


def used_up(child: ChildSa, now: float) -> None:
    """A pair may carry no more: the time in which it has to be replaced begins."""
    limit = now + USED_UP_WAIT
    child.expires_at = limit if child.expires_at is None else min(limit, child.expires_at)
    arm_child(child)


def arm_child(child: ChildSa) -> None:
    """Wait for the next lifetime of a pair."""
    ctx = child.sa.ctx
    ctx.timers.cancel(child.timer)
    when = earliest(child.rekey_at, child.expires_at)
    child.timer = None if when is None else ctx.timers.start(when, partial(ctx.upkeep.child_due, child))


def await_delete(child: ChildSa, now: float) -> None:
    """A pair has been replaced, and the peer is the one that deletes it; if it does not, we do."""
    limit = now + DELETE_WAIT
    child.rekey_at = None
    child.expires_at = limit if child.expires_at is None else min(limit, child.expires_at)
    arm_child(child)


def serve_on(child: ChildSa) -> None:
    """A pair that was replaced is needed again: its hard lifetime is what it was."""
    seconds = child.terms.config.life_time
    child.expires_at = child.created_at + seconds if seconds > 0 else None
    arm_child(child)


def fill_lanes(child: ChildSa, now: float, *, began: bool) -> None:
    """See to it that each lane gets a pair (RFC 9611): at once, or after a peer that began had the time to do so."""
    ctx = child.sa.ctx
    ctx.timers.start(now if began else now + PEER_FIRST, partial(ctx.upkeep.lanes_due, child))


def try_later(turn: Turn, now: float) -> None:
    """Begin an exchange after a while, because the peer was busy (TEMPORARY_FAILURE, RFC 7296 section 2.25)."""
    ctx = turn.ctx
    ctx.timers.start(next_try(turn.sa, now, busy=True), partial(ctx.upkeep.turn_due, turn))


def next_try(sa: IkeSa, now: float, *, busy: bool) -> float:
    """When to try again what the peer refused. The longer it has been `busy`, the longer we wait (section 2.25)."""
    if not busy:
        return now + REFUSED_PAUSE + retry_delay(sa)
    waited = now - sa.busy[0] if sa.busy is not None else 0.0
    return now + retry_delay(sa) + waited / 4.0


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
