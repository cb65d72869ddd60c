"""Scapy as the other reader and writer: what we write it reads the same way, and our numbers are its numbers."""

import re
from ipaddress import IPv4Address

import pytest
from scapy.contrib import ikev2

from rhp.wire import iana
from rhp.wire.auth import AUTH
from rhp.wire.cp import CP, Attribute
from rhp.wire.delete import Delete
from rhp.wire.identity import IDi
from rhp.wire.ke import KE
from rhp.wire.message import Message, build_message, parse_message
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.sa import SA, Proposal, Transform
from rhp.wire.ts import TrafficSelector, TSi
from rhp.wire.vendor import Vendor

PROPOSAL = Proposal(1, 3, b"\1\2\3\4", (Transform(1, 20, 256), Transform(4, 31), Transform(5, 1)))
SELECTOR = TrafficSelector(7, 97, 0, 65535, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.254"))
MESSAGE = Message(
    bytes(range(1, 9)),
    bytes(range(17, 25)),
    35,
    True,
    False,
    3,
    (
        SA((PROPOSAL,)),
        KE(31, b"\x42" * 32),
        Nonce(b"\x77" * 24),
        IDi(2, b"a.example.org"),
        AUTH(14, b"signature"),
        Notify(16393, b"data", 3, b"\5\6\7\x08"),
        Delete(3, (b"\0\0\1\0", b"\0\0\1\1")),
        Vendor(b"rhp"),
        TSi((SELECTOR,)),
        CP(1, (Attribute(1, b"\xc0\0\2\1"),)),
    ),
)


def test_scapy_reads_what_we_write():
    packet = ikev2.IKEv2(build_message(MESSAGE))
    assert (packet.init_SPI, packet.resp_SPI) == (MESSAGE.spi_i, MESSAGE.spi_r)
    assert (packet.version, packet.exch_type, packet.id, packet.length) == (0x20, 35, 3, len(build_message(MESSAGE)))
    assert packet.flags == "Initiator"
    proposal = packet[ikev2.IKEv2_Proposal]
    assert (proposal.proto, proposal.SPI, proposal.trans_nb) == (3, b"\1\2\3\4", 3)
    transform = packet[ikev2.IKEv2_Transform]
    assert (transform.transform_type, transform.transform_id, transform.key_length) == (1, 20, 256)
    assert (packet[ikev2.IKEv2_KE].group, packet[ikev2.IKEv2_KE].ke) == (31, b"\x42" * 32)
    assert packet[ikev2.IKEv2_Nonce].nonce == b"\x77" * 24
    assert (packet[ikev2.IKEv2_IDi].IDtype, packet[ikev2.IKEv2_IDi].ID) == (2, b"a.example.org")
    assert (packet[ikev2.IKEv2_AUTH].auth_type, packet[ikev2.IKEv2_AUTH].load) == (14, b"signature")
    notify = packet[ikev2.IKEv2_Notify]
    assert (notify.proto, notify.SPI, notify.type, notify.notify) == (3, b"\5\6\7\x08", 16393, b"data")
    delete = packet[ikev2.IKEv2_Delete]
    assert (delete.proto, delete.SPIsize, delete.SPInum, delete.SPI) == (3, 4, 2, [b"\0\0\1\0", b"\0\0\1\1"])
    assert packet[ikev2.IKEv2_VendorID].vendorID == b"rhp"
    (selector,) = packet[ikev2.IKEv2_TSi].traffic_selector
    assert (selector.IP_protocol_ID, selector.start_port, selector.end_port) == (97, 0, 65535)
    assert (selector.starting_address_v4, selector.ending_address_v4) == ("192.0.2.1", "192.0.2.254")
    assert packet[ikev2.IKEv2_CP].CFGType == 1


def test_we_read_what_scapy_writes():
    packet = ikev2.IKEv2(init_SPI=b"ABCDEFGH", resp_SPI=bytes(8), exch_type=34, flags="Initiator", id=0)
    packet /= ikev2.IKEv2_Nonce(nonce=b"n" * 20)
    packet /= ikev2.IKEv2_KE(group=19, ke=b"k" * 64)
    packet /= ikev2.IKEv2_Notify(type=16390, notify=b"cookie")
    message = parse_message(bytes(packet))
    assert message.payloads == (Nonce(b"n" * 20), KE(19, b"k" * 64), Notify(16390, b"cookie"))
    assert (message.spi_i, message.exchange, message.initiator, message.response) == (b"ABCDEFGH", 34, True, False)


def bare(name):
    """A name without prefixes and without what is no letter and no digit."""
    return re.sub(r"[^A-Z0-9]", "", re.sub(r"^(IV2_)?NOTIFY_|^CFG_|^TS_", "", str(name).upper()))


@pytest.mark.parametrize(
    ("registry", "table"),
    [
        (iana.NotifyType, ikev2.IKEv2NotifyMessageTypes),
        (iana.CfgAttribute, ikev2.IKEv2ConfigurationAttributeTypes),
        (iana.ExchangeType, ikev2.IKEv2ExchangeTypes),
        (iana.TsType, ikev2.IKEv2TrafficSelectorTypes),
        (iana.CfgType, ikev2.IKEv2ConfigurationPayloadCFGTypes),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_our_numbers_are_scapys_where_it_has_them(registry, table):
    shared = [one for one in registry if int(one) in table]
    assert {one.name: bare(table[int(one)]) for one in shared} == {one.name: bare(one.name) for one in shared}
    assert len(shared) >= len(registry) - 3
