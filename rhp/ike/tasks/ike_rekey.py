"""Replace an IKE SA by a new one with new SPIs and keys (RFC 7296 sections 1.3.2, 2.8 and 2.18).

The children move over. Who began deletes the old IKE SA. Where both sides begin at once, or a Child SA is in the
making, the answer is TEMPORARY_FAILURE, and the one refused comes back after a while.
"""

from rhp.crypto import keyexchange
from rhp.crypto.errors import NoProposalChosen
from rhp.crypto.keymat import rederive_ike_keys
from rhp.crypto.proposal import accept_ike, choose_ike
from rhp.crypto.suite import IkeSuite
from rhp.ike import lifecycle, lifetimes
from rhp.ike.errors import Fault, PeerError
from rhp.ike.ike_sa import NO_SPI, IkeSa
from rhp.ike.negotiation import NONCE_OCTETS, agree, start
from rhp.ike.states import ChildState, IkeState
from rhp.ike.tasks import delete
from rhp.ike.tasks.child_create import asks_for_ike, is_rekeying
from rhp.ike.tasks.notices import first_error
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Ending, Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.ke import KE
from rhp.wire.nonce import Nonce
from rhp.wire.sa import SA, Proposal

REPLACED = Ending("rekeyed", Fault.NONE, "a new IKE SA took its place")
_CHILD_WORK = frozenset({ChildState.REKEYING, ChildState.DELETING})


@hook(ExchangeType.CREATE_CHILD_SA, order=10)
class IkeRekey(Task):
    """One replacement, in either role."""

    __slots__ = ("_key_exchange", "_method", "_nonce", "_payloads", "_retried", "_successor")

    def __init__(self, method: int | None = None) -> None:
        self._method = method
        self._retried = method is not None
        self._nonce = b""
        self._key_exchange: keyexchange.KeyExchange | None = None
        self._successor: IkeSa | None = None
        self._payloads: list[SA | KE | Nonce] = []

    @property
    def replaces_ike(self) -> bool:
        """Whether this task replaces the IKE SA, so that nothing else may be made on it meanwhile."""
        return True

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer wants a new IKE SA."""
        return asks_for_ike(turn)

    def build(self, turn: Turn) -> None:
        """Ask with a fresh SPI, nonce and KE; or answer and let the successor take over."""
        if turn.ours:
            self._ask(turn)
        elif self._successor is not None:
            turn.out += self._payloads
            lifecycle.succeed(turn.sa, self._successor, turn.now)

    def process(self, turn: Turn) -> None:
        """As responder make the successor; as initiator take it and let the old one go, or come back later."""
        if not turn.ours:
            self._answer(turn)
            return
        method = self._other_method(turn)
        if method is not None:
            turn.follow.append(Turn(turn.sa, turn.exchange, [IkeRekey(method)], ours=True))
        elif turn.message.first(SA) is None:
            error = first_error(turn.message)
            turn.ctx.count("ike-rekey-refused" if error is not None else "ike-rekey-unanswered")
            postpone(turn.sa, turn.now)
        else:
            self._take(turn)

    def _ask(self, turn: Turn) -> None:
        sa = turn.sa
        spi = turn.ctx.new_ike_spi()
        self._method = sa.agreed.key_exchange if self._method is None else self._method
        self._key_exchange = start(self._method)
        self._nonce = turn.ctx.random(NONCE_OCTETS)
        self._successor = IkeSa(turn.ctx, sa.id, "initiator", sa.connection, (spi, NO_SPI), sa.path, turn.now)
        turn.out.append(SA(tuple(one.to_wire(number, spi) for number, one in enumerate(sa.config.proposals, 1))))
        turn.out.append(Nonce(self._nonce))
        turn.out.append(KE(self._method, self._key_exchange.public))

    def _take(self, turn: Turn) -> None:
        sa, new, own = turn.sa, self._successor, self._key_exchange
        chosen, nonce, ke = turn.message.first(SA), turn.message.first(Nonce), turn.message.first(KE)
        if new is None or own is None or chosen is None or nonce is None or ke is None:
            raise _unusable("SA, KE or nonce is missing")
        try:
            suite = accept_ike(chosen, sa.config.proposals)
        except NoProposalChosen as error:
            raise _unusable(str(error)) from error
        spi_r = chosen.proposals[0].spi
        if len(spi_r) != 8 or not any(spi_r) or not ke.method == suite.key_exchange == own.method:
            raise _unusable("the SPI or the key exchange is not right")
        new.spi_r = spi_r
        try:
            _arm(sa, new, suite, own, ke, self._nonce, nonce.data)
        except PeerError as error:
            raise _unusable(error.detail) from error
        lifecycle.succeed(sa, new, turn.now)
        turn.follow.append(delete.deletion(sa, REPLACED))

    def _answer(self, turn: Turn) -> None:
        sa, message = turn.sa, turn.message
        if sa.state is not IkeState.ESTABLISHED or is_rekeying(sa) or _busy_with_children(sa):
            raise PeerError("busy", NotifyType.TEMPORARY_FAILURE, detail="another change is under way")
        offered, nonce, ke = message.first(SA), message.first(Nonce), message.first(KE)
        if offered is None or nonce is None or ke is None:
            raise PeerError("incomplete-rekey", NotifyType.INVALID_SYNTAX, detail="SA, KE or nonce is missing")
        try:
            number, suite = choose_ike(offered, sa.config.proposals, ke.method)
        except NoProposalChosen as error:
            raise PeerError("no-proposal-chosen", NotifyType.NO_PROPOSAL_CHOSEN, detail=str(error)) from error
        if suite.key_exchange != ke.method:
            raise PeerError("invalid-ke", NotifyType.INVALID_KE_PAYLOAD, data=suite.key_exchange.to_bytes(2))
        spi_i = next(proposal.spi for proposal in offered.proposals if proposal.number == number)
        if len(spi_i) != 8 or not any(spi_i):
            raise PeerError(
                "bad-spi", NotifyType.NO_PROPOSAL_CHOSEN, detail="a new IKE SA needs an SPI of eight octets"
            )
        spi_r, nonce_r, own = turn.ctx.new_ike_spi(), turn.ctx.random(NONCE_OCTETS), start(ke.method)
        new = IkeSa(turn.ctx, sa.id, "responder", sa.connection, (spi_i, spi_r), sa.path, turn.now)
        _arm(sa, new, suite, own, ke, nonce.data, nonce_r)
        self._successor = new
        proposal = Proposal(number, Protocol.IKE, spi_r, suite.transforms())
        self._payloads = [SA((proposal,)), Nonce(nonce_r), KE(ke.method, own.public)]

    def _other_method(self, turn: Turn) -> int | None:
        error = turn.message.notify(NotifyType.INVALID_KE_PAYLOAD)
        if self._retried or error is None or len(error.data) != 2:
            return None
        method = int.from_bytes(error.data)
        offered = {number for proposal in turn.sa.config.proposals for number in proposal.key_exchanges}
        return method if method in offered and method != self._method else None


def rekey(sa: IkeSa) -> Turn:
    """The exchange that replaces an IKE SA."""
    return Turn(sa, ExchangeType.CREATE_CHILD_SA, [IkeRekey()], ours=True)


def postpone(sa: IkeSa, now: float) -> None:
    """The peer could not replace it now: come back, unless the hard lifetime is sooner."""
    if sa.state is IkeState.ESTABLISHED:
        sa.rekey_at = now + lifetimes.retry_delay(sa)
        lifetimes.arm_ike(sa)


def _arm(
    old: IkeSa, new: IkeSa, suite: IkeSuite, own: keyexchange.KeyExchange, ke: KE, nonce_i: bytes, nonce_r: bytes
) -> None:
    """Give the successor its keys, out of the old SK_d and a fresh shared secret."""
    if old.sk_d is None:
        raise RuntimeError("the IKE SA has no keys")
    shared = agree(own, ke.data)
    keys = rederive_ike_keys(suite, old.agreed.prf, old.sk_d, shared, nonce_i, nonce_r, new.spi_i, new.spi_r)
    new.take_keys(suite, keys)
    shared.wipe()


def _busy_with_children(sa: IkeSa) -> bool:
    if any(child.state in _CHILD_WORK for child in sa.children.values()):
        return True
    return sa.turn is not None and sa.turn.exchange == ExchangeType.CREATE_CHILD_SA


def _unusable(detail: str) -> PeerError:
    """The peer now believes in an IKE SA that we cannot use, and in the end of this one: both are lost."""
    return PeerError("unusable-rekey", NotifyType.INVALID_SYNTAX, detail=detail, fatal=True)
