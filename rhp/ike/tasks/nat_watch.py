"""Has the NAT in front of us changed its mapping? (RFC 4555 section 3.8)

With MOBIKE the peer no longer follows our IKE messages by itself. So whoever chooses the path has the peer say, with
the answer to a liveness check, how it sees us, and sends an update when that differs from the time before.
"""

from rhp.ike.mobility import leads
from rhp.ike.tasks import mobike_update, natd
from rhp.ike.turn import Task, Turn


class NatWatch(Task):
    """Rides on a liveness check."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Send the hashes, where we lead and a NAT is in front of us."""
        sa = turn.sa
        if leads(sa) and sa.nat_local and sa.nat_detection:
            turn.out += natd.notifies(sa, sa.path, sa.spi_r)

    def process(self, turn: Turn) -> None:
        """Compare with what the peer saw before."""
        sa, seen = turn.sa, natd.seen_as(turn)
        if sa.mobility is None or not seen or not leads(sa):
            return
        before, sa.mobility.seen_as = sa.mobility.seen_as, seen
        if before and before != seen:
            turn.ctx.count("nat-mapping-changed")
            turn.follow.append(mobike_update.update(sa, "nat-moved"))
