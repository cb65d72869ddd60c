"""INITIAL_CONTACT, and what becomes of an older IKE SA with the same peer (RFC 7296 section 2.4).

Two nodes that both initiate would end with two IKE SAs, and an Ethernet between them with a loop. So of two IKE SAs
of one connection with one peer only one lives: the newer one, unless both sides began at about the same time; then
the one whose initiator's SPI is lower, which both sides find alike. Who proves nothing (RFC 7619) has no name by which
an older IKE SA could be his, so he replaces nobody's and says no INITIAL_CONTACT.

A connection may say otherwise: that a peer which is here already is refused from elsewhere, unless it says itself that
it has started anew; or that all who bear one name live side by side.
"""

from rhp.ike import lifecycle
from rhp.ike.errors import Fault
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import IkeState
from rhp.ike.tasks import delete
from rhp.ike.tasks.identify import refusal
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Ending, Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

ANEW = Ending("initial-contact", Fault.NONE, "the peer has started anew")
REPLACED = Ending("replaced", Fault.NONE, "another one took its place")
CROSSED = Ending("replaced", Fault.NONE, "both sides began at once")

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
        elif _says_so(turn.sa):
            turn.out.append(Notify(NotifyType.INITIAL_CONTACT))

    def process(self, turn: Turn) -> None:
        """As initiator both are authenticated by now; as responder refuse the peer where the older one is kept."""
        if turn.ours:
            _settle(turn)
        elif turn.sa.config.unique == "keep" and _is_elsewhere(turn):
            raise refusal(turn, "peer-is-here-already", "the peer has an IKE SA from another address, which is kept")


def _settle(turn: Turn) -> None:
    sa = turn.sa
    if sa.config.unique == "never":
        return
    for other in _others(turn):
        crossed = _crossed(turn, other)
        if crossed and other.spi_i < sa.spi_i:
            turn.follow.append(delete.deletion(sa, CROSSED, lineage=True))
            return
        if _is_fresh(turn) and not crossed:
            # The peer has said that it knows of no other, so there is nobody to send a DELETE to.
            lifecycle.close(other, ANEW, turn.now)
        else:
            turn.follow.append(delete.deletion(other, REPLACED, lineage=True))


def _says_so(sa: IkeSa) -> bool:
    """Whether we say INITIAL_CONTACT: others may bear our name, or we may have none."""
    config = sa.config
    return config.local.method != "null" and config.unique != "never" and not sa.ctx.table.knows_connection(config.name)


def _is_fresh(turn: Turn) -> bool:
    """Whether the peer says that it has no other IKE SA with us; an initiator does."""
    return not turn.ours and turn.message.notify(NotifyType.INITIAL_CONTACT) is not None


def _is_elsewhere(turn: Turn) -> bool:
    """Whether the peer has an IKE SA from another address, and does not say that this one is its first."""
    older = [other for other in _others(turn) if not _crossed(turn, other)]
    return not _is_fresh(turn) and any(other.path.remote.ip != turn.path.remote.ip for other in older)


def _crossed(turn: Turn, other: IkeSa) -> bool:
    role, began = other.origin
    return role != turn.sa.role and turn.now - began < CROSSING_TIME and not _is_forgotten(turn, other)


def _is_forgotten(turn: Turn, other: IkeSa) -> bool:
    """Whether the peer had that one and has lost it.

    It says that it knows of none, and began only when that one was there on both sides: we are the last to have it
    where we began it. Two that cross begin before either is there.
    """
    return _is_fresh(turn) and other.established_at is not None and turn.sa.created_at > other.established_at


def _others(turn: Turn) -> list[IkeSa]:
    return [other for other in turn.ctx.table.same_peer(turn.sa) if other.state is IkeState.ESTABLISHED]
