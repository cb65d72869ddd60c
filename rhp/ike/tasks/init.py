"""SA, KE and nonces of IKE_SA_INIT: the suite and the keys of a new IKE SA (RFC 7296 section 1.2)."""

from rhp.crypto.errors import NoProposalChosen
from rhp.crypto.keymat import derive_ike_keys
from rhp.crypto.proposal import accept_ike
from rhp.crypto.suite import IkeSuite
from rhp.ike import candidates
from rhp.ike.errors import PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.negotiation import NONCE_OCTETS, agree, start
from rhp.ike.tasks import intermediate
from rhp.ike.tasks.cookie import restart
from rhp.ike.tasks.notices import first_error, notify_name
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.ke import KE
from rhp.wire.nonce import Nonce
from rhp.wire.sa import SA, Proposal


@hook(ExchangeType.IKE_SA_INIT, order=20)
class InitTask(Task):
    """As initiator offer and accept; as responder choose. Either way the SA has its keys afterwards."""

    __slots__ = ("_number",)

    def __init__(self) -> None:
        self._number = 1

    def build(self, turn: Turn) -> None:
        """SA, KE, Ni or Nr."""
        if turn.ours:
            self._offer(turn)
        else:
            self._answer(turn)

    def process(self, turn: Turn) -> None:
        """Raises PeerError; as initiator the answer may also have us begin anew."""
        if turn.ours:
            self._accept(turn)
        else:
            self._choose(turn)

    def _offer(self, turn: Turn) -> None:
        sa, shake = turn.sa, turn.sa.shake
        proposals = sa.config.proposals
        if shake.key_exchange is None:
            shake.key_exchange = start(proposals[0].key_exchanges[0])
            shake.nonce_i = turn.ctx.random(NONCE_OCTETS)
        turn.out.append(SA(tuple(proposal.to_wire(number) for number, proposal in enumerate(proposals, 1))))
        turn.out.append(KE(shake.key_exchange.method, shake.key_exchange.public))
        turn.out.append(Nonce(shake.nonce_i))

    def _accept(self, turn: Turn) -> None:
        sa, message = turn.sa, turn.message
        error = first_error(message)
        if error is not None and error.type == NotifyType.INVALID_KE_PAYLOAD:
            _other_method(turn, error.data)
            return
        if error is not None:
            name = notify_name(error.type)
            raise PeerError(f"peer-said-{name}", error.type, detail=f"the peer answered {name}")
        chosen, ke, nonce = _contents(turn)
        try:
            suite = accept_ike(chosen, sa.config.proposals)
        except NoProposalChosen as refusal:
            raise PeerError("answer-not-offered", NotifyType.NO_PROPOSAL_CHOSEN, detail=str(refusal)) from refusal
        if not any(message.spi_r) or sa.shake.key_exchange is None:
            raise PeerError("no-responder-spi", NotifyType.INVALID_SYNTAX)
        if ke.method != suite.key_exchange or ke.method != sa.shake.key_exchange.method:
            raise PeerError("wrong-key-exchange", NotifyType.INVALID_SYNTAX)
        if suite.rounds and message.notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) is None:
            raise PeerError("no-intermediate", NotifyType.INVALID_SYNTAX, detail="the peer chose what it cannot do")
        _derive(turn, suite, ke, spi_r=message.spi_r, nonce_r=nonce.data)
        intermediate.go_on(turn)

    def _choose(self, turn: Turn) -> None:
        sa = turn.sa
        offered, ke, nonce = _contents(turn)
        try:
            sa.connection, self._number, suite = candidates.by_proposal(
                turn.ctx.directory.offers(turn.path),
                offered,
                ke.method,
                turn.message.notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) is not None,
            )
        except NoProposalChosen as refusal:
            raise PeerError("no-proposal-chosen", NotifyType.NO_PROPOSAL_CHOSEN, detail=str(refusal)) from refusal
        if suite.key_exchange != ke.method:
            wanted = suite.key_exchange.to_bytes(2)
            raise PeerError("invalid-ke", NotifyType.INVALID_KE_PAYLOAD, data=wanted)
        shake = sa.shake
        shake.key_exchange = start(ke.method)
        shake.nonce_i = nonce.data
        _derive(turn, suite, ke, spi_r=sa.spi_r, nonce_r=turn.ctx.random(NONCE_OCTETS))

    def _answer(self, turn: Turn) -> None:
        sa, shake = turn.sa, turn.sa.shake
        if shake.key_exchange is None:
            raise RuntimeError("the request was not processed")
        turn.out.append(SA((Proposal(self._number, Protocol.IKE, b"", sa.agreed.transforms()),)))
        turn.out.append(KE(shake.key_exchange.method, shake.key_exchange.public))
        turn.out.append(Nonce(shake.nonce_r))
        shake.key_exchange = None


def begin(sa: IkeSa) -> Turn:
    """The first exchange of an IKE SA that we initiate."""
    return Turn(sa, ExchangeType.IKE_SA_INIT, ours=True)


def _contents(turn: Turn) -> tuple[SA, KE, Nonce]:
    offered, ke, nonce = turn.message.first(SA), turn.message.first(KE), turn.message.first(Nonce)
    if offered is None or ke is None or nonce is None:
        raise PeerError("incomplete-init", NotifyType.INVALID_SYNTAX, detail="SA, KE or nonce is missing")
    return offered, ke, nonce


def _derive(turn: Turn, suite: IkeSuite, ke: KE, *, spi_r: bytes, nonce_r: bytes) -> None:
    sa, shake = turn.sa, turn.sa.shake
    if shake.key_exchange is None:
        raise RuntimeError("no key exchange is under way")
    shared = agree(shake.key_exchange, ke.data)
    sa.spi_r, shake.nonce_r, shake.rounds = spi_r, nonce_r, suite.rounds
    sa.take_keys(suite, derive_ike_keys(suite, shared, shake.nonce_i, nonce_r, sa.spi_i, spi_r))
    shared.wipe()


def _other_method(turn: Turn, data: bytes) -> None:
    """INVALID_KE_PAYLOAD names the method that the responder wants; it has to be one that we offered (section 1.2)."""
    sa, shake = turn.sa, turn.sa.shake
    wanted = int.from_bytes(data) if len(data) == 2 else -1
    offered = {method for proposal in sa.config.proposals for method in proposal.key_exchanges}
    current = shake.key_exchange.method if shake.key_exchange is not None else -1
    if wanted not in offered or wanted == current:
        raise PeerError("bad-invalid-ke", NotifyType.INVALID_SYNTAX, detail="the peer wants a method we did not offer")
    shake.key_exchange = start(wanted)
    restart(turn)
