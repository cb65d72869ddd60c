"""Replace an IKE SA by a new one with new SPIs and keys (RFC 7296 sections 1.3.2, 2.8 and 2.18).

The children move over. Who began deletes the old IKE SA. Where both sides begin at once there are two new ones for a
moment, and `collision` tells which one stays. While a Child SA is in the making or going, or the IKE SA itself, the
answer is TEMPORARY_FAILURE, and the one refused comes back after a while (section 2.25).
"""

from collections.abc import Sequence
from functools import partial

from rhp.crypto import keyexchange
from rhp.crypto.errors import NoProposalChosen
from rhp.crypto.keymat import rederive_ike_keys
from rhp.crypto.proposal import accept_ike, choose_ike
from rhp.crypto.secret import Secret
from rhp.crypto.suite import IkeSuite
from rhp.ike import lifecycle, lifetimes, linked, negotiation, renewal, rockhopper
from rhp.ike.errors import Fault, PeerError
from rhp.ike.ike_sa import NO_SPI, IkeSa
from rhp.ike.linked import Linked
from rhp.ike.negotiation import NONCE_OCTETS, agree, start
from rhp.ike.states import CHANGES, ChildState, IkeState
from rhp.ike.tasks import child_delete, collision, delete, followup
from rhp.ike.tasks.child_create import asks_for_ike, is_rekeying
from rhp.ike.tasks.collision import Rival
from rhp.ike.tasks.notices import first_error
from rhp.ike.tasks.patience import is_busy, is_forgetful
from rhp.ike.tasks.qcd import RekeyToken
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Ending, Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.ke import KE
from rhp.wire.nonce import Nonce
from rhp.wire.sa import SA, Proposal

REPLACED = Ending("rekeyed", Fault.NONE, "a new IKE SA took its place")
TOO_MANY = Ending("rekeyed-twice", Fault.NONE, "the peer replaced the IKE SA at the same moment")
_CHILD_WORK = frozenset({ChildState.REKEYING, ChildState.DELETING})


@hook(ExchangeType.CREATE_CHILD_SA, order=10)
class IkeRekey(Task):
    """One replacement, in either role; `old` is the IKE SA that it was asked for."""

    __slots__ = (
        "_key_exchange",
        "_method",
        "_nonce",
        "_nonces",
        "_old",
        "_payloads",
        "_retried",
        "_shared",
        "_successor",
        "_suite",
    )

    def __init__(self, old: IkeSa | None = None, method: int | None = None) -> None:
        self._old = old
        self._method = method
        self._retried = method is not None
        self._nonce = b""
        self._key_exchange: keyexchange.KeyExchange | None = None
        self._successor: IkeSa | None = None
        self._suite: IkeSuite | None = None
        self._shared: Secret | None = None
        self._nonces = (b"", b"")
        self._payloads: list[SA | KE | Nonce] = []

    @property
    def replaces_ike(self) -> bool:
        """Whether this task replaces the IKE SA, so that nothing else may be made on it meanwhile."""
        return True

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer wants a new IKE SA."""
        return asks_for_ike(turn)

    def moot(self, turn: Turn) -> bool:
        """Whether it has been replaced since, or is ending."""
        return Task.moot(self, turn) or turn.sa is not self._old

    def build(self, turn: Turn) -> None:
        """Ask with a fresh SPI, nonce and KE; or answer and let the successor take over."""
        if turn.ours:
            self._ask(turn)
        elif self._successor is not None and self._suite is not None:
            turn.out += self._payloads
            rounds, nonce = self._suite.rounds, collision.lower(*self._nonces)
            if rounds and is_rekeying(turn.sa):
                turn.ctx.count("ike-rekeys-crossed")
            followup.settle(turn, Linked(rounds, self._finish, self._shared, turn.sa, nonce))

    def process(self, turn: Turn) -> None:
        """As responder make the successor; as initiator take it and let the old one go, or come back later."""
        if not turn.ours:
            self._answer(turn)
            return
        if renewal.overtaken(turn.sa):
            turn.ctx.count("rekey-overtaken")
            lifecycle.adopt_rival(turn.sa, turn.now)
            return
        if followup.goes_on(turn, self, partial(self._gives_way, turn)):
            return
        busy = turn.sa.rival is None and linked.claim(turn.sa, turn.sa) is None and is_busy(turn)
        method = self._other_method(turn)
        if method is not None:
            turn.follow.append(Turn(turn.sa, ExchangeType.CREATE_CHILD_SA, _tasks(turn.sa, method), ours=True))
        elif turn.message.first(SA) is None:
            _failed(turn, busy)
        else:
            self._take(turn)

    def _ask(self, turn: Turn) -> None:
        sa = turn.sa
        spi = turn.ctx.new_ike_spi()
        self._method = sa.agreed.key_exchange if self._method is None else self._method
        self._key_exchange = start(self._method)
        self._nonce = turn.ctx.random(NONCE_OCTETS)
        self._successor = IkeSa(turn.ctx, sa.id, "initiator", sa.connection, (spi, NO_SPI), sa.path, turn.now)
        turn.out.append(SA(rockhopper.ike_offer(sa, spi)))
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
            further = negotiation.further_secrets(turn, suite.rounds)
            _arm(sa, new, suite, agree(own, ke.data), (self._nonce, nonce.data), further)
        except PeerError as error:
            raise _unusable(error.detail) from error
        self._settle(turn, new, collision.lower(self._nonce, nonce.data))

    def _settle(self, turn: Turn, new: IkeSa, nonce: bytes) -> None:
        """Both sides have the new IKE SA: it takes the old one's place, unless the peer's rekey made a better one."""
        sa, rival = turn.sa, turn.sa.rival
        if rival is None and collision.gives_way(nonce, None, linked.claim(sa, sa)):
            # The peer goes on with its own key exchanges; until they are done the old one serves.
            lifecycle.inherit(sa, new, turn.now)
            lifecycle.step_aside(new, sa, turn.now)
            turn.follow.append(delete.deletion(new, TOO_MANY))
            _come_back(turn, busy=True)
            return
        if rival is None:
            lifecycle.succeed(sa, new, turn.now)
        elif collision.loses(nonce, rival):
            lifecycle.inherit(sa, new, turn.now)
            lifecycle.succeed(sa, rival.sa, turn.now)
            lifecycle.step_aside(new, rival.sa, turn.now)
            turn.follow.append(delete.deletion(new, TOO_MANY))
            return
        else:
            lifecycle.succeed(sa, new, turn.now)
            lifecycle.step_aside(rival.sa, new, turn.now)
        turn.follow.append(delete.deletion(sa, REPLACED))

    def _gives_way(self, turn: Turn) -> bool:
        """Whether the peer's rekey of the same moment stays, so that we begin no IKE_FOLLOWUP_KE (RFC 9370 2.2.4).

        The peer may be done with it, or have key exchanges of its own to come. Where ours stays, the peer's goes: it
        stops, or deletes what it has made.
        """
        sa, rival, nonce = turn.sa, turn.sa.rival, turn.message.first(Nonce)
        own = collision.lower(self._nonce, nonce.data) if nonce is not None else self._nonce
        if collision.gives_way(own, rival, linked.claim(sa, sa)):
            if not lifecycle.adopt_rival(sa, turn.now):
                _come_back(turn, busy=True)
            return True
        linked.drop(sa, sa)
        if rival is not None:
            lifecycle.step_aside(rival.sa, sa, turn.now)
            sa.rival = None
        return False

    def _answer(self, turn: Turn) -> None:
        sa, message = turn.sa, turn.message
        # One with a successor before its time is itself a rival, of which it is not known yet whether it stays.
        crossing = sa.rival is not None or sa.successor is not None
        if is_rekeying(sa):
            crossing = crossing or followup.is_under_way(sa) or not rockhopper.survives_crossing(sa)
        if sa.state is not IkeState.ESTABLISHED or crossing or _busy_with_children(sa):
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
        public, self._shared = negotiation.respond(ke)
        spi_r, nonce_r = turn.ctx.new_ike_spi(), turn.ctx.random(NONCE_OCTETS)
        self._successor = IkeSa(turn.ctx, sa.id, "responder", sa.connection, (spi_i, spi_r), sa.path, turn.now)
        self._suite, self._nonces = suite, (nonce.data, nonce_r)
        proposal = Proposal(number, Protocol.IKE, spi_r, suite.transforms())
        self._payloads = [SA((proposal,)), Nonce(nonce_r), KE(ke.method, public)]

    def _finish(self, turn: Turn, further: Sequence[Secret]) -> None:
        """As responder, after the last key exchange. Raises PeerError when it is no longer a good time."""
        sa, new = turn.sa, self._successor
        if new is None or self._suite is None or self._shared is None:
            raise RuntimeError("the request was not processed")
        if further and (sa.rival is not None or _busy_with_children(sa)):
            raise PeerError("busy", NotifyType.TEMPORARY_FAILURE, detail="another change is under way")
        _arm(sa, new, self._suite, self._shared, self._nonces, further)
        self._make_way(turn, new)

    def _make_way(self, turn: Turn, new: IkeSa) -> None:
        """The peer has its answer: the successor takes over, or waits until our own request is answered."""
        sa = turn.sa
        if not is_rekeying(sa):
            lifecycle.succeed(sa, new, turn.now)
            return
        if not new.agreed.rounds:
            turn.ctx.count("ike-rekeys-crossed")
        lifecycle.inherit(sa, new, turn.now)
        sa.rival = Rival(new, collision.lower(*self._nonces))

    def _other_method(self, turn: Turn) -> int | None:
        error = turn.message.notify(NotifyType.INVALID_KE_PAYLOAD)
        if turn.sa.rival is not None or self._retried or error is None or len(error.data) != 2:
            return None
        method = int.from_bytes(error.data)
        offered = {number for proposal in turn.sa.config.proposals for number in proposal.key_exchanges}
        return method if method in offered and method != self._method else None


def rekey(sa: IkeSa) -> Turn:
    """The exchange that replaces an IKE SA."""
    return Turn(sa, ExchangeType.CREATE_CHILD_SA, _tasks(sa), ours=True)


def _tasks(sa: IkeSa, method: int | None = None) -> list[Task]:
    return [IkeRekey(sa, method), RekeyToken()]


def _failed(turn: Turn, busy: bool) -> None:
    """The peer has refused. If it has replaced the IKE SA itself meanwhile, its own successor is the one that stays."""
    sa = turn.sa
    if lifecycle.adopt_rival(sa, turn.now):
        return
    turn.ctx.count("ike-rekey-refused" if first_error(turn.message) is not None else "ike-rekey-unanswered")
    _come_back(turn, busy=busy or is_forgetful(turn) or linked.claim(sa, sa) is not None)


def _come_back(turn: Turn, *, busy: bool) -> None:
    """The IKE SA is not replaced now: try again later, if it is still there by then."""
    sa = turn.sa
    if sa.state is IkeState.ESTABLISHED:
        sa.rekey_at = lifetimes.next_try(sa, turn.now, busy=busy)
        lifetimes.arm_ike(sa)


def _arm(
    old: IkeSa, new: IkeSa, suite: IkeSuite, shared: Secret, nonces: tuple[bytes, bytes], further: Sequence[Secret]
) -> None:
    """Give the successor its keys, out of the old SK_d and fresh secrets; `shared` is consumed."""
    if old.sk_d is None:
        raise RuntimeError("the IKE SA has no keys")
    keys = rederive_ike_keys(suite, old.agreed.prf, old.sk_d, shared, *nonces, new.spi_i, new.spi_r, further)
    new.take_keys(suite, keys)
    shared.wipe()


def _busy_with_children(sa: IkeSa) -> bool:
    if any(child.state in _CHILD_WORK for child in sa.children.values()):
        return True
    if sa.turn is None:
        return False
    if sa.turn.exchange in CHANGES:
        return not is_rekeying(sa)
    return any(isinstance(task, child_delete.ChildDelete) for task in sa.turn.tasks)


def _unusable(detail: str) -> PeerError:
    """The peer now believes in an IKE SA that we cannot use, and in the end of this one: both are lost."""
    return PeerError("unusable-rekey", NotifyType.INVALID_SYNTAX, detail=detail, fatal=True)
