"""Replace a Child SA: REKEY_SA names the old pair, the rest is a new Child SA (RFC 7296 sections 1.3.3 and 2.8).

Who began sends on the new pair at once and deletes the old one. Where both sides begin at once there are two new pairs
for a moment, and `collision` tells which one stays.
"""

from collections.abc import Sequence
from functools import partial

from rhp.crypto.keymat import ChildKeys
from rhp.crypto.secret import Secret
from rhp.ike import child_sa, lanes, lifetimes, linked, negotiation, renewal
from rhp.ike.child_sa import ChildSa, ChildTerms
from rhp.ike.effects import NO_LIMITS
from rhp.ike.errors import Fault, LocalError, PeerError
from rhp.ike.linked import Linked
from rhp.ike.states import CHANGES, ChildState
from rhp.ike.tasks import child_create, child_delete, child_lane, collision, followup
from rhp.ike.tasks.collision import Rival
from rhp.ike.tasks.notices import first_error, notify_name
from rhp.ike.tasks.patience import is_busy, is_forgetful
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.notify import Notify
from rhp.wire.sa import SA


@hook(ExchangeType.CREATE_CHILD_SA, order=20)
class ChildRekey(Task):
    """One replacement, in either role; `child` is the old pair."""

    __slots__ = ("_child", "_offer", "_retried")

    def __init__(self, child: ChildSa | None = None, method: int | None = None) -> None:
        self._child = child
        self._offer: negotiation.ChildOffer | None = None
        if child is not None:
            self._offer = negotiation.ChildOffer(child.terms.config, method, lanes.place_of(child))
        self._retried = method is not None

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer names a pair to replace."""
        return turn.message.notify(NotifyType.REKEY_SA) is not None and not child_create.asks_for_ike(turn)

    def moot(self, turn: Turn) -> bool:
        """Whether the pair has gone, or is going anyway."""
        return Task.moot(self, turn) or self._child is None or self._child.state is not ChildState.INSTALLED

    def build(self, turn: Turn) -> None:
        """Ask, naming our inbound SPI; or answer and install."""
        child = self._child
        if child is None:
            raise RuntimeError("there is no pair to replace")
        if turn.ours and self._offer is not None:
            payloads = self._offer.payloads(turn)
            child.become(ChildState.REKEYING)
            turn.out.append(Notify(NotifyType.REKEY_SA, b"", Protocol.ESP, child.spi_in.to_bytes(4)))
            turn.out += payloads
        elif not turn.ours:
            _grant(turn, child)

    def process(self, turn: Turn) -> None:
        """As responder find the pair; as initiator take the new one and let the old one go, or come back later."""
        if not turn.ours:
            self._child = _named(turn)
            return
        child, offer = self._child, self._offer
        if child is None or offer is None:
            return
        if renewal.overtaken(turn.sa):
            turn.ctx.count("rekey-overtaken")
            return
        if followup.goes_on(turn, self, partial(_gives_way, turn, child, offer)):
            return
        busy = child.rival is None and linked.claim(turn.sa, child) is None and is_busy(turn)
        method = child_create.other_method(turn, offer) if not self._retried and child.rival is None else None
        if method is not None:
            _release(child)
            again = [ChildRekey(child, method)]
            turn.follow.append(Turn(turn.sa, ExchangeType.CREATE_CHILD_SA, again, ours=True))
        elif turn.message.first(SA) is None:
            _failed(turn, child, busy)
        else:
            _take(turn, child, offer)


def rekey(child: ChildSa) -> Turn:
    """The exchange that replaces a pair. Raises LocalError when it is not a pair to replace now."""
    if child.state is not ChildState.INSTALLED:
        raise LocalError("child-busy", f"the Child SA is {child.state.value}")
    return Turn(child.sa, ExchangeType.CREATE_CHILD_SA, [ChildRekey(child)], ours=True)


def _named(turn: Turn) -> ChildSa:
    """The pair that the peer wants replaced; it names its inbound SPI, which is our outbound one."""
    notify = turn.message.notify(NotifyType.REKEY_SA)
    spi = notify.spi if notify is not None else b""
    found = child_delete.by_outbound(turn.sa, spi) if notify is not None and notify.protocol == Protocol.ESP else None
    child_create.check_free(turn.sa, replacing=True)
    pending = turn.sa.turn
    if found is None and pending is not None and pending.exchange in CHANGES:
        detail = "the pair may be one that an answer on its way to us brings"
        raise PeerError("busy", NotifyType.TEMPORARY_FAILURE, detail=detail)
    if found is None or found.state is ChildState.REKEYED:
        raise PeerError("child-not-found", NotifyType.CHILD_SA_NOT_FOUND, spi=spi)
    if found.state is ChildState.DELETING:
        raise PeerError("busy", NotifyType.TEMPORARY_FAILURE, detail="the Child SA is being deleted")
    if found.state is ChildState.REKEYING and followup.is_under_way(turn.sa):
        raise PeerError("busy", NotifyType.TEMPORARY_FAILURE, detail="our own rekey of it is under way")
    return found


def _grant(turn: Turn, child: ChildSa) -> None:
    """Answer the peer and install, at once or after further key exchanges.

    Whether this pair stays is known later if our own request is out as well.
    """
    found = negotiation.answer(turn, [child.terms.config], lanes.place_of(child))
    turn.out += found.payloads
    rounds, finish = found.terms.suite.rounds, partial(_install, child=child, found=found)
    if rounds and child.state is ChildState.REKEYING:
        turn.ctx.count("child-rekeys-crossed")
    followup.settle(turn, Linked(rounds, finish, found.shared, child, found.lower_nonce))


def _install(turn: Turn, further: Sequence[Secret], child: ChildSa, found: negotiation.ChildAnswer) -> None:
    """The last key exchange is done. Raises PeerError when the pair to replace is no longer there."""
    if child.state not in (ChildState.INSTALLED, ChildState.REKEYING):
        raise PeerError("busy", NotifyType.TEMPORARY_FAILURE, detail=f"the Child SA is {child.state.value}")
    crossed = child.state is ChildState.REKEYING
    child.become(ChildState.REKEYED)
    new = child_create.start(turn, found.terms, found.keys(turn.sa, further), replaces=child)
    if crossed:
        if not further:
            turn.ctx.count("child-rekeys-crossed")
        child.rival = Rival(new, found.lower_nonce)
    lifetimes.await_delete(child, turn.now)


def _take(turn: Turn, child: ChildSa, offer: negotiation.ChildOffer) -> None:
    """The peer has granted a new pair."""
    try:
        terms, keys = offer.accept(turn)
    except PeerError as error:
        child_create.report(turn, child.name, error.reason, error.detail, Fault.PEER)
        turn.follow.append(child_delete.disowning(turn.sa, offer.spi))
        _come_back(turn, child, busy=False)
        return
    own = offer.lower_nonce(turn)
    claim = linked.claim(turn.sa, child) if child.state is ChildState.REKEYING else None
    if collision.gives_way(own, None, claim):
        # The peer goes on with its own key exchanges; until they are done the old pair serves.
        _take_spare(turn, terms, keys, child, child)
        _come_back(turn, child, busy=True)
        return
    linked.drop(turn.sa, child)
    rival = _living_rival(child)
    if terms.spi_out in turn.gone:
        # The peer has deleted it before its answer was here, and with it the child.
        turn.ctx.count("child-gone-before-its-answer")
        if rival is None and child.state is not ChildState.CLOSED:
            turn.follow.append(child_delete.deletion(turn.sa, child, "deleted-by-peer"))
        return
    if rival is not None and collision.loses(own, rival):
        _take_spare(turn, terms, keys, child, rival.sa)
        return
    _take_over(turn, terms, keys, child, rival.sa if rival is not None else None)


def _take_over(turn: Turn, terms: ChildTerms, keys: ChildKeys, child: ChildSa, rival: ChildSa | None) -> None:
    """Our new pair is the one that stays; the old one is ours to delete, and a rival is the peer's."""
    gone = child.state is ChildState.CLOSED
    # Where the peer deleted the old pair while it granted the new one, that begins a lineage of its own.
    child_create.start(turn, terms, keys, replaces=rival if gone else child)
    if rival is not None:
        rival.become(ChildState.REKEYED)
        lifetimes.await_delete(rival, turn.now)
    if not gone:
        if child.state is not ChildState.REKEYED:
            child.become(ChildState.REKEYED)
        turn.follow.append(child_delete.deletion(turn.sa, child, "rekeyed"))


def _gives_way(turn: Turn, child: ChildSa, offer: negotiation.ChildOffer) -> bool:
    """Whether the peer's rekey of the same moment stays, so that we begin no IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4).

    The peer may be done with it, or have key exchanges of its own to come. Where ours stays, the peer's goes: it stops,
    or deletes what it has made.
    """
    rival = child.rival
    if collision.gives_way(offer.lower_nonce(turn), rival, linked.claim(turn.sa, child)):
        child.rival = None
        _come_back(turn, child, busy=True)
        return True
    linked.drop(turn.sa, child)
    if rival is not None and child.state is ChildState.REKEYED:
        child.rival = None
        _serve_on(turn, child, rival.sa)
    return False


def _serve_on(turn: Turn, child: ChildSa, rival: ChildSa) -> None:
    """The pair that the peer made at once goes before ours is there, so the old one is needed a little longer."""
    if rival.state is ChildState.INSTALLED:
        rival.become(ChildState.REKEYED)
    if rival.state is not ChildState.CLOSED:
        lifetimes.await_delete(rival, turn.now)
    child.become(ChildState.REKEYING)
    turn.ctx.table.lead(child)
    lifetimes.serve_on(child)


def _take_spare(turn: Turn, terms: ChildTerms, keys: ChildKeys, child: ChildSa, rival: ChildSa) -> None:
    """The peer's new pair stays: ours is only there for what is under way, and goes at once."""
    replaced = rival if child.state is ChildState.CLOSED else child
    spare = child_sa.install(
        turn.sa, terms, keys, turn.now, began=True, limits=NO_LIMITS, replaces=replaced, spare=True
    )
    spare.become(ChildState.REKEYED)
    turn.ctx.table.lead(rival)
    turn.follow.append(child_delete.deletion(turn.sa, spare, "rekeyed-twice"))


def _failed(turn: Turn, child: ChildSa, busy: bool) -> None:
    """The peer has refused, because it is `busy` or for good."""
    if child.state is not ChildState.REKEYING:
        # It has replaced or deleted the pair itself before our request arrived (section 2.8.1).
        return
    error = first_error(turn.message)
    if error is not None and error.type == NotifyType.CHILD_SA_NOT_FOUND:
        _start_anew(turn, child)
        return
    # Whoever has lost its state, or goes on with a rekey of its own, is only to be waited for.
    busy = busy or is_forgetful(turn) or linked.claim(turn.sa, child) is not None
    if not busy:
        name = notify_name(error.type) if error is not None else "nothing"
        child_create.report(turn, child.name, f"rekey-peer-said-{name}", f"the peer answered {name}", Fault.PEER)
    _come_back(turn, child, busy=busy)


def _start_anew(turn: Turn, child: ChildSa) -> None:
    """The peer has lost the pair: it is worth nothing here either, so make a new one (section 2.25)."""
    child_sa.remove(child, "lost-by-peer", Fault.PEER, turn.now)
    others = lanes.members(turn.sa, child.group)
    if others:
        turn.follow.append(child_lane.creation(turn.sa, others[0]))
    else:
        turn.follow.append(child_create.creation(turn.sa, child.terms.config))


def _come_back(turn: Turn, child: ChildSa, *, busy: bool) -> None:
    """The pair could not be replaced now: try again, unless its hard lifetime is sooner."""
    if child.state is ChildState.REKEYING:
        _release(child)
        child.refused = True
        child.rekey_at = lifetimes.next_try(turn.sa, turn.now, busy=busy)
        lifetimes.arm_child(child)


def _release(child: ChildSa) -> None:
    if child.state is ChildState.REKEYING:
        child.become(ChildState.INSTALLED)


def _living_rival(child: ChildSa) -> Rival[ChildSa] | None:
    """The pair that the peer made at the same moment, unless it has gone already."""
    rival, child.rival = child.rival, None
    return rival if rival is not None and rival.sa.state is not ChildState.CLOSED else None
