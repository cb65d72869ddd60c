"""Messages and payloads written by hand from the pictures of RFC 7296: each is read, and written as it stands."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from rhp.wire.auth import AUTH
from rhp.wire.cert import CERT
from rhp.wire.certreq import CERTREQ
from rhp.wire.cp import CP, Attribute
from rhp.wire.delete import Delete
from rhp.wire.eap import EAP
from rhp.wire.identity import IDi, IDr
from rhp.wire.ke import KE
from rhp.wire.message import Message, build_message, build_payloads, parse_message, parse_payloads
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.sa import SA, Proposal, Transform
from rhp.wire.sk import SK
from rhp.wire.skf import SKF
from rhp.wire.ts import TrafficSelector, TSi, TSr
from rhp.wire.unknown import Unknown
from rhp.wire.vendor import Vendor

ANY_V4 = TrafficSelector(7, 0, 0, 65535, IPv4Address(0), IPv4Address("255.255.255.255"))
ETHERIP_V4 = TrafficSelector(7, 97, 0, 65535, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.9"))
ICMP_V6 = TrafficSelector(8, 58, 0x8000, 0x80FF, IPv6Address("2001:db8::"), IPv6Address("2001:db8::ffff"))

PAYLOADS = {
    "sa-ike": (
        33,
        "0000 002c 01 01 00 040300 000c 0100 0014 800e 00800300 0008 0200 00050300 0008 0400 001f0000 0008 0600 0024",
        SA((Proposal(1, 1, b"", (Transform(1, 20, 128), Transform(2, 5), Transform(4, 31), Transform(6, 36))),)),
    ),
    "sa-two-proposals": (
        33,
        "0200 0020 01 03 04 02 11223344"
        "0300 000c 0100 0014 800e 0100"
        "0000 0008 0500 0001"
        "0000 0020 02 03 04 02 55667788"
        "0300 000c 0100 000c 800e 0080"
        "0000 0008 0300 000c",
        SA(
            (
                Proposal(1, 3, bytes.fromhex("11223344"), (Transform(1, 20, 256), Transform(5, 1))),
                Proposal(2, 3, bytes.fromhex("55667788"), (Transform(1, 12, 128), Transform(3, 12))),
            )
        ),
    ),
    "sa-rekeyed-ike": (
        33,
        "0000 0018 01 01 08 01 0102030405060708 0000 0008 0200 0007",
        SA((Proposal(1, 1, bytes(range(1, 9)), (Transform(2, 7),)),)),
    ),
    "sa-unknown-attributes": (
        33,
        "0000 0021 01 03 00 01 0000 0019 0100 0014 800e 0080 8011 abcd 0012 0005 0102030405",
        SA((Proposal(1, 3, b"", (Transform(1, 20, 128, ((0x11, b"\xab\xcd"), (0x12, b"\1\2\3\4\5"))),)),)),
    ),
    "ke": (34, "001f 0000 " + "42" * 32, KE(31, b"\x42" * 32)),
    "idi": (35, "02 000000 612e62", IDi(2, b"a.b")),
    "idr": (36, "01 000000 c0000201", IDr(1, bytes((192, 0, 2, 1)))),
    "cert": (37, "04 3003020101", CERT(4, bytes.fromhex("3003020101"))),
    "certreq": (38, "04" + "11" * 40, CERTREQ(4, b"\x11" * 40)),
    "auth": (39, "0e 000000 0102", AUTH(14, b"\1\2")),
    "nonce": (40, "77" * 32, Nonce(b"\x77" * 32)),
    "notify": (41, "00 00 4004 0102", Notify(16388, b"\1\2")),
    "notify-of-a-child": (41, "03 04 4009 deadbeef", Notify(16393, b"", 3, bytes.fromhex("deadbeef"))),
    "delete-ike": (42, "01 00 0000", Delete(1)),
    "delete-esp": (42, "03 04 0002 00000100 00000101", Delete(3, (b"\0\0\1\0", b"\0\0\1\1"))),
    "vendor": (43, "727068", Vendor(b"rph")),
    "tsi": (44, "01 000000 07 00 0010 0000 ffff 00000000 ffffffff", TSi((ANY_V4,))),
    "tsr": (
        45,
        "02 000000 07 61 0010 0000 ffff c0000201 c0000209"
        "08 3a 0028 8000 80ff 20010db8 00000000 00000000 00000000 20010db8 00000000 00000000 0000ffff",
        TSr((ETHERIP_V4, ICMP_V6)),
    ),
    "cp": (47, "01 000000 0001 0000 0003 0004 c0000235", CP(1, (Attribute(1), Attribute(3, bytes((192, 0, 2, 53)))))),
    "eap": (48, "01 01 0005 01", EAP(bytes.fromhex("0101000501"))),
    "unknown": (200, "cafe", Unknown(200, False, b"\xca\xfe")),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_read(name):
    kind, text, payload = PAYLOADS[name]
    body = bytes.fromhex(text)
    chain = bytes(2) + (4 + len(body)).to_bytes(2, "big") + body
    assert parse_payloads(kind, chain) == (payload,)


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_written(name):
    kind, text, payload = PAYLOADS[name]
    body = bytes.fromhex(text)
    assert payload.build() == body
    assert build_payloads((payload,)) == (kind, bytes(2) + (4 + len(body)).to_bytes(2, "big") + body)


MESSAGES = {
    "no-payloads": (
        "0102030405060708 1112131415161718 00 20 25 20 00000007 0000001c",
        Message(bytes(range(1, 9)), bytes(range(0x11, 0x19)), 37, False, True, 7, ()),
    ),
    "cookie": (
        "0102030405060708 0000000000000000 29 20 22 20 00000000 0000002a 0000 000e 00 00 4006 c1c2c3c4c5c6",
        Message(bytes(range(1, 9)), bytes(8), 34, False, True, 0, (Notify(16390, bytes.fromhex("c1c2c3c4c5c6")),)),
    ),
    "three-payloads": (
        "0102030405060708 0000000000000000 22 20 22 08 00000000 0000004b"
        "2800 000c 0013 0000 aabbccdd"
        "2b00 0014 30313233343536373839616263646566"
        "0000 000f 72687020696e2074657374",
        Message(
            bytes(range(1, 9)),
            bytes(8),
            34,
            True,
            False,
            0,
            (KE(19, bytes.fromhex("aabbccdd")), Nonce(b"0123456789abcdef"), Vendor(b"rhp in test")),
        ),
    ),
    "sealed": (
        "0102030405060708 1112131415161718 2e 20 23 08 00000001 0000002c 2300 0010 000102030405060708090a0b",
        Message(bytes(range(1, 9)), bytes(range(0x11, 0x19)), 35, True, False, 1, (SK(35, bytes(range(12))),)),
    ),
    "fragment": (
        "0102030405060708 1112131415161718 35 20 23 28 00000001 0000002a 0000 000e 0002 0003 a0a1a2a3a4a5",
        Message(
            bytes(range(1, 9)),
            bytes(range(0x11, 0x19)),
            35,
            True,
            True,
            1,
            (SKF(0, 2, 3, bytes.fromhex("a0a1a2a3a4a5")),),
        ),
    ),
    "notify-before-sealed": (
        "0102030405060708 1112131415161718 29 20 25 08 ffffffff 0000002c 2e00 0008 00 00 4000 2a00 0008 01020304",
        Message(
            bytes(range(1, 9)),
            bytes(range(0x11, 0x19)),
            37,
            True,
            False,
            0xFFFFFFFF,
            (Notify(16384), SK(42, b"\1\2\3\4")),
        ),
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_read(name):
    text, message = MESSAGES[name]
    assert parse_message(bytes.fromhex(text)) == message


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_written(name):
    text, message = MESSAGES[name]
    assert build_message(message) == bytes.fromhex(text)
