"""The recorded session of two originals, once more with our engine in the place of either.

The keys of that session cannot be agreed on again, because nobody wrote down the private values. So each test plays
IKE_SA_INIT as recorded, lays the recorded keys into the SA, and from then on every recorded message is taken as it was.
"""

import struct
from pathlib import Path

import pytest
from ladder_world import child, config, connection, psk_policy

from rhp._fast.esp import EspOpener
from rhp.crypto.cipher import IkeCipher
from rhp.crypto.keymat import IkeKeys
from rhp.crypto.secret import Secret
from rhp.ike.config import Station
from rhp.ike.events import AuthenticationFailed, ChildFailed
from rhp.ike.maker import Maker
from rhp.ike.selectors import ANYTHING
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.identity import IDr
from rhp.wire.message import Message, parse_message, parse_payloads, sealed_offset
from rhp.wire.nonce import Nonce
from rhp.wire.private import RockhopperNotify
from rhp.wire.sk import SK
from rhp.wire.ts import TSi, TSr

VECTORS = Path(__file__).parent.parent / "vectors"
SUITE, ESP_SUITE = "aes256-sha512-modp2048", "aes256-sha512-modp2048-esn"
PSK = b"interop-psk-0001"
STATION = Station(bytes.fromhex("021122334455"))
ETHERIP = 97


def packets():
    """(IP protocol, payload) of each packet recorded; IKE without the non-ESP marker, full frames put together again:
    a TAP of 1492 octets makes two fragments of each."""
    begun = {}
    data = (VECTORS / "rockhopper-etherip-psk.pcap").read_bytes()
    offset = 24
    while offset < len(data):
        size = struct.unpack_from("<I", data, offset + 8)[0]
        frame = data[offset + 16 : offset + 16 + size]
        offset += 16 + size
        if frame[12:14] != b"\x08\x00":
            continue
        start = 14 + 4 * (frame[14] & 15)
        end = 14 + int.from_bytes(frame[16:18])
        if frame[23] == 17:
            payload = frame[start + 8 : end]
            yield 17, payload[4:] if payload[:4] == bytes(4) else payload
        elif frame[23] == 50:
            part, more, name = frame[start:end], frame[20] & 0x20, frame[18:20] + frame[26:34]
            begun[name] = begun.get(name, b"") + part
            if not more:
                yield 50, begun.pop(name)


def recorded_keys():
    lines = (VECTORS / "rockhopper-etherip-psk.keys").read_text().splitlines()
    return {kind: dict(field.split("=") for field in fields) for kind, *fields in map(str.split, lines)}


IKE = [payload for protocol, payload in packets() if protocol == 17]
SEALED_ESP = [payload for protocol, payload in packets() if protocol == 50]
KEYS = recorded_keys()


def recorded(name):
    return Secret(bytes.fromhex(KEYS["IKE"][name]))


def side_config(own, peer):
    made = connection(own, peer, ike=(SUITE,), children=(child(esp=(ESP_SUITE,)),), encapsulation="auto")
    return config(made, station=STATION)


def lay_keys(net, spi_i, spi_r, nonces):
    """Make the engine's one SA the recorded one."""
    (sa,) = net.a.table.sas()
    net.a.table.remove(sa)
    sa.spi_i, sa.spi_r = spi_i, spi_r
    net.a.table.add(sa)
    sa.shake.message_i, sa.shake.message_r = IKE[:2]
    sa.shake.nonce_i, sa.shake.nonce_r = nonces
    names = ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr")
    sa.take_keys(sa.agreed, IkeKeys(*map(recorded, names)))
    return sa


def open_with(sa, datagram, side):
    """A sealed message of the engine's, by the recorded keys of that side."""
    suite = sa.agreed
    cipher = IkeCipher(suite.encryption, suite.integrity, recorded(f"sk_e{side}"), recorded(f"sk_a{side}"))
    offset = sealed_offset(datagram)
    outer = parse_message(datagram)
    payloads = parse_payloads(outer.first(SK).next_payload, cipher.open(datagram[:offset], datagram[offset:]))
    return Message(
        outer.spi_i, outer.spi_r, outer.exchange, outer.initiator, outer.response, outer.message_id, payloads
    )


def key(name):
    return bytes.fromhex(KEYS["ESP"][name])


@pytest.fixture
def nonces():
    return [parse_message(datagram).first(Nonce).data for datagram in IKE[:2]]


@pytest.fixture
def responder(ladder, nonces):
    """In the place of rhb.test, up to the recorded keys."""
    net = ladder(side_config("rhb.test", "rha.test"), None, psk_policy(PSK))
    # R --- SA, KE, Ni, V, N(NATD) ---> a; R <--- SA, KE, Nr, N(NATD), V ---
    net.inject(net.a, IKE[0])
    ours = parse_message(net.flight.pop(0).datagram)
    theirs = parse_message(IKE[1])
    assert {type(payload) for payload in theirs.payloads} <= {type(payload) for payload in ours.payloads}
    assert ours.payloads[0].proposals[0].transforms == theirs.payloads[0].proposals[0].transforms
    header = theirs.spi_i, theirs.spi_r
    return net, lay_keys(net, *header, nonces)


def test_as_responder(responder):
    net, sa = responder
    assert sa.maker is Maker.ROCKHOPPER
    # R --- SK{IDi, N(INITIAL_CONTACT), CERTREQ, IDr, AUTH, N(59306)?, ..., N(59300), ...} ---> a
    net.inject(net.a, IKE[2])
    answer = open_with(sa, net.flight.pop(0).datagram, "r")
    assert answer.first(IDr).data == b"rhb.test"
    assert answer.notify(NotifyType.USE_TRANSPORT_MODE) is not None
    assert answer.notify(RockhopperNotify.USE_ETHERIP_ENCAP) is not None
    assert answer.notify(RockhopperNotify.INTERNAL_MAC_ADDRESS).data == STATION.mac
    assert answer.first(TSi).selectors == answer.first(TSr).selectors == ANYTHING
    pair = net.a.child()
    assert (pair.spi_out.to_bytes(4), pair.suite.name) == (bytes.fromhex(KEYS["ESP"]["spi_in"]), "aes256-sha512-esn")
    assert (pair.encr_in.expose(), pair.integ_in.expose()) == (key("e_out"), key("i_out"))
    assert (pair.encr_out.expose(), pair.integ_out.expose()) == (key("e_in"), key("i_in"))
    assert net.a.happened(AuthenticationFailed, ChildFailed) == []
    # R --- SK{N(59301), N(59303)} ---> a; R <--- SK{} ---
    net.inject(net.a, IKE[4])
    told = open_with(sa, net.flight.pop(0).datagram, "r")
    assert (told.exchange, told.message_id, told.payloads) == (ExchangeType.INFORMATIONAL, 2, ())


def test_as_responder_with_another_key(ladder, nonces):
    net = ladder(side_config("rhb.test", "rha.test"), None, psk_policy(b"interop-psk-0002"))
    net.inject(net.a, IKE[0])
    net.flight.clear()
    sa = lay_keys(net, parse_message(IKE[1]).spi_i, parse_message(IKE[1]).spi_r, nonces)
    net.inject(net.a, IKE[2])
    answer = open_with(sa, net.flight.pop(0).datagram, "r")
    assert answer.notify(NotifyType.AUTHENTICATION_FAILED) is not None
    assert net.a.sas == {}


def test_as_initiator(ladder, nonces):
    """In the place of rha.test: what the original answered is taken."""
    net = ladder(side_config("rha.test", "rhb.test"), None, psk_policy(PSK))
    net.initiate()
    net.flight.clear()
    (sa,) = net.a.table.sas()
    theirs = parse_message(IKE[1])
    answer = bytearray(IKE[1])
    answer[:8] = sa.spi_i
    # a <--- SA, KE, Nr, N(NATD), V --- R
    net.inject(net.a, bytes(answer))
    request = net.flight.pop(0)
    assert request.header.exchange == ExchangeType.IKE_AUTH
    sa = lay_keys(net, theirs.spi_i, theirs.spi_r, nonces)
    # a <--- SK{IDr, AUTH, N(59301), N(59303), ..., SA, TSi, TSr, N(59300), ...} --- R
    net.inject(net.a, IKE[3])
    assert net.a.states() == ["established"]
    pair = net.a.child()
    assert pair.spi_out.to_bytes(4) == bytes.fromhex(KEYS["ESP"]["spi_out"])
    assert (pair.encr_out.expose(), pair.encr_in.expose()) == (key("e_out"), key("e_in"))
    # a --- SK{N(59303)} ---> R; a <--- SK{} ---
    told = open_with(sa, net.flight.pop(0).datagram, "i")
    assert [notify.type for notify in told.payloads] == [RockhopperNotify.INTERNAL_MAC_ADDRESS]
    net.inject(net.a, IKE[5])
    assert sa.turn is None
    assert net.flight == []


@pytest.mark.parametrize("way", ["in", "out"])
def test_its_esp_opens_with_the_keys_that_we_would_install(way):
    """Each packet is EtherIP, version 3 with nothing reserved, and an Ethernet frame in it."""
    spi = bytes.fromhex(KEYS["ESP"][f"spi_{way}"])
    opener = EspOpener(12, key(f"e_{way}"), 14, key(f"i_{way}"), int.from_bytes(spi), True, 1024)
    mine = [packet for packet in SEALED_ESP if packet[:4] == spi]
    assert mine
    assert [int.from_bytes(packet[4:8]) for packet in mine] == list(range(1, len(mine) + 1))
    for packet in mine:
        protocol, payload = opener.open(packet)
        assert protocol == ETHERIP
        assert payload[:2] == b"\x30\x00"
        assert payload[14:16] in (b"\x08\x00", b"\x08\x06", b"\x86\xdd")
