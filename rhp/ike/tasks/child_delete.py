"""DELETE of Child SAs (RFC 7296 section 1.4.1).

Each side names its inbound SPIs; the answer names the other half of each pair, unless that side has a DELETE of its own
for it under way.
"""

from rhp.ike import child_sa
from rhp.ike.child_sa import ChildSa
from rhp.ike.errors import Fault
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import CHANGES, ChildState
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, Protocol

MOST_GONE = 64
"""How many SPIs are remembered of pairs that the peer deletes before its answer has brought them."""


@hook(ExchangeType.INFORMATIONAL, order=30)
class ChildDelete(Task):
    """One pair of ours that goes, or with `lineage` all that are left of its lineage; or those that the peer names."""

    __slots__ = ("_child", "_going", "_lineage", "_reason", "_removed", "_spi")

    def __init__(self, child: ChildSa | None = None, reason: str = "", spi: int = 0, lineage: bool = False) -> None:
        self._child = child
        self._reason = reason
        self._spi = spi
        self._lineage = lineage
        self._going: list[ChildSa] = []
        self._removed: list[int] = []

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer names pairs that go."""
        return any(delete.protocol == Protocol.ESP for delete in turn.message.all(Delete))

    def moot(self, turn: Turn) -> bool:
        """Whether the pair has gone, or its DELETE has been sent."""
        return (self._child is not None and not self._left(turn, self._child)) or Task.moot(self, turn)

    def is_of(self, child: ChildSa) -> bool:
        """Whether that pair is the one it was asked to delete."""
        return self._child is child

    def build(self, turn: Turn) -> None:
        """Name the pair; or the other halves of those removed."""
        if turn.ours:
            self._going = self._left(turn, self._child) if self._child is not None else []
            for child in self._going:
                child.become(ChildState.DELETING)
            spis = [child.spi_in for child in self._going] or [self._spi]
            turn.out.append(Delete(Protocol.ESP, tuple(spi.to_bytes(4) for spi in spis)))
        elif self._removed:
            turn.out.append(Delete(Protocol.ESP, tuple(spi.to_bytes(4) for spi in self._removed)))

    def process(self, turn: Turn) -> None:
        """Remove; whatever the peer answers, our pair goes."""
        if turn.ours:
            for child in self._going:
                child_sa.remove(child, self._reason, Fault.NONE, turn.now)
            return
        for delete in turn.message.all(Delete):
            if delete.protocol == Protocol.ESP:
                for spi in delete.spis:
                    self._remove(turn, spi)

    def _left(self, turn: Turn, child: ChildSa) -> list[ChildSa]:
        """Those meant that are there and not being deleted."""
        meant = turn.ctx.table.lineage(child) if self._lineage else [child]
        return [one for one in meant if one.state not in (ChildState.DELETING, ChildState.CLOSED)]

    def _remove(self, turn: Turn, spi: bytes) -> None:
        child = by_outbound(turn.sa, spi)
        if child is None:
            turn.ctx.count("delete-of-unknown-child")
            _remember(turn.sa.turn, int.from_bytes(spi))
            return
        if child.state is not ChildState.DELETING:
            self._removed.append(child.spi_in)
        child_sa.remove(child, "deleted-by-peer", Fault.NONE, turn.now)


def deletion(sa: IkeSa, child: ChildSa, reason: str) -> Turn:
    """The exchange that deletes a pair of ours."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [ChildDelete(child, reason)], ours=True)


def deletion_of_all(sa: IkeSa, child: ChildSa, reason: str) -> Turn:
    """The exchange that deletes whatever is left of a pair's lineage when its turn comes."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [ChildDelete(child, reason, lineage=True)], ours=True)


def disowning(sa: IkeSa, spi_in: int) -> Turn:
    """The exchange that deletes a pair which the peer granted and we refused; it was never installed here."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [ChildDelete(None, "", spi_in)], ours=True)


def is_waiting(sa: IkeSa, child: ChildSa) -> bool:
    """Whether an exchange that deletes a pair waits for its turn."""
    return any(isinstance(task, ChildDelete) and task.is_of(child) for turn in sa.queue or () for task in turn.tasks)


def by_outbound(sa: IkeSa, spi: bytes) -> ChildSa | None:
    """The pair whose outbound SPI (four octets as on the wire) this is."""
    wanted = int.from_bytes(spi)
    return next((child for child in sa.children.values() if child.terms.spi_out == wanted), None)


def _remember(pending: Turn | None, spi: int) -> None:
    """The pair may be one that an answer on its way to us brings."""
    if pending is not None and pending.exchange in CHANGES and len(pending.gone) < MOST_GONE:
        pending.gone += (spi,)
