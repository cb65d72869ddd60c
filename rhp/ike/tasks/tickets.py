"""Tickets asked for and given, on an IKE SA that is established (RFC 5723 sections 4.1 and 4.2).

The original initiator asks in IKE_AUTH, and again whenever the IKE SA was replaced, for a ticket goes with its SK_d.
"""

from rhp.ike import lifetimes, resumption
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

TRIES = 3
"""How often a peer is asked that has no ticket at the moment."""


@hook(ExchangeType.IKE_AUTH, order=80)
class FirstTicket(Task):
    """The ticket of a new IKE SA."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Ask where the connection uses tickets; or give one."""
        if not turn.ours:
            _give(turn)
        elif resumption.wanted(turn.sa.config):
            turn.out.append(Notify(NotifyType.TICKET_REQUEST))

    def process(self, turn: Turn) -> None:
        """Keep it."""
        if turn.ours:
            _take(turn, TRIES)


@hook(ExchangeType.INFORMATIONAL, order=65)
class AskTicket(Task):
    """A ticket in an exchange of its own."""

    __slots__ = ("_tries",)

    def __init__(self, tries: int = TRIES) -> None:
        self._tries = tries

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer asks for one."""
        return turn.message.notify(NotifyType.TICKET_REQUEST) is not None

    def build(self, turn: Turn) -> None:
        """Ask; or give one."""
        if turn.ours:
            turn.out.append(Notify(NotifyType.TICKET_REQUEST))
        else:
            _give(turn)

    def process(self, turn: Turn) -> None:
        """Keep it."""
        if turn.ours:
            _take(turn, self._tries)


def _give(turn: Turn) -> None:
    if turn.message.notify(NotifyType.TICKET_REQUEST) is not None:
        turn.out.append(resumption.issue(turn.sa, turn.now))


def _take(turn: Turn, tries: int) -> None:
    given = turn.message.notify(NotifyType.TICKET_LT_OPAQUE)
    if given is not None:
        resumption.hold(turn.sa, given, turn.now)
    elif turn.message.notify(NotifyType.TICKET_NACK) is not None:
        turn.ctx.count("ticket-denied-by-peer")
    elif turn.message.notify(NotifyType.TICKET_ACK) is not None and tries > 1:
        again = Turn(turn.sa, ExchangeType.INFORMATIONAL, [AskTicket(tries - 1)], ours=True)
        lifetimes.try_later(again, turn.now)
