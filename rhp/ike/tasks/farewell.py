"""The last word of an initiator that could not authenticate the responder (RFC 7296 section 2.21.2).

By then the responder believes in the IKE SA. The notify tells it why there is none, and both sides forget it.
"""

from rhp.ike.config import Retransmit
from rhp.ike.errors import Fault
from rhp.ike.events import AuthenticationFailed
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import IkeState
from rhp.ike.tasks.cert import own_dates
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Ending, Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

LAST_WORD_POLICY = Retransmit(tries=3)
"""Nobody should wait half a minute for the echo of a goodbye."""


@hook(ExchangeType.INFORMATIONAL, order=10)
class Farewell(Task):
    """AUTHENTICATION_FAILED in an INFORMATIONAL exchange, and nothing else in it."""

    __slots__ = ()

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the initiator takes back what IKE_AUTH made."""
        return turn.message.notify(NotifyType.AUTHENTICATION_FAILED) is not None

    def moot(self, turn: Turn) -> bool:
        """Never: the SA is ending already, this is its end."""
        return False

    def build(self, turn: Turn) -> None:
        """Say it; the answer to it is empty."""
        if turn.ours:
            turn.out.append(Notify(NotifyType.AUTHENTICATION_FAILED))

    def process(self, turn: Turn) -> None:
        """As responder, end what looked established; as initiator, the answer ends the rest."""
        sa = turn.sa
        if turn.ours:
            turn.ending = sa.ending
            return
        if sa.state is not IkeState.ESTABLISHED:
            return
        reason, detail = "refused-by-peer", f"the peer could not authenticate us{own_dates(turn)}"
        turn.ctx.count("authentication-refused-by-peer")
        turn.ctx.emit(
            AuthenticationFailed(sa.id, sa.connection_name, sa.role, sa.peer, sa.path, reason, detail, Fault.LOCAL)
        )
        turn.ending = Ending(reason, Fault.LOCAL, detail)


def last_word(sa: IkeSa) -> Turn:
    """The exchange that tells a responder it was not believed."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [Farewell()], ours=True, policy=LAST_WORD_POLICY)
