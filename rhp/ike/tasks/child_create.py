"""A new Child SA: the first one within IKE_AUTH, further ones by CREATE_CHILD_SA (RFC 7296 sections 1.2 and 1.3.1).

In IKE_AUTH a Child SA that does not come about leaves the IKE SA alone; elsewhere its error is the whole answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rhp.crypto.keymat import ChildKeys
from rhp.crypto.secret import Secret
from rhp.ike import child_sa, lifetimes, negotiation, renewal
from rhp.ike.changes import same_traffic
from rhp.ike.child_sa import ChildSa, ChildTerms
from rhp.ike.config import ChildConfig
from rhp.ike.errors import Fault, PeerError
from rhp.ike.events import ChildFailed
from rhp.ike.ike_sa import IkeSa
from rhp.ike.linked import Linked
from rhp.ike.states import ChildState, IkeState
from rhp.ike.tasks import child_delete, followup
from rhp.ike.tasks.letting_go import let_go
from rhp.ike.tasks.notices import first_error, notify_name
from rhp.ike.tasks.patience import is_busy
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
        elif turn.message.first(SA) is not None and not turn.sa.shake.leaving:
            self._answer(turn)

    def process(self, turn: Turn) -> None:
        """As initiator install what the responder granted.

        The responder waits until it has proved itself, in `build`.
        """
        shake = turn.sa.shake
        if not turn.ours or self._offer is None or turn.ending is not None or shake.leaving:
            return
        refusal = shake.childless
        if refusal is not None:
            report(turn, self._offer.config.name, refusal.reason, refusal.detail, Fault.PEER)
        else:
            conclude(turn, self._offer)

    def _answer(self, turn: Turn) -> None:
        try:
            if turn.sa.shake.childless is not None:
                raise turn.sa.shake.childless
            found = negotiation.answer(turn, turn.sa.config.children)
        except PeerError as error:
            turn.out.append(Notify(error.notify, error.data))
            report(turn, "", error.reason, error.detail, Fault.PEER)
            return
        turn.out += found.payloads
        start(turn, found.terms, found.keys(turn.sa))


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
            rounds = found.terms.suite.rounds
            followup.settle(turn, Linked(rounds, partial(_grant, found=found), found.shared))

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
        if renewal.overtaken(turn.sa):
            turn.follow.append(creation(turn.sa.newest, offer.config))
            return
        if followup.goes_on(turn, self):
            return
        method = other_method(turn, offer) if not self._retried else None
        if method is not None:
            turn.follow.append(_request(turn.sa, ChildCreate(offer.config, method)))
        elif is_busy(turn) and self._tries > 1:
            again = ChildCreate(offer.config, tries=self._tries - 1)
            lifetimes.try_later(_request(turn.sa, again), turn.now)
        else:
            conclude(turn, offer)


def creation(sa: IkeSa, config: ChildConfig) -> Turn:
    """The exchange that makes a further Child SA."""
    return _request(sa, ChildCreate(config))


def _request(sa: IkeSa, task: ChildCreate) -> Turn:
    return Turn(sa, ExchangeType.CREATE_CHILD_SA, [task], ours=True)


def _grant(turn: Turn, further: Sequence[Secret], found: negotiation.ChildAnswer) -> None:
    """As responder, after the last key exchange. Raises PeerError when it can no longer be."""
    check_free(turn.sa)
    start(turn, found.terms, found.keys(turn.sa, further))


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
    if terms.spi_out in turn.gone:
        detail = "the peer deleted it before its answer was here"
        report(turn, offer.config.name, "deleted-by-peer", detail, Fault.NONE)
        return
    start(turn, terms, keys)


def start(turn: Turn, terms: ChildTerms, keys: ChildKeys, replaces: ChildSa | None = None) -> ChildSa:
    """Install a pair and start its clock."""
    if replaces is None:
        replaces = renewal.forerunner(turn.sa, terms)
        if replaces is not None:
            replaces.become(ChildState.REKEYED)
    terms, wanted = _by_now(turn.sa, terms)
    limits = lifetimes.traffic_limits(turn.ctx, terms.config, turn.sa.config.jitter)
    child = child_sa.install(turn.sa, terms, keys, turn.now, began=turn.ours, limits=limits, replaces=replaces)
    lifetimes.begin_child(child, turn.now)
    let_go(turn)
    if terms.place.shared:
        lifetimes.fill_lanes(child, turn.now, began=turn.ours)
    if not wanted:
        turn.follow.append(child_delete.deletion_of_all(turn.sa, child, "child-changed"))
    return child


def _by_now(sa: IkeSa, terms: ChildTerms) -> tuple[ChildTerms, bool]:
    """The terms with the settings as they are now, and whether a child of this traffic is still wanted.

    The configuration may have changed while the exchange was under way.
    """
    config = sa.config.child(terms.config.name)
    if config is None or not same_traffic(config, terms.config):
        return terms, False
    return (terms if config is terms.config else replace(terms, config=config)), True


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
