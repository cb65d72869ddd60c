"""DELETE of an IKE SA, which takes its Child SAs along (RFC 7296 section 1.4.1)."""

from rhp.ike import lifecycle
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

    __slots__ = ("_ending", "_only")

    def __init__(self, ending: Ending | None = None, only: IkeSa | None = None) -> None:
        self._ending = ending
        self._only = only

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer deletes the IKE SA that the message came on."""
        return any(delete.protocol == Protocol.IKE for delete in turn.message.all(Delete))

    def moot(self, turn: Turn) -> bool:
        """Whether the SA is ending already, or another one has taken the place of the one that was meant."""
        return turn.sa.state not in DELETABLE or (self._only is not None and self._only is not turn.sa)

    def build(self, turn: Turn) -> None:
        """Say it; the answer to it is empty."""
        if turn.ours:
            turn.sa.ending = self._ending
            turn.sa.become(IkeState.DELETING)
            turn.out.append(Delete(Protocol.IKE, ()))

    def process(self, turn: Turn) -> None:
        """Whatever the peer answers, it is over; and so it is when the peer begins.

        A peer that deletes what we both were replacing has replaced it: our own try is forgotten (section 2.8.2).
        """
        sa = turn.sa
        if turn.ours:
            turn.ending = self._ending
            return
        lifecycle.adopt_rival(sa, turn.now)
        # If our own DELETE is out as well, it was us who wanted it.
        turn.ending = sa.ending or Ending("deleted-by-peer", Fault.NONE, "the peer deleted it")


def deletion(sa: IkeSa, ending: Ending, *, lineage: bool = False) -> Turn:
    """The exchange that deletes an IKE SA; with `lineage` also the one that takes its place before the turn comes."""
    task = DeleteIke(ending, None if lineage else sa)
    return Turn(sa, ExchangeType.INFORMATIONAL, [task], ours=True, policy=LAST_WORD_POLICY)
