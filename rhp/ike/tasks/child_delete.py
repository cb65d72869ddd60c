"""DELETE of Child SAs (RFC 7296 section 1.4.1).

Each side names its inbound SPIs; the answer names the other half of each pair, unless that side has a DELETE of its own
for it under way.
"""

from rhp.ike import child_sa
from rhp.ike.child_sa import ChildSa
from rhp.ike.errors import Fault
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import ChildState
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, Protocol


@hook(ExchangeType.INFORMATIONAL, order=30)
class ChildDelete(Task):
    """One pair of ours that goes, or those that the peer names."""

    __slots__ = ("_child", "_reason", "_removed", "_spi")

    def __init__(self, child: ChildSa | None = None, reason: str = "", spi: int = 0) -> None:
        self._child = child
        self._reason = reason
        self._spi = spi if child is None else child.spi_in
        self._removed: list[int] = []

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer names pairs that go."""
        return any(delete.protocol == Protocol.ESP for delete in turn.message.all(Delete))

    def moot(self, turn: Turn) -> bool:
        """Whether the pair has gone, or its DELETE has been sent."""
        gone = self._child is not None and self._child.state in (ChildState.DELETING, ChildState.CLOSED)
        return gone or Task.moot(self, turn)

    def build(self, turn: Turn) -> None:
        """Name the pair; or the other halves of those removed."""
        if turn.ours:
            if self._child is not None:
                self._child.become(ChildState.DELETING)
            turn.out.append(Delete(Protocol.ESP, (self._spi.to_bytes(4),)))
        elif self._removed:
            turn.out.append(Delete(Protocol.ESP, tuple(spi.to_bytes(4) for spi in self._removed)))

    def process(self, turn: Turn) -> None:
        """Remove; whatever the peer answers, our pair goes."""
        if turn.ours:
            if self._child is not None:
                child_sa.remove(self._child, self._reason, Fault.NONE)
            return
        for delete in turn.message.all(Delete):
            if delete.protocol == Protocol.ESP:
                for spi in delete.spis:
                    self._remove(turn, spi)

    def _remove(self, turn: Turn, spi: bytes) -> None:
        child = by_outbound(turn.sa, spi)
        if child is None:
            turn.ctx.count("delete-of-unknown-child")
            return
        if child.state is not ChildState.DELETING:
            self._removed.append(child.spi_in)
        child_sa.remove(child, "deleted-by-peer", Fault.NONE)


def deletion(sa: IkeSa, child: ChildSa, reason: str) -> Turn:
    """The exchange that deletes a pair of ours."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [ChildDelete(child, reason)], ours=True)


def disowning(sa: IkeSa, spi_in: int) -> Turn:
    """The exchange that deletes a pair which the peer granted and we refused; it was never installed here."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [ChildDelete(None, "", spi_in)], ours=True)


def by_outbound(sa: IkeSa, spi: bytes) -> ChildSa | None:
    """The pair whose outbound SPI (four octets as on the wire) this is."""
    wanted = int.from_bytes(spi)
    return next((child for child in sa.children.values() if child.terms.spi_out == wanted), None)
