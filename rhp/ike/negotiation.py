"""The terms of a Child SA, asked for and answered (RFC 7296 sections 1.2, 1.3.1, 2.9 and 2.17).

`ChildOffer` is the side that begins, `answer` the other one. Both end with `ChildTerms` and keys and install nothing.
The same payloads serve IKE_AUTH, where nonces and key exchange are those of IKE_SA_INIT, and CREATE_CHILD_SA, which
brings its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rhp.crypto import keyexchange
from rhp.crypto.errors import KeyExchangeFailed, NoProposalChosen
from rhp.crypto.keymat import ChildKeys, derive_child_keys
from rhp.crypto.proposal import accept_esp, choose_esp
from rhp.crypto.secret import Secret
from rhp.crypto.suite import EspSuite
from rhp.ike import etherip, lanes, rockhopper, selectors
from rhp.ike.child_sa import ChildTerms
from rhp.ike.config import ChildConfig
from rhp.ike.errors import LocalError, PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.lanes import Place
from rhp.ike.tasks import collision
from rhp.ike.turn import Turn
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.ke import KE
from rhp.wire.message import Message, Payload
from rhp.wire.nonce import Nonce
from rhp.wire.sa import SA, Proposal
from rhp.wire.ts import TrafficSelector, TSi, TSr

NONCE_OCTETS = 32

Selectors = tuple[TrafficSelector, ...]


@dataclass(frozen=True, slots=True)
class ChildAnswer:
    """What the responder settled: the payloads that say so, the terms, the exchange's nonces and its first secret."""

    payloads: list[Payload]
    terms: ChildTerms
    nonce_i: bytes
    nonce_r: bytes
    shared: Secret | None

    @property
    def lower_nonce(self) -> bytes:
        """What decides between two exchanges that crossed."""
        return collision.lower(self.nonce_i, self.nonce_r)

    def keys(self, sa: IkeSa, further: Sequence[Secret] = ()) -> ChildKeys:
        """The pair's keys, once; `further` are the secrets of additional key exchanges."""
        return child_keys(sa, self.terms.suite, self.nonce_i, self.nonce_r, self.shared, further)


def own_selectors(sa: IkeSa, config: ChildConfig) -> tuple[Selectors, Selectors]:
    """The local and the remote selectors that a child asks for or accepts at most.

    In tunnel mode an address that the configuration payload settled belongs to its side (section 2.19); where that is
    all there is and it is not settled yet, the side has none.
    """
    if config.mode != "tunnel":
        return etherip.own_selectors(sa, config)
    given = sa.assigned.addresses if sa.assigned is not None else ()
    local = selectors.hosts(one.ip for one in given)
    return (*local, *config.local_ts), (*selectors.hosts(one.address for one in sa.leases), *config.remote_ts)


class ChildOffer:
    """One request for a Child SA.

    `method` is the key exchange to use when the first choice was refused, `place` where the pair belongs when it is not
    the first one of its group.
    """

    __slots__ = ("_key_exchange", "_nonce", "_proposals", "config", "method", "place", "spi")

    def __init__(self, config: ChildConfig, method: int | None = None, place: Place | None = None) -> None:
        self.config = config
        self.place = place
        self.method = method
        self.spi = 0
        self._proposals = config.proposals
        self._nonce = b""
        self._key_exchange: keyexchange.KeyExchange | None = None

    def payloads(self, turn: Turn) -> list[Payload]:
        """SA, nonce and KE of our own where needed, TSi, TSr, and the mode. Raises LocalError."""
        in_auth = turn.exchange == ExchangeType.IKE_AUTH
        place = self._place(turn)
        self.spi = turn.ctx.allocate_spi(place.lane)
        spi = self.spi.to_bytes(4)
        found: list[Payload] = [*etherip.notifies(turn.sa, self.config)]
        if not in_auth:
            self._proposals = rockhopper.esp_proposals(turn.sa, self.config.proposals)
        proposals = enumerate(self._proposals, 1)
        found.append(SA(tuple(proposal.to_wire(number, spi, not in_auth) for number, proposal in proposals)))
        if not in_auth:
            self._nonce = turn.ctx.random(NONCE_OCTETS)
            found.append(Nonce(self._nonce))
            if self.method is None:
                self.method = rockhopper.preferred_method(turn.sa, self._proposals)
            if self.method:
                self._key_exchange = start(self.method)
                found.append(KE(self.method, self._key_exchange.public))
        local, remote = own_selectors(turn.sa, self.config)
        if self._asks_address(turn):
            local = selectors.ANYTHING
        if not local or not remote:
            raise LocalError("no-inner-address", "an inner address is needed for this child, and none is settled")
        found += [TSi(local), TSr(remote)]
        if place.shared:
            found.append(lanes.notify(place))
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
            spi_out, suite = accept_esp(chosen, self._proposals, not in_auth)
        except NoProposalChosen as error:
            raise PeerError("answer-not-offered", NotifyType.NO_PROPOSAL_CHOSEN, detail=str(error)) from error
        ours, theirs = ts_i.selectors, ts_r.selectors
        if not etherip.same_mode(turn.sa, message, self.config):
            raise _other_mode(message, self.config)
        local, remote = own_selectors(turn.sa, self.config)
        if self._asks_address(turn):
            # Not every responder narrows our side to the address that it gave, which we could not know when we asked.
            ours, theirs = selectors.common_families(selectors.narrow(ours, local), theirs)
        # A side without any selector would carry nothing, or anything.
        if not (ours and theirs and selectors.covered(ours, local) and selectors.covered(theirs, remote)):
            raise PeerError(
                "selectors-not-offered", NotifyType.TS_UNACCEPTABLE, detail="the peer's selectors are not within ours"
            )
        place = self._place(turn)
        if place.group is None:
            place = replace(place, shared=place.shared and message.notify(NotifyType.SA_RESOURCE_INFO) is not None)
        keys = self._keys(turn, suite)
        return ChildTerms(self.config, suite, self.spi, int.from_bytes(spi_out), ours, theirs, place), keys

    def _asks_address(self, turn: Turn) -> bool:
        """Whether our side of this child is an address that the same request asks for (section 2.19)."""
        asks = turn.exchange == ExchangeType.IKE_AUTH and turn.sa.config.request_addresses
        return asks and self.config.mode == "tunnel"

    def lower_nonce(self, turn: Turn) -> bytes:
        """The lower nonce of the exchange, once it is answered with a pair."""
        nonce = turn.message.first(Nonce)
        return self._nonce if nonce is None else collision.lower(self._nonce, nonce.data)

    def _place(self, turn: Turn) -> Place:
        if self.place is None:
            self.place = lanes.first_place(turn.sa)
        return self.place

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
        return child_keys(turn.sa, suite, self._nonce, nonce.data, shared, further_secrets(turn, suite.rounds))


def answer(turn: Turn, configs: Sequence[ChildConfig], place: Place | None = None) -> ChildAnswer:
    """Settle a request with the first of `configs` that fits; a pair that replaces another takes its `place`.

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
            offered,
            rockhopper.esp_proposals(turn.sa, config.proposals),
            not in_auth,
            ke.method if ke is not None else None,
        )
    except NoProposalChosen as error:
        raise PeerError("no-proposal-chosen", NotifyType.NO_PROPOSAL_CHOSEN, detail=str(error)) from error
    if place is None:
        place = lanes.granted_place(turn.sa, turn.message, config.name, local, remote)
        lanes.check_alike(turn.sa, place, suite, local, remote)
    extra, nonce_i, nonce_r, shared = _answer_secrets(turn, suite, ke)
    spi_in = turn.ctx.allocate_spi(place.lane)
    payloads: list[Payload] = [*etherip.notifies(turn.sa, config)]
    payloads.append(SA((Proposal(number, Protocol.ESP, spi_in.to_bytes(4), suite.transforms()),)))
    payloads += [*extra, TSi(remote), TSr(local)]
    if place.shared:
        payloads.append(lanes.notify(place))
    terms = ChildTerms(config, suite, spi_in, int.from_bytes(spi_out), local, remote, place)
    return ChildAnswer(payloads, terms, nonce_i, nonce_r, shared)


def _answer_secrets(turn: Turn, suite: EspSuite, ke: KE | None) -> tuple[list[Payload], bytes, bytes, Secret | None]:
    """The responder's nonce and KE, where the exchange has them, both nonces, and the secret."""
    if turn.exchange == ExchangeType.IKE_AUTH:
        return [], turn.sa.shake.nonce_i, turn.sa.shake.nonce_r, None
    nonce_i, nonce_r = turn.message.first(Nonce), turn.ctx.random(NONCE_OCTETS)
    if nonce_i is None:
        raise PeerError("incomplete-child", NotifyType.INVALID_SYNTAX, detail="the nonce is missing")
    extra: list[Payload] = [Nonce(nonce_r)]
    shared = None
    if suite.key_exchange:
        if ke is None or ke.method != suite.key_exchange:
            raise PeerError("invalid-ke", NotifyType.INVALID_KE_PAYLOAD, data=suite.key_exchange.to_bytes(2))
        public, shared = respond(ke)
        extra.append(KE(ke.method, public))
    return extra, nonce_i.data, nonce_r, shared


def _other_mode(message: Message, config: ChildConfig) -> PeerError:
    theirs = "tunnel" if message.notify(NotifyType.USE_TRANSPORT_MODE) is None else "transport"
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
    ethernet = etherip.carries_ethernet(turn.sa, turn.message, theirs)
    other_mode: ChildConfig | None = None
    unasked = False
    for config in configs:
        own_local, own_remote = own_selectors(turn.sa, config)
        unasked = unasked or not own_remote
        local, remote = selectors.common_families(
            selectors.narrow(ours, own_local), selectors.narrow(theirs, own_remote)
        )
        if not local or not remote:
            continue
        # A peer that asks for transport mode takes tunnel mode as an answer, unless it wants to carry Ethernet.
        if etherip.same_mode(turn.sa, turn.message, config) or (config.mode == "tunnel" and not ethernet):
            return config, local, remote
        other_mode = other_mode or config
    if other_mode is not None:
        raise _other_mode(turn.message, other_mode)
    if unasked:
        detail = "the peer has to ask for an inner address, and did not"
        raise PeerError("address-not-asked-for", NotifyType.FAILED_CP_REQUIRED, detail=detail)
    raise PeerError("ts-unacceptable", NotifyType.TS_UNACCEPTABLE, detail="no child carries what the peer asks for")


def auth_child_keys(sa: IkeSa, suite: EspSuite) -> ChildKeys:
    """The keys of the first Child SA, from the nonces of IKE_SA_INIT."""
    return child_keys(sa, suite, sa.shake.nonce_i, sa.shake.nonce_r, None)


def child_keys(
    sa: IkeSa,
    suite: EspSuite,
    nonce_i: bytes,
    nonce_r: bytes,
    shared: Secret | None,
    further: Sequence[Secret] = (),
) -> ChildKeys:
    """A Child SA's keys; `shared` is consumed."""
    if sa.sk_d is None:
        raise RuntimeError("the IKE SA has no keys")
    keys = derive_child_keys(suite, sa.agreed.prf, sa.sk_d, nonce_i, nonce_r, shared, further)
    if shared is not None:
        shared.wipe()
    return keys


def further_secrets(turn: Turn, rounds: tuple[int, ...]) -> Sequence[Secret]:
    """As initiator: the secrets of the additional key exchanges. Raises PeerError when there are not as many as agreed.

    There are none where the peer has left them out, or has sent something that was of no use.
    """
    found = turn.further or ()
    if len(found) != len(rounds):
        raise PeerError("key-exchange-left-out", NotifyType.INVALID_SYNTAX, detail="an additional key exchange failed")
    return found


def start(method: int) -> keyexchange.KeyExchange:
    """A fresh key pair. Raises LocalError for a method that is not there."""
    try:
        return keyexchange.start(method)
    except KeyExchangeFailed as error:
        raise LocalError("no-key-exchange", str(error)) from error


def respond(ke: KE) -> tuple[bytes, Secret]:
    """Our own public value for the peer's, and the secret. Raises PeerError for a bad value."""
    try:
        return keyexchange.respond(ke.method, ke.data)
    except KeyExchangeFailed as error:
        raise PeerError("bad-public-value", NotifyType.INVALID_SYNTAX, detail=str(error)) from error


def agree(own: keyexchange.KeyExchange, public: bytes) -> Secret:
    """The shared secret. Raises PeerError for a bad public value."""
    try:
        return own.agree(public)
    except KeyExchangeFailed as error:
        raise PeerError("bad-public-value", NotifyType.INVALID_SYNTAX, detail=str(error)) from error
