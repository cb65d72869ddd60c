"""What time brings to established SAs: replacement, checks for life, keep-alives, and the end of a lifetime."""

from functools import partial

from rhp.ike import (
    child_sa,
    conductor,
    initiation,
    lanes,
    lifetimes,
    outbound,
    redirection,
    renewal,
    roaming,
)
from rhp.ike.child_sa import ChildSa
from rhp.ike.context import Context
from rhp.ike.effects import KeepAlive
from rhp.ike.errors import Fault
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import LIVE_CHILD, ChildState, IkeState
from rhp.ike.tasks import child_delete, child_lane, child_rekey, delete, dpd, heirloom, ike_rekey, resume
from rhp.ike.turn import Ending, Turn

OUT_OF_TIME = Ending("lifetime", Fault.NONE, "its lifetime is over")
NOT_REPLACED = Ending("lifetime", Fault.PEER, "a Child SA came to its end, and the peer would not replace it")


class TimeKeeper:
    """The engine's `lifetimes.Upkeep`; it keeps nothing itself."""

    __slots__ = ()

    def ike_due(self, sa: IkeSa, now: float) -> None:
        """Replace at the soft lifetime, delete at the hard one."""
        sa.lifetime_timer = None
        if sa.state is not IkeState.ESTABLISHED:
            return
        if any(end is not None and now >= end for end in (sa.expires_at, sa.authentic_until)):
            sa.enqueue(delete.deletion(sa, OUT_OF_TIME), first=True)
        elif sa.reauth_at is not None and now >= sa.reauth_at:
            sa.reauth_at = None if initiation.renew(sa, now) is not None else now + renewal.RETRY
            lifetimes.arm_ike(sa)
        elif sa.renewal is not None:
            # The new IKE SA makes a rekey needless, unless it does not come up.
            sa.rekey_at = now + renewal.RETRY
            lifetimes.arm_ike(sa)
        else:
            sa.rekey_at = None
            lifetimes.arm_ike(sa)
            sa.enqueue(ike_rekey.rekey(sa))
        conductor.pump(sa, now)

    def renewed_due(self, sa: IkeSa, now: float) -> None:
        """Delete what has been renewed, whether all its pairs have successors or not."""
        sa.lifetime_timer = None
        sa.enqueue(delete.deletion(sa, renewal.RENEWED), first=True)
        conductor.pump(sa, now)

    def child_due(self, child: ChildSa, now: float) -> None:
        """Replace at the soft lifetime, delete at the hard one; an old pair that nobody deleted goes as well.

        A pair that could not be replaced takes its IKE SA along, so that all begins anew (RFC 7296 section 2.8); that
        of a single lane does not, for the group goes on without it.
        """
        child.timer = None
        if child.state is ChildState.CLOSED:
            return
        over = child.expires_at is not None and now >= child.expires_at
        if over and child.refused and child.lane is None and child.state is ChildState.INSTALLED:
            child.sa.enqueue(delete.deletion(child.sa, NOT_REPLACED), first=True)
        elif over:
            child.sa.enqueue(child_delete.deletion(child.sa, child, OUT_OF_TIME.reason))
        else:
            child.rekey_at = None
            lifetimes.arm_child(child)
            if child.state is ChildState.INSTALLED:
                child.sa.enqueue(child_rekey.rekey(child))
        conductor.pump(child.sa, now)

    def check_due(self, sa: IkeSa, now: float) -> None:
        """Ask for a sign of life, unless there was one lately or a request waits for its answer anyway."""
        delay = lifetimes.check_delay(sa)
        due = sa.last_seen + delay
        if due > now:
            sa.dpd_timer = sa.ctx.timers.start(due, partial(self.check_due, sa))
            return
        sa.dpd_timer = sa.ctx.timers.start(now + delay, partial(self.check_due, sa))
        _ask_for_life(sa, now)

    def keepalive_due(self, sa: IkeSa, now: float) -> None:
        """Keep the NAT's mapping, unless something else has done so (RFC 3948 section 4)."""
        due = sa.last_sent + sa.config.keepalive
        if due <= now:
            sa.ctx.do(KeepAlive(sa.path))
            due = now + sa.config.keepalive
        sa.keepalive_timer = sa.ctx.timers.start(due, partial(self.keepalive_due, sa))

    def path_due(self, sa: IkeSa, now: float) -> None:
        """Try out the path that is preferred to the one in use."""
        roaming.try_preferred(sa, now)

    def renewed_elsewhere(self, sa: IkeSa, now: float) -> None:
        """The SA renews one that had another path."""
        roaming.say_path(sa, now)

    def came_up_elsewhere(self, sa: IkeSa, now: float) -> None:
        """Go where we are by now."""
        roaming.look_around(sa, now)

    def lanes_due(self, child: ChildSa, now: float) -> None:
        """Ask for a pair for the next lane that has none; each that comes leads here again.

        A pair that the peer asked for is used from now on at the latest: it has had the time to install it.
        """
        sa = child.sa
        if child.state in LIVE_CHILD:
            child_sa.activate(child)
        wanted = lanes.free_lane(sa, child.group) is not None and not child_lane.is_waiting(sa, child.group)
        if sa.state is IkeState.ESTABLISHED and wanted:
            sa.enqueue(child_lane.creation(sa, child))
            conductor.pump(sa, now)

    def succeeded(self, new: IkeSa) -> None:
        """Give anew what goes with the SPIs; it begins when the exchange that brought them has been answered."""
        turn = heirloom.bequeath(new)
        if turn is not None:
            new.enqueue(turn)

    def leave_due(self, sa: IkeSa, now: float) -> None:
        """Delete the IKE SA that is to go on elsewhere, whatever it has become meanwhile."""
        while sa.successor is not None:
            sa = sa.successor
        if sa.state is IkeState.ESTABLISHED:
            sa.ctx.count("redirect-ignored")
            sa.enqueue(delete.deletion(sa, redirection.GONE), first=True)
            conductor.pump(sa, now)

    def resumption_in_vain(self, sa: IkeSa, now: float) -> None:
        """Go on with a full handshake; the ticket waits for another day."""
        outbound.close_window(sa, advance=False)
        outbound.stop_clock(sa)
        sa.turn = None
        sa.enqueue(resume.fall_back(sa, keep=True), first=True)
        conductor.pump(sa, now)

    def turn_due(self, turn: Turn, now: float) -> None:
        """Try again what the peer was too busy for, on the IKE SA that is there now."""
        while turn.sa.successor is not None:
            turn.sa = turn.sa.successor
        if turn.sa.state is IkeState.ESTABLISHED:
            turn.sa.enqueue(turn)
            conductor.pump(turn.sa, now)

    def link_expired(self, sa: IkeSa, now: float) -> None:
        """Go on with changes of ours that waited for the peer's."""
        conductor.pump(sa, now)


def check_all(ctx: Context, now: float) -> None:
    """Ask every peer for a sign of life, however lately there was one; the first ones now, the others soon."""
    for number, sa in enumerate(ctx.table.sas()):
        if number < roaming.AT_ONCE:
            _check_now(sa, now)
        else:
            ctx.timers.start(now + (number - roaming.AT_ONCE) / roaming.PER_SECOND, partial(_check_now, sa))


def _check_now(sa: IkeSa, now: float) -> None:
    if sa.state is IkeState.ESTABLISHED and sa.successor is None and sa.config.dpd_delay > 0:
        _ask_for_life(sa, now)


def _ask_for_life(sa: IkeSa, now: float) -> None:
    """Unless a request waits for its answer anyway."""
    if sa.requests.exhausted:
        sa.enqueue(ike_rekey.rekey(sa))
        conductor.pump(sa, now)
    elif not sa.requests.outstanding:
        sa.ctx.count("liveness-checked")
        sa.enqueue(dpd.check(sa))
        conductor.pump(sa, now)
        roaming.update_predecessor(sa, "path-silent", now)
