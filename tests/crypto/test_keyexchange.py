"""Key exchange: published vectors, both roles, and public values that must be refused."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from rhp.crypto import keyexchange
from rhp.crypto.algorithms import ADDITIONAL_ONLY, KEY_EXCHANGES
from rhp.crypto.errors import KeyExchangeFailed

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "key_exchange.json").read_text())
CURVES = {"ecp256": ec.SECP256R1(), "ecp384": ec.SECP384R1(), "ecp521": ec.SECP521R1()}

# RFC 2409 section 6.2 and RFC 3526 section 3, as formulas: 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + k).
MODP_BITS = {"modp1024": 1024, "modp1536": 1536, "modp2048": 2048, "modp3072": 3072, "modp4096": 4096}
MODP_K = {1024: 129093, 1536: 741804, 2048: 124476, 3072: 1690314, 4096: 240904}


def pi_times_power_of_two(bits):
    """Machin's formula in integers, with guard bits."""
    one = 1 << (bits + 64)

    def arctan_inverse(x):
        total, term, n = 0, one // x, 0
        while term:
            total += term // (2 * n + 1) if n % 2 == 0 else -(term // (2 * n + 1))
            term //= x * x
            n += 1
        return total

    return (4 * (4 * arctan_inverse(5) - arctan_inverse(239))) >> 64


def modp_prime(bits):
    return 2**bits - 2 ** (bits - 64) - 1 + 2**64 * (pi_times_power_of_two(bits - 130) + MODP_K[bits])


def with_private(method, private):
    """A key pair of ours whose private key is given."""
    pair = keyexchange.start(method)
    if method == 31:
        pair._private = X25519PrivateKey.from_private_bytes(private)
    elif method == 32:
        pair._private = X448PrivateKey.from_private_bytes(private)
    else:
        pair._private = ec.derive_private_key(int.from_bytes(private, "big"), pair._curve)
    return pair


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_published_vectors(vector):
    for private, peer in (("private_i", "public_r"), ("private_r", "public_i")):
        pair = with_private(vector["method"], bytes.fromhex(vector[private]))
        assert pair.agree(bytes.fromhex(vector[peer])).expose().hex() == vector["shared"]
        assert len(pair.public) == len(vector[peer]) // 2


@pytest.mark.parametrize("name", KEY_EXCHANGES)
def test_who_begins_and_who_answers_agree(name):
    method = KEY_EXCHANGES[name]
    own = keyexchange.start(method)
    public, shared = keyexchange.respond(method, own.public)
    assert own.agree(public) == shared
    again, another = keyexchange.respond(method, own.public)
    assert again != public and another != shared


@pytest.mark.parametrize("name", [name for name, method in KEY_EXCHANGES.items() if method not in ADDITIONAL_ONLY])
def test_two_ends_agree_and_values_are_fresh(name):
    one, other = keyexchange.start(KEY_EXCHANGES[name]), keyexchange.start(KEY_EXCHANGES[name])
    assert one.method == other.method == KEY_EXCHANGES[name]
    assert one.public != other.public
    shared = one.agree(other.public)
    assert shared == other.agree(one.public)
    assert len(shared) > 0
    assert shared != one.agree(one.public)


@pytest.mark.parametrize("name", MODP_BITS)
def test_modp_against_pow(name):
    bits = MODP_BITS[name]
    prime = modp_prime(bits)
    pair = keyexchange.start(KEY_EXCHANGES[name])
    private = 0x1234567890ABCDEF1234567890ABCDEF
    peer_public = pow(2, private, prime).to_bytes(bits // 8, "big")
    expected = pow(int.from_bytes(pair.public, "big"), private, prime)
    assert pair.agree(peer_public).expose() == expected.to_bytes(bits // 8, "big")
    assert len(pair.public) == bits // 8


@pytest.mark.parametrize("name", MODP_BITS)
def test_weak_modp_values_are_refused(name):
    bits = MODP_BITS[name]
    prime = modp_prime(bits)
    pair = keyexchange.start(KEY_EXCHANGES[name])
    for value in (0, 1, prime - 1, prime, prime + 1, 2**bits - 1):
        with pytest.raises(KeyExchangeFailed):
            pair.agree(value.to_bytes(bits // 8, "big"))
    for wrong in (b"", b"\x02", pair.public[:-1], b"\x00" + pair.public):
        with pytest.raises(KeyExchangeFailed):
            pair.agree(wrong)


LOW_ORDER_25519 = (
    # The values of small order on Curve25519 and its twist; every private key turns them into zero.
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
)


@pytest.mark.parametrize("value", LOW_ORDER_25519)
def test_x25519_values_of_small_order_are_refused(value):
    with pytest.raises(KeyExchangeFailed):
        keyexchange.start(31).agree(bytes.fromhex(value))


@pytest.mark.parametrize("value", [bytes(56), b"\x01" + bytes(55)])
def test_x448_values_of_small_order_are_refused(value):
    with pytest.raises(KeyExchangeFailed):
        keyexchange.start(32).agree(value)


@pytest.mark.parametrize("method", [31, 32])
def test_montgomery_values_of_wrong_length_are_refused(method):
    pair = keyexchange.start(method)
    for wrong in (b"", pair.public[:-1], pair.public + b"\x00"):
        with pytest.raises(KeyExchangeFailed):
            pair.agree(wrong)


@pytest.mark.parametrize("method", [19, 20, 21, 28, 29, 30])
def test_points_off_the_curve_are_refused(method):
    pair = keyexchange.start(method)
    other = keyexchange.start(method).public
    half = len(other) // 2
    off_curve = other[:-1] + bytes((other[-1] ^ 1,))
    for wrong in (off_curve, bytes(len(other)), b"\xff" * len(other), other[half:] + other[:half]):
        with pytest.raises(KeyExchangeFailed):
            pair.agree(wrong)
    for wrong in (b"", other[:-1], b"\x04" + other, other + b"\x00", other[:half]):
        with pytest.raises(KeyExchangeFailed, match="length"):
            pair.agree(wrong)


def test_unknown_methods_are_refused():
    for method in (0, 1, 22, 25, 35, 999):
        with pytest.raises(KeyExchangeFailed):
            keyexchange.start(method)


def test_elliptic_values_keep_their_leading_zeros():
    # RFC 5903 section 7: x and y have the length of the field, so about every hundredth pair begins with a zero.
    sizes = {len(keyexchange.start(21).public) for _ in range(20)}
    assert sizes == {132}
