"""Are you there? An empty INFORMATIONAL request, which a living peer has to answer (RFC 7296 section 2.4).

What matters happens elsewhere: the answer refreshes `last_seen`, and no answer ends the SA when the last
retransmission has waited in vain.
"""

from rhp.ike.ike_sa import IkeSa
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType


class Liveness(Task):
    """Nothing to say and nothing to read."""

    __slots__ = ()


def check(sa: IkeSa) -> Turn:
    """The exchange that asks for a sign of life."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [Liveness()], ours=True)
