"""Key derivation against RFC 7296 sections 2.13 to 2.18, written out a second time with bare HMAC."""

import hashlib
import hmac

import pytest

from rhp.crypto.algorithms import prf
from rhp.crypto.auth import auth_octets, psk_auth, resumption_auth
from rhp.crypto.keymat import derive_child_keys, derive_ike_keys, rederive_ike_keys, resume_ike_keys
from rhp.crypto.negotiate import choose_esp, choose_ike
from rhp.crypto.proposal import parse_esp_proposal, parse_ike_proposal
from rhp.crypto.secret import Secret
from rhp.wire.sa import SA

NI, NR = b"initiator's nonce, 32 octets long", b"responder's nonce"
SPI_I, SPI_R = b"IIIIIIII", b"RRRRRRRR"
SHARED = Secret(b"\x00\x01" * 16)


def ike_suite(text):
    proposal = parse_ike_proposal(text)
    return choose_ike(SA((proposal.to_wire(1),)), (proposal,))[1]


def esp_suite(text):
    proposal = parse_esp_proposal(text)
    return choose_esp(SA((proposal.to_wire(1, b"\0\0\1\0"),)), (proposal,))[2]


def mac(key, data, name):
    return hmac.new(key, data, name).digest()


def expand(key, seed, length, name):
    output, block, counter = b"", b"", 1
    while len(output) < length:
        block = mac(key, block + seed + bytes((counter,)), name)
        output, counter = output + block, counter + 1
    return output[:length]


def ike_fields(keys):
    return [keys.sk_d, keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er, keys.sk_pi, keys.sk_pr]


@pytest.mark.parametrize(
    ("text", "name", "sizes"),
    [
        ("aes128gcm16-prfsha256-x25519", "sha256", (32, 0, 0, 20, 20, 32, 32)),
        ("chacha20poly1305-prfsha512-x25519", "sha512", (64, 0, 0, 36, 36, 64, 64)),
        ("aes256ccm8-prfsha1-x25519", "sha1", (20, 0, 0, 35, 35, 20, 20)),
        ("aes256-sha384-modp2048", "sha384", (48, 48, 48, 32, 32, 48, 48)),
        ("aes128ctr-sha1-prfsha256-modp2048", "sha256", (32, 20, 20, 20, 20, 32, 32)),
        ("3des-sha1-modp1024", "sha1", (20, 20, 20, 24, 24, 20, 20)),
    ],
)
def test_keys_of_an_ike_sa(text, name, sizes):
    suite = ike_suite(text)
    keys = derive_ike_keys(suite, SHARED, NI, NR, SPI_I, SPI_R)
    skeyseed = mac(NI + NR, SHARED.expose(), name)
    material = expand(skeyseed, NI + NR + SPI_I + SPI_R, sum(sizes), name)
    assert tuple(map(len, ike_fields(keys))) == sizes
    assert b"".join(item.expose() for item in ike_fields(keys)) == material


def test_keys_of_a_rekeyed_ike_sa_use_the_old_prf_for_the_seed_only():
    suite = ike_suite("aes256-sha512-modp2048")
    old_sk_d = Secret(b"\x42" * 32)
    keys = rederive_ike_keys(suite, prf(5), old_sk_d, SHARED, NI, NR, SPI_I, SPI_R)
    skeyseed = mac(old_sk_d.expose(), SHARED.expose() + NI + NR, "sha256")
    sizes = tuple(map(len, ike_fields(keys)))
    assert sizes == (64, 64, 64, 32, 32, 64, 64)
    material = expand(skeyseed, NI + NR + SPI_I + SPI_R, sum(sizes), "sha512")
    assert b"".join(item.expose() for item in ike_fields(keys)) == material


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("aes128gcm16", (20, 0, 20, 0)),
        ("aes256-sha256", (32, 32, 32, 32)),
        ("chacha20poly1305", (36, 0, 36, 0)),
        ("aes192ctr-sha384", (28, 48, 28, 48)),
        ("3des-sha1", (24, 20, 24, 20)),
    ],
)
@pytest.mark.parametrize("shared", [None, SHARED])
def test_keys_of_a_child_sa(text, sizes, shared):
    sk_d = Secret(b"\x33" * 32)
    keys = derive_child_keys(esp_suite(text), prf(5), sk_d, NI, NR, shared)
    fields = [keys.encr_i, keys.integ_i, keys.encr_r, keys.integ_r]
    seed = (shared.expose() if shared else b"") + NI + NR
    assert tuple(map(len, fields)) == sizes
    assert b"".join(item.expose() for item in fields) == expand(sk_d.expose(), seed, sum(sizes), "sha256")


def test_every_input_changes_the_keys():
    suite = ike_suite("aes128gcm16-prfsha256-x25519")
    base = (SHARED, NI, NR, SPI_I, SPI_R)
    reference = derive_ike_keys(suite, *base)
    for position in range(5):
        changed = list(base)
        changed[position] = Secret(b"x" * 32) if position == 0 else b"x" + base[position][1:]
        assert derive_ike_keys(suite, *changed).sk_d != reference.sk_d


def test_wiping_forgets_all_of_them():
    keys = derive_ike_keys(ike_suite("aes256-sha256-modp2048"), SHARED, NI, NR, SPI_I, SPI_R)
    keys.wipe()
    assert [len(item) for item in ike_fields(keys)] == [0] * 7
    child = derive_child_keys(esp_suite("aes256-sha256"), prf(5), SHARED, NI, NR)
    child.wipe()
    assert len(child.encr_i) == len(child.integ_i) == len(child.encr_r) == len(child.integ_r) == 0


def test_nothing_secret_in_the_repr():
    keys = derive_ike_keys(ike_suite("aes256-sha256-modp2048"), SHARED, NI, NR, SPI_I, SPI_R)
    text = repr(keys)
    for item in ike_fields(keys):
        assert item.expose().hex() not in text
        assert repr(item.expose()) not in text


def test_auth_octets_and_psk():
    sk_p = Secret(b"\x11" * 32)
    octets = auth_octets(b"message", b"nonce", prf(5), sk_p, b"\x02\0\0\0a.b")
    assert octets == b"message" + b"nonce" + mac(sk_p.expose(), b"\x02\0\0\0a.b", "sha256")
    padded = mac(b"secret", b"Key Pad for IKEv2", "sha256")
    assert psk_auth(prf(5), Secret(b"secret"), octets) == mac(padded, octets, hashlib.sha256)


@pytest.mark.parametrize("name", ["sha256", "sha384"])
def test_keys_of_a_resumed_ike_sa(name):
    # RFC 5723 section 5.1: SKEYSEED = prf(SK_d of the old one, "Resumption" | Ni | Nr); the rest is as ever.
    suite = ike_suite(f"aes128gcm16-prf{name}-x25519")
    old = Secret(b"d" * suite.prf.output_bytes)
    keys = resume_ike_keys(suite, old, NI, NR, SPI_I, SPI_R)
    seed = mac(old.expose(), b"Resumption" + NI + NR, name)
    material = expand(seed, NI + NR + SPI_I + SPI_R, sum(map(len, ike_fields(keys))), name)
    assert b"".join(item.expose() for item in ike_fields(keys)) == material


def test_auth_of_a_resumed_ike_sa():
    # RFC 5723 section 4.3.3: no key pad, SK_px is the key.
    assert resumption_auth(prf(5), Secret(b"p" * 32), b"octets") == mac(b"p" * 32, b"octets", "sha256")
