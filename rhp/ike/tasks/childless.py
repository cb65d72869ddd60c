"""CHILDLESS_IKEV2_SUPPORTED: an IKE SA may come up without a Child SA (RFC 6023).

Who wants the first child to have a key exchange of its own, or none at all, leaves SA and TS out of IKE_AUTH and asks
for it by CREATE_CHILD_SA. A responder has to say that it can take that; ours always can.
"""

from rhp.ike.errors import PeerError
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify


@hook(ExchangeType.IKE_SESSION_RESUME, order=15)
@hook(ExchangeType.IKE_SA_INIT, order=15)
class ChildlessWish(Task):
    """The initiator's part: leave the first child out where the connection asks for that and the peer can."""

    __slots__ = ()

    def process(self, turn: Turn) -> None:
        """Raises PeerError where the connection takes nothing else; an answer that refuses us has no say in it."""
        wish = turn.sa.connection.childless if turn.ours and turn.sa.connection is not None else "allow"
        if wish == "allow" or turn.message.first(Nonce) is None:
            return
        if turn.message.notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED) is not None:
            turn.sa.shake.child = None
        elif wish == "force":
            detail = "the peer cannot make an IKE SA without a child, and nothing else is allowed"
            raise PeerError("childless-unsupported", NotifyType.NO_PROPOSAL_CHOSEN, detail=detail)


@hook(ExchangeType.IKE_SESSION_RESUME, order=60)
@hook(ExchangeType.IKE_SA_INIT, order=60)
class ChildlessOffer(Task):
    """The responder's part."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Say that we can."""
        if not turn.ours:
            turn.out.append(Notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED))
