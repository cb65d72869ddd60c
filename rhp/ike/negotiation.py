"""The terms of a Child SA, asked for and answered (RFC 7296 sections 1.2, 1.3.1, 2.9 and 2.17).

`ChildOffer` is the side that begins, `answer` the other one. Both end with `ChildTerms` and keys and install nothing.
The same payloads serve IKE_AUTH, where nonces and key exchange are those of IKE_SA_INIT, and CREATE_CHILD_SA, which
brings its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rhp.crypto import keyexchange
from rhp.crypto.errors import KeyExchangeFailed, NoProposalChosen
from rhp.crypto.keymat import ChildKeys, derive_child_keys
from rhp.crypto.proposal import accept_esp, choose_esp
from rhp.crypto.secret import Secret
from rhp.crypto.suite import EspSuite
from rhp.ike import selectors
from rhp.ike.child_sa import ChildTerms
from rhp.ike.config import ChildConfig
from rhp.ike.errors import LocalError, PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.turn import Turn
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.ke import KE
from rhp.wire.message import Payload
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.sa import SA, Proposal
from rhp.wire.ts import TrafficSelector, TSi, TSr

NONCE_OCTETS = 32

Selectors = tuple[TrafficSelector, ...]


@dataclass(frozen=True, slots=True)
class ChildAnswer:
    """What the responder settled: the payloads that say so, the terms, and the keys."""

    payloads: list[Payload]
    terms: ChildTerms
    keys: ChildKeys


def own_selectors(config: ChildConfig) -> tuple[Selectors, Selectors]:
    """The local and the remote selectors that a child asks for or accepts at most."""
    if config.mode == "ethernet":
        return config.local_ts or selectors.ETHERNET, config.remote_ts or selectors.ETHERNET
    return config.local_ts, config.remote_ts


class ChildOffer:
    """One request for a Child SA. `method` is the key exchange to use when the first choice was refused."""

    __slots__ = ("_key_exchange", "_nonce", "config", "method", "spi")

    def __init__(self, config: ChildConfig, method: int | None = None) -> None:
        self.config = config
        self.method = _preferred_method(config) if method is None else method
        self.spi = 0
        self._nonce = b""
        self._key_exchange: keyexchange.KeyExchange | None = None

    def payloads(self, turn: Turn) -> list[Payload]:
        """SA, nonce and KE of our own where needed, TSi, TSr, and the mode. Raises LocalError."""
        in_auth = turn.exchange == ExchangeType.IKE_AUTH
        self.spi = turn.ctx.allocate_spi()
        spi = self.spi.to_bytes(4)
        found: list[Payload] = []
        if self.config.mode == "ethernet":
            found.append(Notify(NotifyType.USE_TRANSPORT_MODE))
        proposals = enumerate(self.config.proposals, 1)
        found.append(SA(tuple(proposal.to_wire(number, spi, not in_auth) for number, proposal in proposals)))
        if not in_auth:
            self._nonce = turn.ctx.random(NONCE_OCTETS)
            found.append(Nonce(self._nonce))
            if self.method:
                self._key_exchange = start(self.method)
                found.append(KE(self.method, self._key_exchange.public))
        local, remote = own_selectors(self.config)
        found += [TSi(local), TSr(remote)]
        return found

    def accept(self, turn: Turn) -> tuple[ChildTerms, ChildKeys]:
        """The response's terms.

        Raises PeerError when they are not what we asked for; the peer has the SA nevertheless.
        """
        message, in_auth = turn.message, turn.exchange == ExchangeType.IKE_AUTH
        chosen, ts_i, ts_r = message.first(SA), message.first(TSi), message.first(TSr)
        if chosen is None or ts_i is None or ts_r is None:
            raise PeerError("incomplete-child", NotifyType.INVALID_SYNTAX, detail="SA, TSi or TSr is missing")
        try:
            spi_out, suite = accept_esp(chosen, self.config.proposals, not in_auth)
        except NoProposalChosen as error:
            raise PeerError("answer-not-offered", NotifyType.NO_PROPOSAL_CHOSEN, detail=str(error)) from error
        transport = message.notify(NotifyType.USE_TRANSPORT_MODE) is not None
        if transport != (self.config.mode == "ethernet"):
            raise _other_mode(transport, self.config)
        local, remote = own_selectors(self.config)
        ours, theirs = ts_i.selectors, ts_r.selectors
        # A side without any selector would carry nothing, or anything.
        if not (ours and theirs and selectors.covered(ours, local) and selectors.covered(theirs, remote)):
            raise PeerError(
                "selectors-not-offered", NotifyType.TS_UNACCEPTABLE, detail="the peer's selectors are not within ours"
            )
        keys = self._keys(turn, suite)
        return ChildTerms(self.config, suite, self.spi, int.from_bytes(spi_out), ours, theirs), keys

    def _keys(self, turn: Turn, suite: EspSuite) -> ChildKeys:
        if turn.exchange == ExchangeType.IKE_AUTH:
            return auth_child_keys(turn.sa, suite)
        nonce = turn.message.first(Nonce)
        if nonce is None:
            raise PeerError("incomplete-child", NotifyType.INVALID_SYNTAX, detail="the nonce is missing")
        shared = None
        if suite.key_exchange:
            ke = turn.message.first(KE)
            if ke is None or self._key_exchange is None or not ke.method == suite.key_exchange == self.method:
                raise PeerError("wrong-key-exchange", NotifyType.INVALID_SYNTAX)
            shared = agree(self._key_exchange, ke.data)
        return child_keys(turn.sa, suite, self._nonce, nonce.data, shared)


def answer(turn: Turn, configs: Sequence[ChildConfig]) -> ChildAnswer:
    """Settle a request with the first of `configs` that fits.

    Raises PeerError with the notify that says why none does.
    """
    in_auth = turn.exchange == ExchangeType.IKE_AUTH
    offered, ts_i, ts_r = turn.message.first(SA), turn.message.first(TSi), turn.message.first(TSr)
    if offered is None or ts_i is None or ts_r is None:
        raise PeerError("incomplete-child", NotifyType.INVALID_SYNTAX, detail="SA, TSi or TSr is missing")
    config, local, remote = _fitting(turn, configs, ts_i.selectors, ts_r.selectors)
    ke = None if in_auth else turn.message.first(KE)
    try:
        number, spi_out, suite = choose_esp(
            offered, config.proposals, not in_auth, ke.method if ke is not None else None
        )
    except NoProposalChosen as error:
        raise PeerError("no-proposal-chosen", NotifyType.NO_PROPOSAL_CHOSEN, detail=str(error)) from error
    extra, keys = _answer_keys(turn, suite, ke)
    spi_in = turn.ctx.allocate_spi()
    payloads: list[Payload] = []
    if config.mode == "ethernet":
        payloads.append(Notify(NotifyType.USE_TRANSPORT_MODE))
    payloads.append(SA((Proposal(number, Protocol.ESP, spi_in.to_bytes(4), suite.transforms()),)))
    payloads += [*extra, TSi(remote), TSr(local)]
    return ChildAnswer(payloads, ChildTerms(config, suite, spi_in, int.from_bytes(spi_out), local, remote), keys)


def _answer_keys(turn: Turn, suite: EspSuite, ke: KE | None) -> tuple[list[Payload], ChildKeys]:
    """The responder's nonce and KE, where the exchange has them, and the keys that come of it."""
    if turn.exchange == ExchangeType.IKE_AUTH:
        return [], auth_child_keys(turn.sa, suite)
    nonce_i, nonce_r = turn.message.first(Nonce), turn.ctx.random(NONCE_OCTETS)
    if nonce_i is None:
        raise PeerError("incomplete-child", NotifyType.INVALID_SYNTAX, detail="the nonce is missing")
    extra: list[Payload] = [Nonce(nonce_r)]
    shared = None
    if suite.key_exchange:
        if ke is None or ke.method != suite.key_exchange:
            raise PeerError("invalid-ke", NotifyType.INVALID_KE_PAYLOAD, data=suite.key_exchange.to_bytes(2))
        own = start(ke.method)
        extra.append(KE(ke.method, own.public))
        shared = agree(own, ke.data)
    return extra, child_keys(turn.sa, suite, nonce_i.data, nonce_r, shared)


def _other_mode(transport: bool, config: ChildConfig) -> PeerError:
    theirs = "transport" if transport else "tunnel"
    ours = "Ethernet in transport mode" if config.mode == "ethernet" else "IP in tunnel mode"
    detail = f"the peer wants {theirs} mode; the child {config.name} is {ours}"
    return PeerError("mode-mismatch", NotifyType.NO_PROPOSAL_CHOSEN, detail=detail)


def _fitting(
    turn: Turn, configs: Sequence[ChildConfig], theirs: Selectors, ours: Selectors
) -> tuple[ChildConfig, Selectors, Selectors]:
    """The first child that the peer's selectors and mode fit, with our and the peer's narrowed selectors.

    EtherIP in tunnel mode is nothing we do, nor is plain IP in transport mode: where only the mode is wrong the
    answer is NO_PROPOSAL_CHOSEN, because no choice of selectors would help (section 1.3.1).
    """
    transport = turn.message.notify(NotifyType.USE_TRANSPORT_MODE) is not None
    etherip = all(selector.protocol == selectors.ETHERNET[0].protocol for selector in theirs)
    other_mode: ChildConfig | None = None
    for config in configs:
        own_local, own_remote = own_selectors(config)
        local, remote = selectors.common_families(
            selectors.narrow(ours, own_local), selectors.narrow(theirs, own_remote)
        )
        if not local or not remote:
            continue
        # A peer that asks for transport mode takes tunnel mode as an answer, unless it wants to carry Ethernet.
        if (config.mode == "ethernet" and not transport) or (config.mode == "tunnel" and transport and etherip):
            other_mode = other_mode or config
            continue
        return config, local, remote
    if other_mode is not None:
        raise _other_mode(transport, other_mode)
    raise PeerError("ts-unacceptable", NotifyType.TS_UNACCEPTABLE, detail="no child carries what the peer asks for")


def auth_child_keys(sa: IkeSa, suite: EspSuite) -> ChildKeys:
    """The keys of the first Child SA, from the nonces of IKE_SA_INIT."""
    return child_keys(sa, suite, sa.shake.nonce_i, sa.shake.nonce_r, None)


def child_keys(sa: IkeSa, suite: EspSuite, nonce_i: bytes, nonce_r: bytes, shared: Secret | None) -> ChildKeys:
    """A Child SA's keys; `shared` is consumed."""
    if sa.sk_d is None:
        raise RuntimeError("the IKE SA has no keys")
    keys = derive_child_keys(suite, sa.agreed.prf, sa.sk_d, nonce_i, nonce_r, shared)
    if shared is not None:
        shared.wipe()
    return keys


def start(method: int) -> keyexchange.KeyExchange:
    """A fresh key pair. Raises LocalError for a method that is not there."""
    try:
        return keyexchange.start(method)
    except KeyExchangeFailed as error:
        raise LocalError("no-key-exchange", str(error)) from error


def agree(own: keyexchange.KeyExchange, public: bytes) -> Secret:
    """The shared secret. Raises PeerError for a bad public value."""
    try:
        return own.agree(public)
    except KeyExchangeFailed as error:
        raise PeerError("bad-public-value", NotifyType.INVALID_SYNTAX, detail=str(error)) from error


def _preferred_method(config: ChildConfig) -> int:
    return next((method for proposal in config.proposals for method in proposal.key_exchanges[:1]), 0)
