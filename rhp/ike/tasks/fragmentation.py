"""IKEV2_FRAGMENTATION_SUPPORTED: both sides say in IKE_SA_INIT that they take fragments (RFC 7383 section 2.3).

What follows of it stands in `sealing`, which cuts, and `fragments`, which collects.
"""

from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify


@hook(ExchangeType.IKE_SESSION_RESUME, order=60)
@hook(ExchangeType.IKE_SA_INIT, order=60)
class Fragmentation(Task):
    """Sent by both sides; a responder says it only to a peer that did so."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Say that we take fragments, unless the configuration says otherwise."""
        if turn.ctx.config.fragment_size and (turn.ours or turn.sa.fragment_size):
            turn.out.append(Notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED))

    def process(self, turn: Turn) -> None:
        """Where the peer takes them too, messages from now on have a size to keep to."""
        if turn.message.notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) is not None:
            turn.sa.fragment_size = turn.ctx.config.fragment_size
