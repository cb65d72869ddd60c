"""INITIAL_CONTACT, and what becomes of an older IKE SA with the same peer (RFC 7296 section 2.4).

Two nodes that both initiate would end with two IKE SAs, and an Ethernet between them with a loop. So of two IKE SAs
of one connection with one peer only one lives: the newer one, unless both sides began at about the same time; then
the one whose initiator's SPI is lower, which both sides find alike.
"""

from rhp.ike import lifecycle
from rhp.ike.errors import Fault
from rhp.ike.states import IkeState
from rhp.ike.tasks import delete
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Ending, Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

CROSSING_TIME = 10.0
"""IKE SAs in opposite directions that came up within this time are taken for two beginnings that crossed."""


@hook(ExchangeType.IKE_AUTH, order=30)
class InitialContact(Task):
    """Once both sides are authenticated, settle which IKE SA with this peer remains."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """As initiator say whether we know of no other IKE SA; as responder both are authenticated by now."""
        if not turn.ours:
            _settle(turn)
        elif not turn.ctx.table.knows_connection(turn.sa.connection_name):
            turn.out.append(Notify(NotifyType.INITIAL_CONTACT))

    def process(self, turn: Turn) -> None:
        """As initiator both are authenticated by now."""
        if turn.ours:
            _settle(turn)


def _settle(turn: Turn) -> None:
    sa = turn.sa
    fresh = not turn.ours and turn.message.notify(NotifyType.INITIAL_CONTACT) is not None
    for other in turn.ctx.table.same_peer(sa):
        if other.state is not IkeState.ESTABLISHED:
            continue
        role, began = other.origin
        crossed = role != sa.role and turn.now - began < CROSSING_TIME
        if crossed and other.spi_i < sa.spi_i:
            turn.follow.append(delete.deletion(sa, Ending("replaced", Fault.NONE, "both sides began at once")))
            return
        if fresh and not crossed:
            # The peer has said that it knows of no other, so there is nobody to send a DELETE to.
            lifecycle.close(other, Ending("initial-contact", Fault.NONE, "the peer has started anew"), turn.now)
        else:
            turn.follow.append(delete.deletion(other, Ending("replaced", Fault.NONE, "another one took its place")))
