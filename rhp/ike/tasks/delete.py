"""DELETE of an IKE SA, which takes its Child SAs along (RFC 7296 section 1.4.1)."""

from rhp.ike.errors import Fault
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import IkeState
from rhp.ike.tasks.farewell import LAST_WORD_POLICY
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Ending, Task, Turn
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, Protocol

DELETABLE = frozenset({IkeState.ESTABLISHED, IkeState.REKEYED})


@hook(ExchangeType.INFORMATIONAL, order=20)
class DeleteIke(Task):
    """The SA goes when the response is there, or on the peer's word once we have answered."""

    __slots__ = ("_ending",)

    def __init__(self, ending: Ending | None = None) -> None:
        self._ending = ending

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer deletes the IKE SA that the message came on."""
        return any(delete.protocol == Protocol.IKE for delete in turn.message.all(Delete))

    def moot(self, turn: Turn) -> bool:
        """Whether the SA is ending already."""
        return turn.sa.state not in DELETABLE

    def build(self, turn: Turn) -> None:
        """Say it; the answer to it is empty."""
        if turn.ours:
            turn.sa.ending = self._ending
            turn.sa.become(IkeState.DELETING)
            turn.out.append(Delete(Protocol.IKE, ()))

    def process(self, turn: Turn) -> None:
        """Whatever the peer answers, it is over; and so it is when the peer begins."""
        if turn.ours:
            turn.ending = self._ending
            return
        # If our own DELETE is out as well, it was us who wanted it.
        turn.ending = turn.sa.ending or Ending("deleted-by-peer", Fault.NONE, "the peer deleted it")


def deletion(sa: IkeSa, ending: Ending) -> Turn:
    """The exchange that deletes an IKE SA."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [DeleteIke(ending)], ours=True, policy=LAST_WORD_POLICY)
