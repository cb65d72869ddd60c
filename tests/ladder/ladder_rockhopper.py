"""A Rockhopper for ladder tests: it says what the original says, in its order, and minds what the original minds.

What it does is written down from recordings of the original (tests/vectors/rockhopper.md), and where these show nothing
from its behaviour as its source tells. It holds one IKE SA with one Child SA and knows both roles.
"""

import os
from dataclasses import dataclass, replace
from hashlib import sha1
from ipaddress import IPv4Address

from rhp.crypto import keyexchange
from rhp.crypto.auth import auth_octets, psk_auth, resumption_auth
from rhp.crypto.cipher import IkeCipher
from rhp.crypto.keymat import derive_child_keys, derive_ike_keys, rederive_ike_keys, resume_ike_keys
from rhp.crypto.proposal import (
    accept_esp,
    accept_ike,
    choose_esp,
    choose_ike,
    parse_esp_proposal,
    parse_ike_proposal,
)
from rhp.crypto.secret import Secret
from rhp.ike.selectors import ANYTHING, covered, hosts
from rhp.wire.auth import AUTH
from rhp.wire.certreq import CERTREQ
from rhp.wire.cp import CP, Attribute
from rhp.wire.delete import Delete
from rhp.wire.iana import CfgAttribute, CfgType, ExchangeType, IdType, NotifyType, Protocol, TransformType
from rhp.wire.identity import IDi, IDr
from rhp.wire.ke import KE
from rhp.wire.message import (
    Message,
    build_message,
    build_payloads,
    parse_message,
    parse_payloads,
    sealed_offset,
    sealed_prefix,
)
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.private import ROCKHOPPER_VENDOR_ID, RockhopperAttribute, RockhopperNotify
from rhp.wire.sa import SA, Proposal
from rhp.wire.sk import SK
from rhp.wire.ts import TSi, TSr
from rhp.wire.vendor import Vendor

IKE_SUITE = "aes256-sha512-modp2048"
# PRF and integrity are lists of their own; of each it takes the first that the other side has as well.
IKE = parse_ike_proposal("aes256-aes192-aes128-3des-sha512-sha384-sha256-sha1-modp2048-modp1536-modp1024")
ESP = parse_esp_proposal("aes256-aes192-aes128-3des-sha512-sha384-sha256-sha1-modp2048-modp1536-modp1024-esn-noesn")
ESP_WITHOUT_PFS = parse_esp_proposal("aes256-aes192-aes128-3des-sha512-sha384-sha256-sha1-esn-noesn")
KNOWN = {TransformType.ENCR, TransformType.PRF, TransformType.INTEG, TransformType.KE, TransformType.ESN}
"""The transform types without which a message is not invalid to it."""
MODP_2048 = 14
IP4_ONLY = ANYTHING[:1]
MAC = bytes.fromhex("02aabbccddee")
IP4 = bytes((10, 96, 0, 2))
ASKED = (1, 2, 8, 13, 3, 15, 10, 7, *RockhopperAttribute)
SERVER = bytes((10, 96, 0, 254))


@dataclass
class Pair:
    """The child: SPIs as four octets, its keys by who began the exchange, and the lower nonce of that."""

    spi_in: bytes
    spi_out: bytes
    keys: object
    began: bool
    suite: object
    nonce: bytes


class Rockhopper:
    """`send` is given each datagram; `identity` and `peer` are FQDNs.

    With `asks` it is a client that asks for its inner address in IKE_AUTH and each CREATE_CHILD_SA. As server it
    answers who asks, with another address each time; `gateway` is what it says of its router then. Of an address family
    of which it was asked for an address and has none, it takes the selectors away; with `narrows`, a setting of its
    realm, it makes the client's that one address. `pfs` is a setting as well.
    """

    def __init__(self, send, psk, identity="b.test", peer="a.test", *, pfs=True):
        self._send, self._psk = send, Secret(psk)
        self.identity, self.peer = identity.encode(), peer.encode()
        self.initiator = False
        self.message_id = 0
        self.child = None
        self.received = []
        self.asks = self.narrows = False
        self.pfs, self.esp = pfs, ESP if pfs else ESP_WITHOUT_PFS
        self.own_ts = self.peer_ts = ANYTHING
        self.resumed = False
        self.ticket = None
        self.told, self.gateway, self._lent = None, SERVER, 0
        self.cipher_in = self.cipher_out = None

    # As initiator.

    def begin(self):
        self.initiator = True
        self.spi_i, self.spi_r = os.urandom(8), bytes(8)
        self.ke = keyexchange.start(MODP_2048)
        self.nonce_i = os.urandom(64)
        self.message_i = self._plain(False, self._init_payloads(IKE.to_wire(1), self.nonce_i))
        self._send(self.message_i)

    def authenticate(self, answer):
        """Take the answer to IKE_SA_INIT and ask for the rest."""
        message = parse_message(answer)
        assert Vendor(ROCKHOPPER_VENDOR_ID) in message.payloads, "without it there is no EtherIP"
        self.message_r, self.nonce_r, self.spi_r = answer, message.first(Nonce).data, message.spi_r
        self.suite = accept_ike(message.first(SA), (IKE,))
        self._derive(message.first(KE))
        self._ask_auth()

    def _ask_auth(self):
        own = IDi(IdType.FQDN, self.identity)
        self._spi = os.urandom(4)
        self.message_id = 1
        self._request(
            ExchangeType.IKE_AUTH,
            own,
            Notify(NotifyType.INITIAL_CONTACT),
            CERTREQ(4, b""),
            IDr(IdType.FQDN, self.peer),
            self._proof(own, ours=True),
            Notify(RockhopperNotify.REALM_ID, (1).to_bytes(4)),
            *self._question(),
            *self._child(self.esp.to_wire(1, self._spi, with_key_exchange=False), self.own_ts, self.peer_ts),
            Notify(NotifyType.MOBIKE_SUPPORTED),
            Notify(NotifyType.TICKET_REQUEST),
            Notify(NotifyType.QUICK_CRASH_DETECTION, os.urandom(64)),
        )

    def established(self, answer):
        """Check the answer to IKE_AUTH as the original does, and tell who we are."""
        message = self.open(answer)
        peer = message.first(IDr)
        assert peer.data == self.peer
        assert message.first(AUTH).data == self._proof(peer, ours=False).data
        self._check_child(message)
        self.told = message.first(CP)
        spi_out, suite = accept_esp(message.first(SA), (self.esp,), False)
        self._take(suite, spi_out, self._spi, self.nonce_i, self.nonce_r, began=True)
        given = message.notify(NotifyType.TICKET_LT_OPAQUE)
        self.ticket = given and (given.data[4:], self.sk_d)
        self.station()

    def resume(self):
        """Begin anew with the ticket, as it does when the peer was lost: Nonce, ticket, Vendor ID, hashes."""
        (ticket, self._old_sk_d), self.initiator, self.resumed = self.ticket, True, True
        self.spi_i, self.spi_r, self.nonce_i = os.urandom(8), bytes(8), os.urandom(64)
        shown = Notify(NotifyType.TICKET_OPAQUE, ticket)
        payloads = Nonce(self.nonce_i), shown, Vendor(ROCKHOPPER_VENDOR_ID), *self._natd()
        self.message_i = self._plain(False, payloads, ExchangeType.IKE_SESSION_RESUME)
        self._send(self.message_i)

    def resume_auth(self, answer):
        """Take the answer to the ticket, and prove that it is ours."""
        message = parse_message(answer)
        assert message.exchange == ExchangeType.IKE_SESSION_RESUME
        assert Vendor(ROCKHOPPER_VENDOR_ID) in message.payloads, "without it there is no EtherIP"
        self.message_r, self.nonce_r, self.spi_r = answer, message.first(Nonce).data, message.spi_r
        self._arm(resume_ike_keys(self.suite, self._old_sk_d, self.nonce_i, self.nonce_r, self.spi_i, self.spi_r))
        self._ask_auth()

    def station(self):
        self._request(
            ExchangeType.INFORMATIONAL,
            Notify(RockhopperNotify.INTERNAL_IP4_ADDRESS, IP4),
            Notify(RockhopperNotify.INTERNAL_MAC_ADDRESS, MAC),
        )

    # As responder.

    def answer_init(self, request):
        message = parse_message(request)
        self.initiator = False
        self.spi_i, self.spi_r = message.spi_i, os.urandom(8)
        self.speaks_etherip = Vendor(ROCKHOPPER_VENDOR_ID) in message.payloads
        self._mind(message)
        number, self.suite = choose_ike(message.first(SA), (IKE,))
        assert message.first(KE).method == self.suite.key_exchange == MODP_2048
        self.ke, self.nonce_i, self.nonce_r = keyexchange.start(MODP_2048), message.first(Nonce).data, os.urandom(64)
        self.message_i = request
        chosen = SA((Proposal(number, Protocol.IKE, b"", self.suite.transforms()),))
        public = self.ke
        self.message_r = self._plain(
            True,
            (chosen, KE(MODP_2048, public.public), Nonce(self.nonce_r), Vendor(ROCKHOPPER_VENDOR_ID), *self._natd()),
        )
        self._derive(message.first(KE))
        self.message_id = 0
        self._send(self.message_r)

    def answer_auth(self, request):
        message = self.open(request)
        peer = message.first(IDi)
        assert peer.data == self.peer
        assert message.first(AUTH).data == self._proof(peer, ours=False).data
        assert self.speaks_etherip
        self._check_child(message)
        own, spi = IDr(IdType.FQDN, self.identity), os.urandom(4)
        chosen, suite, spi_out = self._choose_child(message, spi, rekey=False)
        self._take(suite, spi_out, spi, self.nonce_i, self.nonce_r, began=False)
        answer = self._answer(message)
        self._respond(
            message,
            own,
            self._proof(own, ours=True),
            *answer,
            Notify(RockhopperNotify.INTERNAL_IP4_ADDRESS, IP4),
            Notify(RockhopperNotify.INTERNAL_MAC_ADDRESS, MAC),
            *self._child(chosen, self.peer_ts, self.own_ts),
            Notify(NotifyType.MOBIKE_SUPPORTED),
            Notify(NotifyType.QUICK_CRASH_DETECTION, os.urandom(64)),
        )

    # In either role.

    def rekey_child(self, nonce=None):
        """REKEY_SA, USE_TRANSPORT_MODE, SA, Nonce, KE, TSi, TSr, 59300; it offers only what it has."""
        self._spi, self._nonce, self.ke = os.urandom(4), nonce or os.urandom(64), keyexchange.start(MODP_2048)
        transforms = self.child.suite.transforms()
        if self.pfs:
            transforms = tuple(replace(self.child.suite, key_exchange=MODP_2048).transforms())
        mode, offered, *rest = self._child(
            Proposal(1, Protocol.ESP, self._spi, tuple(transforms)), self.own_ts, self.peer_ts
        )
        self._request(
            ExchangeType.CREATE_CHILD_SA,
            Notify(NotifyType.REKEY_SA, b"", Protocol.ESP, self.child.spi_in),
            mode,
            offered,
            Nonce(self._nonce),
            *([KE(MODP_2048, self.ke.public)] if self.pfs else []),
            *rest,
            *self._question(),
        )

    def child_rekeyed(self, answer):
        """The old pair, whose SPI is returned, is deleted by `delete` ten seconds later, or thirty."""
        message = self.open(answer)
        self._check_child(message)
        self.told = message.first(CP)
        shared = self.ke.agree(message.first(KE).data) if self.pfs else None
        old = self.child.spi_in
        spi_out, suite = accept_esp(message.first(SA), (self.esp,))
        self._take(suite, spi_out, self._spi, self._nonce, message.first(Nonce).data, began=True, shared=shared)
        return old

    def answer_child_rekey(self, request, nonce=None):
        message = self.open(request)
        assert message.notify(NotifyType.REKEY_SA).spi == self.child.spi_out
        self._check_child(message)
        own, spi, nonce = keyexchange.start(MODP_2048), os.urandom(4), nonce or os.urandom(64)
        chosen, suite, spi_out = self._choose_child(message, spi, rekey=True)
        extra, shared = [], None
        if self.pfs:
            assert message.first(KE).method == suite.key_exchange, "it would say NO_PROPOSAL_CHOSEN"
            extra, shared = [KE(MODP_2048, own.public)], own.agree(message.first(KE).data)
        self._take(suite, spi_out, spi, message.first(Nonce).data, nonce, began=False, shared=shared)
        answer = self._answer(message)
        mode, chosen, *rest = self._child(chosen, self.peer_ts, self.own_ts)
        self._respond(message, mode, chosen, Nonce(nonce), *extra, *rest, *answer)

    def rekey_ike(self):
        """It offers what it has, and nothing beside."""
        self._spi, self._nonce, self.ke = os.urandom(8), os.urandom(64), keyexchange.start(MODP_2048)
        offered = SA((Proposal(1, Protocol.IKE, self._spi, self.suite.transforms()),))
        payloads = [offered, Nonce(self._nonce), KE(MODP_2048, self.ke.public)]
        if self.ticket is not None:
            payloads.append(Notify(NotifyType.TICKET_REQUEST))
        self._request(ExchangeType.CREATE_CHILD_SA, *payloads, *self._question())

    def ike_rekeyed(self, answer):
        """Delete the old IKE SA, at once or within half a minute, and be the initiator of the new one."""
        message = self.open(answer)
        accept_ike(message.first(SA), (IKE,))
        spi_r, nonce_r = message.first(SA).proposals[0].spi, message.first(Nonce).data
        assert len(spi_r) == 8
        self.told = message.first(CP)
        shared = self.ke.agree(message.first(KE).data)
        self._request(ExchangeType.INFORMATIONAL, Delete(Protocol.IKE, ()))
        self.initiator = True
        self._succeed(self._spi, spi_r, shared, self._nonce, nonce_r)

    def answer_ike_rekey(self, request):
        message = self.open(request)
        self._mind(message)
        number, suite = choose_ike(message.first(SA), (IKE,))
        assert message.first(KE).method == suite.key_exchange, "it would say NO_PROPOSAL_CHOSEN"
        spi_i, nonce_i = message.first(SA).proposals[number - 1].spi, message.first(Nonce).data
        own, spi_r, nonce_r = keyexchange.start(MODP_2048), os.urandom(8), os.urandom(64)
        shared = own.agree(message.first(KE).data)
        chosen = SA((Proposal(number, Protocol.IKE, spi_r, suite.transforms()),))
        token = Notify(NotifyType.QUICK_CRASH_DETECTION, os.urandom(64))
        self._respond(message, chosen, Nonce(nonce_r), KE(MODP_2048, own.public), token, *self._answer(message))
        self._next = (spi_i, spi_r, shared, nonce_i, nonce_r)

    def move_on(self):
        """The peer has deleted the old IKE SA."""
        self.initiator = False
        self._succeed(*self._next)

    def delete(self, spi):
        self._request(ExchangeType.INFORMATIONAL, Delete(Protocol.ESP, (spi,)))

    def acknowledge(self, request, *payloads):
        """Answer a request of which nothing is to be said."""
        message = self.open(request)
        self._respond(message, *payloads)
        return message

    def open(self, datagram):
        """A sealed message of the peer, opened."""
        offset = sealed_offset(datagram)
        outer = parse_message(datagram)
        inside = self.cipher_in.open(datagram[:offset], datagram[offset:])
        payloads = parse_payloads(outer.first(SK).next_payload, inside)
        message = Message(
            outer.spi_i, outer.spi_r, outer.exchange, outer.initiator, outer.response, outer.message_id, payloads
        )
        self.received.append(message)
        return message

    # How it says things.

    def _init_payloads(self, proposal, nonce):
        return (
            SA((proposal,)),
            KE(MODP_2048, self.ke.public),
            Nonce(nonce),
            Vendor(ROCKHOPPER_VENDOR_ID),
            *self._natd(),
        )

    def _natd(self):
        # Hashes of nobody's addresses, as behind a NAT: ESP then travels in UDP.
        return [
            Notify(kind, sha1(os.urandom(8)).digest())  # noqa: S324
            for kind in (NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP)
        ]

    def _child(self, proposal, ts_i, ts_r):
        return (
            Notify(NotifyType.USE_TRANSPORT_MODE),
            SA((proposal,)),
            TSi(ts_i),
            TSr(ts_r),
            Notify(RockhopperNotify.USE_ETHERIP_ENCAP),
        )

    def _choose_child(self, message, spi, rekey):
        self._mind(message)
        number, spi_out, suite = choose_esp(message.first(SA), (self.esp,), rekey)
        return Proposal(number, Protocol.ESP, spi, tuple(suite.transforms())), suite, spi_out

    def _mind(self, message):
        types = {item.type for proposal in message.first(SA).proposals for item in proposal.transforms}
        assert types <= KNOWN, "the message would be invalid to it"

    def _question(self):
        return [CP(CfgType.REQUEST, tuple(Attribute(kind) for kind in ASKED))] if self.asks else []

    def _answer(self, message):
        """A new address each time; never more than what was asked for."""
        asked = message.first(CP)
        if asked is None:
            return []
        self._lent += 1
        given = (1, bytes((10, 96, 0, 100 + self._lent))), (2, bytes((255, 255, 255, 0)))
        given += (13, bytes((10, 97, 0, 0, 255, 255, 0, 0))), (RockhopperAttribute.IP4_GATEWAY, self.gateway)
        given += ((7, b"Rockhopper "),)
        kinds = {one.type for one in asked.attributes}
        if CfgAttribute.INTERNAL_IP6_ADDRESS in kinds:
            self.own_ts = self.peer_ts = IP4_ONLY
        if self.narrows:
            self.peer_ts = hosts([IPv4Address(given[0][1])])
        return [CP(CfgType.REPLY, tuple(Attribute(kind, value) for kind, value in given if kind in kinds))]

    def _check_child(self, message):
        assert message.notify(NotifyType.USE_TRANSPORT_MODE) is not None
        assert message.notify(RockhopperNotify.USE_ETHERIP_ENCAP) is not None
        ts_i, ts_r = message.first(TSi).selectors, message.first(TSr).selectors
        if message.response:
            assert ts_i and ts_r and covered(ts_i, self.own_ts) and covered(ts_r, self.peer_ts)
        else:
            assert ts_i == ts_r == ANYTHING
        assert message.first(SA).proposals[0].protocol == Protocol.ESP

    def _take(self, suite, spi_out, spi_in, nonce_i, nonce_r, *, began, shared=None):
        keys = derive_child_keys(suite, self.suite.prf, self.sk_d, nonce_i, nonce_r, shared)
        self.child = Pair(spi_in, spi_out, keys, began, suite, min(nonce_i, nonce_r))

    def _derive(self, ke):
        shared = self.ke.agree(ke.data)
        self._arm(derive_ike_keys(self.suite, shared, self.nonce_i, self.nonce_r, self.spi_i, self.spi_r))

    def _arm(self, keys):
        suite = self.suite
        self.sk_d, self.sk_pi, self.sk_pr = keys.sk_d, keys.sk_pi, keys.sk_pr
        from_initiator = IkeCipher(suite.encryption, suite.integrity, keys.sk_ei, keys.sk_ai)
        from_responder = IkeCipher(suite.encryption, suite.integrity, keys.sk_er, keys.sk_ar)
        own, peers = from_initiator, from_responder
        if not self.initiator:
            own, peers = peers, own
        self.cipher_out, self.cipher_in = own, peers

    def _succeed(self, spi_i, spi_r, shared, nonce_i, nonce_r):
        keys = rederive_ike_keys(self.suite, self.suite.prf, self.sk_d, shared, nonce_i, nonce_r, spi_i, spi_r)
        self.spi_i, self.spi_r, self.message_id = spi_i, spi_r, 0
        self._arm(keys)

    def _proof(self, identity, *, ours):
        initiators = ours == self.initiator
        message, nonce = (self.message_i, self.nonce_r) if initiators else (self.message_r, self.nonce_i)
        secret = self.sk_pi if initiators else self.sk_pr
        octets = auth_octets(message, nonce, self.suite.prf, secret, identity.build())
        if self.resumed:
            return AUTH(2, resumption_auth(self.suite.prf, secret, octets))
        return AUTH(2, psk_auth(self.suite.prf, self._psk, octets))

    def _plain(self, response, payloads, exchange=ExchangeType.IKE_SA_INIT):
        return build_message(Message(self.spi_i, self.spi_r, exchange, not response, response, 0, tuple(payloads)))

    def _request(self, exchange, *payloads):
        self._send(self._seal(exchange, False, self.message_id, payloads))
        self.message_id += 1

    def _respond(self, request, *payloads):
        self._send(self._seal(request.exchange, True, request.message_id, payloads))

    def _seal(self, exchange, response, message_id, payloads):
        first, inside = build_payloads(payloads)
        frame = Message(self.spi_i, self.spi_r, exchange, self.initiator, response, message_id, ())
        prefix = sealed_prefix(frame, first, self.cipher_out.overhead(len(inside)))
        return prefix + self.cipher_out.seal(prefix, inside)
