"""What time brings to established SAs: replacement, checks for life, keep-alives, and the end of a lifetime."""

from functools import partial

from rhp.ike import conductor, lifetimes
from rhp.ike.child_sa import ChildSa
from rhp.ike.effects import KeepAlive
from rhp.ike.errors import Fault
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import ChildState, IkeState
from rhp.ike.tasks import child_delete, child_rekey, delete, dpd, ike_rekey
from rhp.ike.turn import Ending, Turn

OUT_OF_TIME = Ending("lifetime", Fault.NONE, "its lifetime is over")


class TimeKeeper:
    """The engine's `lifetimes.Upkeep`; it keeps nothing itself."""

    __slots__ = ()

    def ike_due(self, sa: IkeSa, now: float) -> None:
        """Replace at the soft lifetime, delete at the hard one."""
        sa.lifetime_timer = None
        if sa.state is not IkeState.ESTABLISHED:
            return
        if sa.expires_at is not None and now >= sa.expires_at:
            sa.enqueue(delete.deletion(sa, OUT_OF_TIME), first=True)
        else:
            sa.rekey_at = None
            lifetimes.arm_ike(sa)
            sa.enqueue(ike_rekey.rekey(sa))
        conductor.pump(sa, now)

    def child_due(self, child: ChildSa, now: float) -> None:
        """Replace at the soft lifetime, delete at the hard one; an old pair that nobody deleted goes as well."""
        child.timer = None
        if child.state is ChildState.CLOSED:
            return
        if child.expires_at is not None and now >= child.expires_at:
            child.sa.enqueue(child_delete.deletion(child.sa, child, OUT_OF_TIME.reason))
        else:
            child.rekey_at = None
            lifetimes.arm_child(child)
            if child.state is ChildState.INSTALLED:
                child.sa.enqueue(child_rekey.rekey(child))
        conductor.pump(child.sa, now)

    def check_due(self, sa: IkeSa, now: float) -> None:
        """Ask for a sign of life, unless there was one lately or a request waits for its answer anyway."""
        delay = sa.config.dpd_delay
        due = sa.last_seen + delay
        if due > now:
            sa.dpd_timer = sa.ctx.timers.start(due, partial(self.check_due, sa))
            return
        sa.dpd_timer = sa.ctx.timers.start(now + delay, partial(self.check_due, sa))
        if sa.requests.exhausted:
            sa.enqueue(ike_rekey.rekey(sa))
            conductor.pump(sa, now)
        elif not sa.requests.outstanding:
            sa.ctx.count("liveness-checked")
            sa.enqueue(dpd.check(sa))
            conductor.pump(sa, now)

    def keepalive_due(self, sa: IkeSa, now: float) -> None:
        """Keep the NAT's mapping (RFC 3948 section 4)."""
        sa.ctx.do(KeepAlive(sa.path))
        sa.keepalive_timer = sa.ctx.timers.start(now + sa.config.keepalive, partial(self.keepalive_due, sa))

    def turn_due(self, turn: Turn, now: float) -> None:
        """Try again what the peer was too busy for, on the IKE SA that is there now."""
        while turn.sa.successor is not None:
            turn.sa = turn.sa.successor
        if turn.sa.state is IkeState.ESTABLISHED:
            turn.sa.enqueue(turn)
            conductor.pump(turn.sa, now)
