"""Are you there? An empty INFORMATIONAL request, which a living peer has to answer (RFC 7296 section 2.4).

What matters happens elsewhere: the answer refreshes `last_seen`, and no answer ends the SA when the last
retransmission has waited in vain.
"""

from rhp.ike.config import Retransmit
from rhp.ike.ike_sa import IkeSa
from rhp.ike.tasks.nat_watch import NatWatch
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType

QUICK = Retransmit(tries=4)
"""For a peer that is said to have lost its state: 7.5 s until it is given up."""


class Liveness(Task):
    """Nothing to say and nothing to read."""

    __slots__ = ()


def check(sa: IkeSa, policy: Retransmit | None = None) -> Turn:
    """The exchange that asks for a sign of life; `policy` None is the connection's."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [Liveness(), NatWatch()], ours=True, policy=policy)


def is_checking(sa: IkeSa) -> bool:
    """Whether such an exchange is under way."""
    return sa.turn is not None and any(isinstance(task, Liveness) for task in sa.turn.tasks)
