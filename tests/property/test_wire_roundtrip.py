"""For all payloads and messages: what was written is read as it was, and what was read is written as it was."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp.wire.auth import AUTH
from rhp.wire.cert import CERT
from rhp.wire.certreq import CERTREQ
from rhp.wire.cp import CP, Attribute
from rhp.wire.delete import Delete
from rhp.wire.eap import EAP
from rhp.wire.header import Header
from rhp.wire.iana import PayloadType
from rhp.wire.identity import IDi, IDr
from rhp.wire.ke import KE
from rhp.wire.message import (
    Message,
    build_message,
    build_payloads,
    parse_header,
    parse_message,
    parse_payloads,
    sealed_offset,
    sealed_prefix,
)
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.sa import SA, Proposal, Transform
from rhp.wire.sk import SK
from rhp.wire.skf import SKF
from rhp.wire.ts import TrafficSelector, TSi, TSr
from rhp.wire.unknown import Unknown
from rhp.wire.vendor import Vendor

octet, short, long = st.integers(0, 255), st.integers(0, 65535), st.integers(0, 2**32 - 1)
data = st.binary(max_size=48)
spi = st.binary(min_size=8, max_size=8)
MANY_OF = {CERT, CERTREQ, Notify, Delete, Vendor, Unknown}
KNOWN = {int(kind) for kind in PayloadType}

# The key length comes as its own field, so it is not among the unknown attributes.
attributes = st.lists(st.tuples(st.integers(15, 0x7FFF), data), max_size=2).map(tuple)
transforms = st.builds(Transform, octet, short, st.none() | short, attributes)
proposals = st.builds(Proposal, octet, octet, st.binary(max_size=16), st.lists(transforms, max_size=4).map(tuple))
SELECTORS = {
    7: st.builds(TrafficSelector, st.just(7), octet, short, short, *[st.integers(0, 2**32 - 1).map(IPv4Address)] * 2),
    8: st.builds(TrafficSelector, st.just(8), octet, short, short, *[st.integers(0, 2**128 - 1).map(IPv6Address)] * 2),
}
selectors = st.lists(st.one_of(*SELECTORS.values()), max_size=5).map(tuple)
reserved = st.binary(min_size=3, max_size=3)
esp_spis = st.lists(st.binary(min_size=4, max_size=4), max_size=5).map(tuple)

PAYLOADS = {
    SA: st.builds(SA, st.lists(proposals, min_size=1, max_size=4).map(tuple)),
    KE: st.builds(KE, short, data),
    IDi: st.builds(IDi, octet, data, reserved),
    IDr: st.builds(IDr, octet, data, reserved),
    CERT: st.builds(CERT, octet, data),
    CERTREQ: st.builds(CERTREQ, octet, data),
    AUTH: st.builds(AUTH, octet, data),
    Nonce: st.builds(Nonce, st.binary(min_size=16, max_size=256)),
    Notify: st.builds(Notify, short, data, octet, st.binary(max_size=16)),
    Delete: st.just(Delete(1)) | st.builds(Delete, st.sampled_from((2, 3)), esp_spis),
    Vendor: st.builds(Vendor, data),
    TSi: st.builds(TSi, selectors),
    TSr: st.builds(TSr, selectors),
    CP: st.builds(CP, octet, st.lists(st.builds(Attribute, st.integers(0, 0x7FFF), data), max_size=5).map(tuple)),
    EAP: st.builds(EAP, data),
    Unknown: st.builds(Unknown, octet.filter(lambda kind: kind not in KNOWN), st.just(False), data),
}
sealed = st.builds(SK, octet, data) | st.integers(1, 65535).flatmap(
    lambda total: st.builds(SKF, octet, st.integers(1, total), st.just(total), data)
)
chains = st.lists(
    st.one_of(*PAYLOADS.values()), max_size=8, unique_by=lambda one: id(one) if type(one) in MANY_OF else type(one)
).map(tuple)
tails = st.just(()) | sealed.map(lambda one: (one,))
messages = st.builds(
    lambda chain, tail, *fields: Message(*fields, payloads=chain + tail),
    chains,
    tails,
    spi,
    spi,
    octet,
    st.booleans(),
    st.booleans(),
    long,
)


@pytest.mark.parametrize("kind", PAYLOADS, ids=lambda kind: kind.__name__)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_payload_comes_back(kind, draw):
    payload = draw.draw(PAYLOADS[kind])
    first, chain = build_payloads((payload,))
    assert parse_payloads(first, chain) == (payload,)
    assert build_payloads(parse_payloads(first, chain)) == (first, chain)


@settings(max_examples=150, deadline=None)
@given(messages)
def test_a_message_comes_back(message):
    datagram = build_message(message)
    assert parse_message(datagram) == message
    assert build_message(parse_message(datagram)) == datagram
    assert parse_header(datagram).length == len(datagram)


@settings(max_examples=100, deadline=None)
@given(chains)
def test_the_payloads_inside_come_back(chain):
    assert parse_payloads(*build_payloads(chain)) == chain


@settings(max_examples=100, deadline=None)
@given(messages, sealed)
def test_the_prefix_of_a_sealed_message_is_what_comes_before_its_body(message, last):
    frame = Message(
        message.spi_i, message.spi_r, message.exchange, message.initiator, message.response, message.message_id, (last,)
    )
    datagram = build_message(frame)
    fragment = (last.fragment_number, last.total_fragments) if isinstance(last, SKF) else None
    prefix = sealed_prefix(frame, last.next_payload, len(last.body), fragment)
    assert prefix + last.body == datagram
    assert sealed_offset(datagram) == len(prefix)


@settings(max_examples=50, deadline=None)
@given(st.builds(Header, spi, spi, octet, *[st.integers(0, 15)] * 2, octet, st.booleans(), st.booleans(), long, long))
def test_a_header_comes_back(header):
    assert Header.parse(header.build()) == header
    assert len(header.build()) == 28
