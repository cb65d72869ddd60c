"""ESP against published packets; tests/vectors/esp/README.md says where they come from."""

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from rhp._fast.esp import EspDropped, EspOpener

VECTORS = Path(__file__).parents[1] / "vectors" / "esp"


def vectors(name):
    found = json.loads((VECTORS / f"{name}.json").read_text())["vectors"]
    return [pytest.param(vector, id=vector["name"]) for vector in found]


def split(plaintext):
    """Next header and payload of a plaintext with its ESP trailer."""
    return plaintext[-1], plaintext[: len(plaintext) - 2 - plaintext[-2]]


def aead_opener(encr_id, vector):
    seq = int(vector["seq"], 16)
    # The window stands just left of the packet, so that an extended number's high half is inferred as published.
    return EspOpener(
        encr_id, bytes.fromhex(vector["key"]), 0, b"", int(vector["spi"], 16), len(vector["seq"]) == 16, 64, top=seq - 1
    )


@pytest.mark.parametrize("vector", [param for param in vectors("gcm") if param.id != "case 4"])
def test_gcm(vector):
    opener = aead_opener(20, vector)
    packet = bytes.fromhex(vector["packet"])

    assert opener.open(packet) == split(bytes.fromhex(vector["plaintext"]))
    assert opener.replay_top == int(vector["seq"], 16)
    with pytest.raises(EspDropped, match="esp-replayed"):
        opener.open(packet)


@pytest.mark.parametrize("vector", [param for param in vectors("gcm") if len(param.values[0]["seq"]) == 16])
def test_gcm_with_the_wrong_high_half(vector):
    vector = vector | {"seq": f"{int(vector['seq'], 16) ^ (1 << 32):016x}"}
    with pytest.raises(EspDropped, match="esp-bad-icv"):
        aead_opener(20, vector).open(bytes.fromhex(vector["packet"]))


def test_gcm_case_4_has_an_spi_that_no_sa_can_have():
    (vector,) = [param.values[0] for param in vectors("gcm") if param.id == "case 4"]
    with pytest.raises(ValueError, match="SPI"):
        aead_opener(20, vector)


@pytest.mark.parametrize("vector", vectors("chacha20poly1305"))
def test_chacha20poly1305(vector):
    assert aead_opener(28, vector).open(bytes.fromhex(vector["packet"])) == split(bytes.fromhex(vector["plaintext"]))


@pytest.mark.parametrize("vector", vectors("cbc"))
def test_cbc(vector):
    mac_key = bytes(range(32))
    opener = EspOpener(12, bytes.fromhex(vector["key"]), 12, mac_key, int(vector["spi"], 16), False, 64)
    packet = bytes.fromhex(vector["packet"])
    packet += hmac.digest(mac_key, packet, hashlib.sha256)[:16]

    assert opener.open(packet) == (vector["next_header"], bytes.fromhex(vector["payload"]))


@pytest.mark.parametrize("vector", vectors("ctr"))
def test_ctr(vector):
    mac_key = bytes(range(32))
    plain, sealed = bytes.fromhex(vector["plaintext"]), bytes.fromhex(vector["ciphertext"])
    stream = bytes(a ^ b for a, b in zip(plain, sealed, strict=True))
    wanted = plain[:-4] + bytes([1, 2, 2, 4])
    opener = EspOpener(13, bytes.fromhex(vector["key"] + vector["nonce"]), 12, mac_key, 0x1000, False, 64)
    packet = bytes.fromhex("0000100000000001" + vector["iv"]) + bytes(
        a ^ b for a, b in zip(wanted, stream, strict=True)
    )
    packet += hmac.digest(mac_key, packet, hashlib.sha256)[:16]

    assert opener.open(packet) == (4, plain[:-4])
