"""INVALID_SPI within an IKE SA: one side sends ESP that the other cannot place (RFC 7296 section 1.5)."""

from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import ChildState
from rhp.ike.tasks import child_delete
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify


@hook(ExchangeType.INFORMATIONAL, order=40)
class LostSpi(Task):
    """Report an SPI; reported one of a pair that should be good, let the pair go."""

    __slots__ = ("_spi",)

    def __init__(self, spi: int = 0) -> None:
        self._spi = spi

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer reports an SPI."""
        return turn.message.notify(NotifyType.INVALID_SPI) is not None

    def build(self, turn: Turn) -> None:
        """Name the SPI."""
        if turn.ours:
            turn.out.append(Notify(NotifyType.INVALID_SPI, self._spi.to_bytes(4)))

    def process(self, turn: Turn) -> None:
        """Delete the pair, unless it is being replaced or deleted anyway: then stray packets are no surprise."""
        notify = turn.message.notify(NotifyType.INVALID_SPI)
        if turn.ours or notify is None:
            return
        turn.ctx.count("spi-lost-by-peer")
        child = child_delete.by_outbound(turn.sa, notify.data) if len(notify.data) == 4 else None
        if child is None or child.state is not ChildState.INSTALLED:
            return
        # A peer that says it again and again must not fill the queue.
        if not child_delete.is_waiting(turn.sa, child):
            turn.follow.append(child_delete.deletion(turn.sa, child, "lost-by-peer"))


def report(sa: IkeSa, spi: int) -> Turn:
    """The exchange that reports an SPI (host order) of inbound ESP that nobody knows."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [LostSpi(spi)], ours=True)
