"""A recorded session of the original Rockhopper (tests/vectors/rockhopper.md), computed again."""

import struct
from pathlib import Path

import pytest

from rhp.crypto.algorithms import prf
from rhp.crypto.auth import auth_octets, psk_auth
from rhp.crypto.cipher import IkeCipher
from rhp.crypto.errors import AuthenticationFailed
from rhp.crypto.keymat import derive_child_keys
from rhp.crypto.proposal import accept_esp, accept_ike, choose_esp, choose_ike, parse_esp_proposal, parse_ike_proposal
from rhp.crypto.secret import Secret
from rhp.wire.auth import AUTH
from rhp.wire.identity import IDi, IDr
from rhp.wire.message import parse_message, parse_payloads, sealed_offset
from rhp.wire.nonce import Nonce
from rhp.wire.sa import SA
from rhp.wire.sk import SK

VECTORS = Path(__file__).parent.parent / "vectors"
PSK = Secret(b"interop-psk-0001")
IKE_PROPOSAL = parse_ike_proposal("aes256-sha512-modp2048")
ESP_PROPOSAL = parse_esp_proposal("aes256-sha512-esn")


def udp_payloads(path):
    """Yield the payloads of the UDP datagrams in a pcap of Ethernet frames, without the non-ESP marker."""
    data = path.read_bytes()
    offset = 24
    while offset < len(data):
        size = struct.unpack_from("<I", data, offset + 8)[0]
        frame = data[offset + 16 : offset + 16 + size]
        offset += 16 + size
        if frame[12:14] == b"\x08\x00" and frame[23] == 17:
            start = 14 + 4 * (frame[14] & 15)
            length = int.from_bytes(frame[start + 4 : start + 6], "big")
            payload = frame[start + 8 : start + length]
            yield payload[4:] if payload[:4] == bytes(4) else payload


def read_keys():
    keys = {}
    for line in (VECTORS / "rockhopper-etherip-psk.keys").read_text().splitlines():
        kind, *fields = line.split()
        keys[kind] = dict(field.split("=") for field in fields)
    return keys


@pytest.fixture(scope="module")
def keys():
    return read_keys()


@pytest.fixture(scope="module")
def datagrams():
    found = list(udp_payloads(VECTORS / "rockhopper-etherip-psk.pcap"))
    assert len(found) == 6
    return found


@pytest.fixture(scope="module")
def suite(datagrams):
    return choose_ike(parse_message(datagrams[0]).first(SA), (IKE_PROPOSAL,))[1]


def cipher_of(suite, keys, side):
    ike = keys["IKE"]
    encr, auth = bytes.fromhex(ike[f"sk_e{side}"]), bytes.fromhex(ike[f"sk_a{side}"])
    return IkeCipher(suite.encryption, suite.integrity, Secret(encr), Secret(auth))


def open_message(datagram, cipher):
    offset = sealed_offset(datagram)
    inner = cipher.open(datagram[:offset], datagram[offset:])
    return parse_payloads(parse_message(datagram).first(SK).next_payload, inner)


def first(payloads, kind):
    return next(item for item in payloads if isinstance(item, kind))


def test_the_proposal_that_was_chosen(datagrams, suite):
    assert suite.name == "aes256-sha512-prfsha512-modp2048"
    assert accept_ike(parse_message(datagrams[1]).first(SA), (IKE_PROPOSAL,)) == suite


def test_every_sealed_message_opens_with_its_side_only(datagrams, keys, suite):
    ciphers = {side: cipher_of(suite, keys, side) for side in "ir"}
    for number, datagram in enumerate(datagrams[2:]):
        side, other = "ir"[number % 2], "ri"[number % 2]
        payloads = open_message(datagram, ciphers[side])
        assert payloads or number == 3
        with pytest.raises(AuthenticationFailed):
            open_message(datagram, ciphers[other])


@pytest.mark.parametrize(("side", "kind", "number"), [("i", IDi, 2), ("r", IDr, 3)])
def test_auth_is_recomputed(datagrams, keys, suite, side, kind, number):
    payloads = open_message(datagrams[number], cipher_of(suite, keys, side))
    identity = first(payloads, kind)
    init, answer = (0, 1) if side == "i" else (1, 0)
    nonce = parse_message(datagrams[answer]).first(Nonce).data
    sk_p = Secret(bytes.fromhex(keys["IKE"][f"sk_p{side}"]))
    octets = auth_octets(datagrams[init], nonce, suite.prf, sk_p, identity.build())
    auth = first(payloads, AUTH)
    assert identity.data == {"i": b"rha.test", "r": b"rhb.test"}[side]
    assert auth.method == 2
    assert psk_auth(suite.prf, PSK, octets) == auth.data
    assert psk_auth(suite.prf, Secret(b"interop-psk-0002"), octets) != auth.data


def test_keymat_of_the_child_is_recomputed(datagrams, keys, suite):
    sealed_request = open_message(datagrams[2], cipher_of(suite, keys, "i"))
    sealed_answer = open_message(datagrams[3], cipher_of(suite, keys, "r"))
    _, spi_i, child = choose_esp(first(sealed_request, SA), (ESP_PROPOSAL,), with_key_exchange=False)
    spi_r, accepted = accept_esp(first(sealed_answer, SA), (ESP_PROPOSAL,), with_key_exchange=False)
    assert child == accepted
    assert child.name == "aes256-sha512-esn"
    esp = keys["ESP"]
    assert {spi_i.hex(), spi_r.hex()} == {esp["spi_in"], esp["spi_out"]}
    nonces = [parse_message(datagram).first(Nonce).data for datagram in datagrams[:2]]
    sk_d = Secret(bytes.fromhex(keys["IKE"]["sk_d"]))
    derived = derive_child_keys(child, prf(7), sk_d, *nonces)
    # The keys were dumped by one end: what it sends with is "out", and its own SPI is the one it receives on.
    ours, theirs = ("i", "r") if spi_i.hex() == esp["spi_in"] else ("r", "i")
    assert getattr(derived, f"encr_{ours}").expose().hex() == esp["e_out"]
    assert getattr(derived, f"integ_{ours}").expose().hex() == esp["i_out"]
    assert getattr(derived, f"encr_{theirs}").expose().hex() == esp["e_in"]
    assert getattr(derived, f"integ_{theirs}").expose().hex() == esp["i_in"]


def test_its_padding_is_a_counter_and_does_not_matter(datagrams, keys, suite):
    cipher = cipher_of(suite, keys, "i")
    datagram = datagrams[2]
    offset = sealed_offset(datagram)
    padded = cipher._body.open(datagram[:offset], datagram[offset:])
    assert padded[-1] > 0
    assert any(padded[-1 - padded[-1] : -1])
    assert len(cipher.open(datagram[:offset], datagram[offset:])) == len(padded) - 1 - padded[-1]
