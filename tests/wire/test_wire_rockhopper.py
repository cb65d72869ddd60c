"""The recorded messages of Rockhopper: each is read to the last octet, and written again as it was."""

import hashlib
import json
from pathlib import Path

import pytest

from rhp.wire.auth import AUTH
from rhp.wire.certreq import CERTREQ
from rhp.wire.iana import AuthMethod, Encr, ExchangeType, IdType, NotifyType, PayloadType, Protocol, TransformType
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
from rhp.wire.private import RockhopperNotify
from rhp.wire.sa import SA, Transform
from rhp.wire.sk import SK
from rhp.wire.ts import TSi, TSr
from rhp.wire.vendor import Vendor

VECTORS = {
    one["name"]: one
    for one in json.loads((Path(__file__).parent.parent / "vectors" / "wire.json").read_text(encoding="ascii"))
}
SEALED = [name for name, one in VECTORS.items() if "inner" in one]


def datagram(name):
    return bytes.fromhex(VECTORS[name]["datagram"])


def inner(name):
    return parse_payloads(VECTORS[name]["inner_first"], bytes.fromhex(VECTORS[name]["inner"]))


def inside(name):
    """The inner payloads in a message, for its look-ups."""
    outer = parse_message(datagram(name))
    return Message(
        outer.spi_i, outer.spi_r, outer.exchange, outer.initiator, outer.response, outer.message_id, inner(name)
    )


def without_critical_bits(first, chain):
    """The chain with each critical bit cleared: Rockhopper sets it on payloads that everybody knows; we never do."""
    octets = bytearray(chain)
    at = 0
    while at < len(octets):
        octets[at + 1] = 0
        at += int.from_bytes(octets[at + 2 : at + 4], "big")
    return first, bytes(octets)


def test_there_are_six_messages_and_four_are_sealed():
    assert len(VECTORS) == 6
    assert len(SEALED) == 4


@pytest.mark.parametrize("name", VECTORS)
def test_a_message_is_written_again_as_it_was(name):
    received = datagram(name)
    _, chain = without_critical_bits(0, received[28:])
    assert build_message(parse_message(received)) == received[:28] + chain


@pytest.mark.parametrize("name", SEALED)
def test_the_payloads_inside_are_written_again_as_they_were(name):
    vector = VECTORS[name]
    assert build_payloads(inner(name)) == without_critical_bits(vector["inner_first"], bytes.fromhex(vector["inner"]))


@pytest.mark.parametrize("name", SEALED)
def test_the_prefix_of_a_sealed_message_is_the_one_received(name):
    received = datagram(name)
    message = parse_message(received)
    sealed = message.first(SK)
    offset = sealed_offset(received)
    assert received[offset:] == sealed.body
    _, generic_header = without_critical_bits(0, received[28:offset])
    assert sealed_prefix(message, sealed.next_payload, len(sealed.body)) == received[:28] + generic_header


def test_the_headers():
    read = [parse_message(datagram(name)) for name in VECTORS]
    assert [(one.exchange, one.message_id) for one in read] == [
        (ExchangeType.IKE_SA_INIT, 0),
        (ExchangeType.IKE_SA_INIT, 0),
        (ExchangeType.IKE_AUTH, 1),
        (ExchangeType.IKE_AUTH, 1),
        (ExchangeType.INFORMATIONAL, 2),
        (ExchangeType.INFORMATIONAL, 2),
    ]
    assert [one.initiator for one in read] == [True, False] * 3
    assert [one.response for one in read] == [False, True] * 3
    assert {one.spi_i.hex() for one in read} == {"0694bf144e0308d5"}
    assert [one.spi_r.hex() for one in read] == ["0" * 16, *["8b840e09c6e5af03"] * 5]


def test_the_first_request():
    message = parse_message(datagram("IKE_SA_INIT request"))
    assert [type(one) for one in message.payloads] == [SA, KE, Nonce, Vendor, Notify, Notify]
    (proposal,) = message.first(SA).proposals
    assert (proposal.number, proposal.protocol, proposal.spi) == (1, Protocol.IKE, b"")
    assert len(proposal.transforms) == 15
    assert proposal.transforms[:4] == (
        Transform(TransformType.ENCR, Encr.AES_CBC, 256),
        Transform(TransformType.ENCR, Encr.AES_CBC, 192),
        Transform(TransformType.ENCR, Encr.AES_CBC, 128),
        Transform(TransformType.ENCR, Encr.TRIPLE_DES),
    )
    assert message.first(KE).method == 14
    assert len(message.first(KE).data) == 256
    assert len(message.first(Nonce).data) == 64
    assert message.first(Vendor).data == b"\1" + hashlib.sha1(b"Please enjoy Rockhopper VPN!\0").digest()  # noqa: S324
    assert len(message.notify(NotifyType.NAT_DETECTION_SOURCE_IP).data) == 20
    assert len(message.notify(NotifyType.NAT_DETECTION_DESTINATION_IP).data) == 20
    assert message.notify(NotifyType.COOKIE) is None


def test_the_chosen_proposal():
    (proposal,) = parse_message(datagram("IKE_SA_INIT response")).first(SA).proposals
    assert proposal.transforms == (Transform(1, 12, 256), Transform(2, 7), Transform(3, 14), Transform(4, 14))


def test_the_authentication_request():
    message = inside("IKE_AUTH request")
    assert message.first(IDi) == IDi(IdType.FQDN, b"rha.test")
    assert message.first(IDr) == IDr(IdType.FQDN, b"rhb.test")
    assert message.first(CERTREQ) == CERTREQ(4, b"")
    assert message.first(AUTH).method == AuthMethod.SHARED_KEY
    assert len(message.first(AUTH).data) == 64
    (proposal,) = message.first(SA).proposals
    assert (proposal.protocol, proposal.spi.hex()) == (Protocol.ESP, "6c3d20ef")
    assert message.first(TSi).selectors == message.first(TSr).selectors
    assert [str(one.end) for one in message.first(TSi).selectors] == ["255.255.255.255", "ffff:" * 7 + "ffff"]
    assert [one.type for one in message.all(Notify)] == [
        NotifyType.INITIAL_CONTACT,
        NotifyType.USE_TRANSPORT_MODE,
        RockhopperNotify.USE_ETHERIP_ENCAP,
        NotifyType.MOBIKE_SUPPORTED,
        NotifyType.TICKET_REQUEST,
        NotifyType.QUICK_CRASH_DETECTION,
    ]


def test_the_authentication_response():
    message = inside("IKE_AUTH response")
    assert message.first(IDi) is None
    assert message.first(IDr).identity == IDi(IdType.FQDN, b"rhb.test").identity
    assert message.notify(RockhopperNotify.INTERNAL_IP4_ADDRESS).data == bytes((10, 96, 0, 2))
    assert message.first(SA).proposals[0].spi.hex() == "149b86f4"


def test_an_empty_answer_holds_no_payloads():
    sealed = parse_message(datagram("INFORMATIONAL response")).first(SK)
    assert sealed.next_payload == PayloadType.NONE
    assert inner("INFORMATIONAL response") == ()
