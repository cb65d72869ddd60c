"""Replace a Child SA: REKEY_SA names the old pair, the rest is a new Child SA (RFC 7296 sections 1.3.3 and 2.8).

Who began sends on the new pair at once and deletes the old one. Where both sides begin at once, each answers the other
with TEMPORARY_FAILURE, and they come back after different delays.
"""

from rhp.ike import child_sa, lifetimes, negotiation
from rhp.ike.child_sa import ChildSa
from rhp.ike.errors import Fault, LocalError, PeerError
from rhp.ike.states import ChildState
from rhp.ike.tasks import child_create, child_delete
from rhp.ike.tasks.notices import first_error, notify_name
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
        self._offer = negotiation.ChildOffer(child.terms.config, method) if child is not None else None
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
            found = negotiation.answer(turn, [child.terms.config])
            turn.out += found.payloads
            child.become(ChildState.REKEYED)
            child_create.start(turn, found.terms, found.keys, replaces=child)

    def process(self, turn: Turn) -> None:
        """As responder find the pair; as initiator take the new one and let the old one go, or come back later."""
        if not turn.ours:
            self._child = _named(turn)
            return
        child, offer = self._child, self._offer
        if child is None or offer is None:
            return
        method = child_create.other_method(turn, offer) if not self._retried else None
        if method is not None:
            _release(child)
            turn.follow.append(Turn(turn.sa, turn.exchange, [ChildRekey(child, method)], ours=True))
        elif turn.message.first(SA) is None:
            self._failed(turn, child)
        else:
            self._take(turn, child, offer)

    def _take(self, turn: Turn, child: ChildSa, offer: negotiation.ChildOffer) -> None:
        try:
            terms, keys = offer.accept(turn)
        except PeerError as error:
            child_create.report(turn, child.name, error.reason, error.detail, Fault.PEER)
            turn.follow.append(child_delete.disowning(turn.sa, offer.spi))
            postpone(child, turn.now)
            return
        if child.state is ChildState.CLOSED:
            # The peer deleted the old pair while it granted the new one; that begins a lineage of its own.
            child_create.start(turn, terms, keys)
            return
        child.become(ChildState.REKEYED)
        child_create.start(turn, terms, keys, replaces=child)
        turn.follow.append(child_delete.deletion(turn.sa, child, "rekeyed"))

    def _failed(self, turn: Turn, child: ChildSa) -> None:
        if child.state is ChildState.CLOSED:
            # The peer deleted it before our request arrived, and wants it neither old nor new.
            return
        error = first_error(turn.message)
        if error is not None and error.type == NotifyType.CHILD_SA_NOT_FOUND:
            # The peer has lost it: it is worth nothing here either, so make a new one (section 2.25).
            child_sa.remove(child, "lost-by-peer", Fault.PEER)
            turn.follow.append(child_create.creation(turn.sa, child.terms.config))
            return
        if error is None or error.type != NotifyType.TEMPORARY_FAILURE:
            name = notify_name(error.type) if error is not None else "nothing"
            child_create.report(turn, child.name, f"rekey-peer-said-{name}", f"the peer answered {name}", Fault.PEER)
        postpone(child, turn.now)


def rekey(child: ChildSa) -> Turn:
    """The exchange that replaces a pair. Raises LocalError when it is not a pair to replace now."""
    if child.state is not ChildState.INSTALLED:
        raise LocalError("child-busy", f"the Child SA is {child.state.value}")
    return Turn(child.sa, ExchangeType.CREATE_CHILD_SA, [ChildRekey(child)], ours=True)


def postpone(child: ChildSa, now: float) -> None:
    """The peer could not replace it now: come back, unless its hard lifetime is sooner."""
    if child.state is ChildState.CLOSED:
        return
    _release(child)
    child.rekey_at = now + lifetimes.retry_delay(child.sa)
    lifetimes.arm_child(child)


def _release(child: ChildSa) -> None:
    if child.state is ChildState.REKEYING:
        child.become(ChildState.INSTALLED)


def _named(turn: Turn) -> ChildSa:
    """The pair that the peer wants replaced; it names its inbound SPI, which is our outbound one."""
    notify = turn.message.notify(NotifyType.REKEY_SA)
    spi = notify.spi if notify is not None else b""
    found = child_delete.by_outbound(turn.sa, spi) if notify is not None and notify.protocol == Protocol.ESP else None
    child_create.check_free(turn.sa, replacing=True)
    if found is None or found.state is ChildState.REKEYED:
        raise PeerError("child-not-found", NotifyType.CHILD_SA_NOT_FOUND, spi=spi)
    if found.state is not ChildState.INSTALLED:
        raise PeerError("busy", NotifyType.TEMPORARY_FAILURE, detail=f"the Child SA is {found.state.value}")
    return found
