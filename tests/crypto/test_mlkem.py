"""ML-KEM against a second implementation, and values that must be refused."""

import random
import sys
from hashlib import shake_128
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem

sys.path.insert(0, str(Path(__file__).parent))

from mlkem_reference import ML_KEM_768, ML_KEM_1024

from rhp.crypto import keyexchange
from rhp.crypto.errors import KeyExchangeFailed

KINDS = {
    36: (ML_KEM_768, mlkem.MLKEM768PrivateKey, 1184, 1088),
    37: (ML_KEM_1024, mlkem.MLKEM1024PrivateKey, 1568, 1568),
}
PUBLISHED = {
    # Go's crypto/mlkem, TestAccumulated with 100 rounds.
    36: "1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415",
    # The same procedure; PQClean, kyber-py, CIRCL and Go are reported to agree.
    37: "800018fec3e2723f73f1d657fe239b4d5d8782efaade297e8cd448e54cc2ac00",
}
METHODS = pytest.mark.parametrize("method", KINDS, ids=["768", "1024"])
SEEDS = pytest.mark.parametrize("seed", range(3))


def begun(method, seed):
    """A key pair of ours from 64 octets, the reference's decapsulation key, and more chance."""
    reference, kind, _, _ = KINDS[method]
    chance = random.Random(f"{method} {seed}")
    d, z = chance.randbytes(32), chance.randbytes(32)
    pair = keyexchange.start(method)
    pair._private = kind.from_seed_bytes(d + z)
    pair.public = pair._private.public_key().public_bytes_raw()
    ek, dk = reference.keys(d, z)
    assert pair.public == ek
    return pair, dk, chance


@METHODS
@SEEDS
def test_the_reference_answers(method, seed):
    pair, _, chance = begun(method, seed)
    shared, ciphertext = KINDS[method][0].encapsulate(pair.public, chance.randbytes(32))
    assert pair.agree(ciphertext).expose() == shared


@METHODS
@SEEDS
def test_we_answer_the_reference(method, seed):
    pair, dk, _ = begun(method, seed)
    public, shared = keyexchange.respond(method, pair.public)
    assert KINDS[method][0].decapsulate(dk, public) == shared.expose()


@METHODS
def test_a_hundred_published_vectors(method):
    """Key generation, encapsulation, decapsulation and implicit rejection, all of it in one published digest.

    The procedure is that of C2SP's CCTV ("accumulated vectors", without the decapsulation key, as Go's crypto/mlkem has
    it): inputs come from SHAKE-128 of nothing, outputs go into another SHAKE-128.
    """
    reference, kind, _, ciphertext = KINDS[method]
    need = 64 + 32 + ciphertext
    stream, results = shake_128().digest(100 * need), shake_128()
    for at in range(0, len(stream), need):
        seed, m, noise = stream[at : at + 64], stream[at + 64 : at + 96], stream[at + 96 : at + need]
        pair = keyexchange.start(method)
        pair._private = kind.from_seed_bytes(seed)
        key = pair._private.public_key().public_bytes_raw()
        shared, answer = reference.encapsulate(key, m)
        assert pair.agree(answer).expose() == shared
        results.update(key + answer + shared + pair.agree(noise).expose())
    assert results.hexdigest(32) == PUBLISHED[method]


@METHODS
def test_a_ciphertext_that_was_tampered_with_opens_to_another_secret(method):
    pair, dk, _ = begun(method, 0)
    public, shared = keyexchange.respond(method, pair.public)
    for at in (0, len(public) // 2, len(public) - 1):
        spoilt = bytearray(public)
        spoilt[at] ^= 1
        # Implicit rejection: no error tells the sender which bit mattered (FIPS 203 section 6.3).
        found = pair.agree(bytes(spoilt))
        assert found != shared
        assert found.expose() == KINDS[method][0].decapsulate(dk, bytes(spoilt))


@METHODS
def test_values_of_a_wrong_length_are_refused(method):
    own = keyexchange.start(method)
    _, _, key, ciphertext = KINDS[method]
    assert len(own.public) == key
    for length in (0, 1, 32, key - 1, key + 1, 5000):
        with pytest.raises(KeyExchangeFailed):
            keyexchange.respond(method, bytes(length))
    for length in (0, 1, 32, ciphertext - 1, ciphertext + 1, 5000):
        with pytest.raises(KeyExchangeFailed):
            own.agree(bytes(length))
    public, _ = keyexchange.respond(method, own.public)
    assert len(public) == ciphertext


@METHODS
def test_an_encapsulation_key_with_a_coefficient_of_q_or_more_is_refused(method):
    key = bytearray(keyexchange.start(method).public)
    keyexchange.respond(method, bytes(key))
    # The first coefficient is the first 12 bits: 3329 is q (FIPS 203 section 7.2, the modulus check).
    key[0], key[1] = 3329 & 0xFF, key[1] & 0xF0 | 3329 >> 8
    with pytest.raises(KeyExchangeFailed, match="malformed"):
        keyexchange.respond(method, bytes(key))
    with pytest.raises(KeyExchangeFailed):
        keyexchange.respond(method, b"\xff" * len(key))


def test_no_secret_in_a_refusal():
    own = keyexchange.start(36)
    with pytest.raises(KeyExchangeFailed) as caught:
        own.agree(b"x" * 1087)
    assert caught.value.__cause__ is None
    assert "wrong length" in str(caught.value)
