"""A new Child SA: the first one within IKE_AUTH, further ones by CREATE_CHILD_SA (RFC 7296 sections 1.2 and 1.3.1).

In IKE_AUTH a Child SA that does not come about leaves the IKE SA alone; elsewhere its error is the whole answer.
"""

from rhp.crypto.keymat import ChildKeys
from rhp.ike import child_sa, lifetimes, negotiation
from rhp.ike.child_sa import ChildSa, ChildTerms
from rhp.ike.config import ChildConfig
from rhp.ike.errors import Fault, PeerError
from rhp.ike.events import ChildFailed
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import IkeState
from rhp.ike.tasks import child_delete
from rhp.ike.tasks.notices import first_error, notify_name
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.notify import Notify
from rhp.wire.sa import SA

MAX_TRIES = 5
"""How often a Child SA is asked for while the peer is busy."""


@hook(ExchangeType.IKE_AUTH, order=50)
class FirstChild(Task):
    """The Child SA that rides on IKE_AUTH."""

    __slots__ = ("_offer",)

    def __init__(self) -> None:
        self._offer: negotiation.ChildOffer | None = None

    def build(self, turn: Turn) -> None:
        """As initiator ask for the connection's first child; as responder answer and install, or say why not."""
        if turn.ours:
            config = turn.sa.shake.child
            if config is not None:
                self._offer = negotiation.ChildOffer(config)
                turn.out += self._offer.payloads(turn)
        elif turn.message.first(SA) is not None:
            self._answer(turn)

    def process(self, turn: Turn) -> None:
        """As initiator install what the responder granted.

        The responder waits until it has proved itself, in `build`.
        """
        if turn.ours and self._offer is not None and turn.ending is None:
            conclude(turn, self._offer)

    def _answer(self, turn: Turn) -> None:
        try:
            found = negotiation.answer(turn, turn.sa.config.children)
        except PeerError as error:
            turn.out.append(Notify(error.notify, error.data))
            report(turn, "", error.reason, error.detail, Fault.PEER)
            return
        turn.out += found.payloads
        start(turn, found.terms, found.keys)


@hook(ExchangeType.CREATE_CHILD_SA, order=30)
class ChildCreate(Task):
    """A further Child SA."""

    __slots__ = ("_offer", "_retried", "_tries")

    def __init__(self, config: ChildConfig | None = None, method: int | None = None, tries: int = MAX_TRIES) -> None:
        self._offer = negotiation.ChildOffer(config, method) if config is not None else None
        self._retried = method is not None
        self._tries = tries

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer asks for a Child SA that replaces none."""
        return turn.message.notify(NotifyType.REKEY_SA) is None and not asks_for_ike(turn)

    def build(self, turn: Turn) -> None:
        """Ask, or answer and install."""
        if turn.ours and self._offer is not None:
            turn.out += self._offer.payloads(turn)
        elif not turn.ours:
            found = negotiation.answer(turn, turn.sa.config.children)
            turn.out += found.payloads
            start(turn, found.terms, found.keys)

    def process(self, turn: Turn) -> None:
        """As initiator install, try another key exchange method, or give up.

        As responder see whether now is a good time.
        """
        if not turn.ours:
            check_free(turn.sa)
            return
        offer = self._offer
        if offer is None:
            return
        method = other_method(turn, offer) if not self._retried else None
        if method is not None:
            turn.follow.append(Turn(turn.sa, turn.exchange, [ChildCreate(offer.config, method)], ours=True))
        elif turn.message.notify(NotifyType.TEMPORARY_FAILURE) is not None and self._tries > 1:
            again = ChildCreate(offer.config, tries=self._tries - 1)
            lifetimes.try_later(Turn(turn.sa, turn.exchange, [again], ours=True), turn.now)
        else:
            conclude(turn, offer)


def creation(sa: IkeSa, config: ChildConfig) -> Turn:
    """The exchange that makes a further Child SA."""
    return Turn(sa, ExchangeType.CREATE_CHILD_SA, [ChildCreate(config)], ours=True)


def conclude(turn: Turn, offer: negotiation.ChildOffer) -> None:
    """Install what the responder granted, or report that it did not."""
    error = first_error(turn.message)
    if error is not None and turn.message.first(SA) is None:
        name = notify_name(error.type)
        report(turn, offer.config.name, f"peer-said-{name}", f"the peer answered {name}", Fault.PEER)
        return
    try:
        terms, keys = offer.accept(turn)
    except PeerError as refusal:
        report(turn, offer.config.name, refusal.reason, refusal.detail, Fault.PEER)
        # The responder has installed it; without this it would keep it for good.
        turn.follow.append(child_delete.disowning(turn.sa, offer.spi))
        return
    start(turn, terms, keys)


def start(turn: Turn, terms: ChildTerms, keys: ChildKeys, replaces: ChildSa | None = None) -> None:
    """Install a pair and start its clock."""
    child = child_sa.install(turn.sa, terms, keys, turn.now, began=turn.ours, replaces=replaces)
    lifetimes.begin_child(child, turn.now)


def report(turn: Turn, name: str, reason: str, detail: str, fault: Fault) -> None:
    """Say that a Child SA did not come about."""
    sa = turn.sa
    turn.ctx.count("child-failed")
    turn.ctx.emit(ChildFailed(sa.id, sa.connection_name, name, reason, detail, fault))


def check_free(sa: IkeSa, replacing: bool = False) -> None:
    """A Child SA can be made now. Raises PeerError while the IKE SA is being replaced or ended, or has too many.

    While pairs are replaced there may be twice as many: the old ones go when their successors are there.
    """
    if sa.state is not IkeState.ESTABLISHED or is_rekeying(sa):
        raise PeerError("busy", NotifyType.TEMPORARY_FAILURE, detail="the IKE SA is being replaced or deleted")
    if len(sa.children) >= sa.ctx.config.max_children * (2 if replacing else 1):
        raise PeerError("too-many-children", NotifyType.NO_ADDITIONAL_SAS)


def is_rekeying(sa: IkeSa) -> bool:
    """Whether our request to replace the IKE SA is out."""
    return sa.turn is not None and any(task.replaces_ike for task in sa.turn.tasks)


def asks_for_ike(turn: Turn) -> bool:
    """Whether a CREATE_CHILD_SA request is about an IKE SA."""
    offered = turn.message.first(SA)
    return offered is not None and any(proposal.protocol == Protocol.IKE for proposal in offered.proposals)


def other_method(turn: Turn, offer: negotiation.ChildOffer) -> int | None:
    """The key exchange method that the responder asks for instead, if it is one that we offered (section 1.3)."""
    error = turn.message.notify(NotifyType.INVALID_KE_PAYLOAD)
    if error is None or len(error.data) != 2:
        return None
    method = int.from_bytes(error.data)
    offered = {number for proposal in offer.config.proposals for number in proposal.key_exchanges}
    return method if method and method != offer.method and method in offered else None
