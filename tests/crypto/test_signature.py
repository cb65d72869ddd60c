"""Signatures: the identifiers of RFC 7427 and RFC 8420, every method both ways, and what must be refused."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from rhp.crypto import der
from rhp.crypto.errors import AuthenticationFailed, CryptoError
from rhp.crypto.sigalg import SignatureAlgorithm, decode_algorithm, encode_algorithm
from rhp.crypto.signature import SUPPORTED_HASHES, sign, verify

OCTETS = b"the octets that AUTH covers"
ALL = frozenset({1, 2, 3, 4, 5})
SHA1, SHA256, SHA384, SHA512, IDENTITY = 1, 2, 3, 4, 5

RFC_IDENTIFIERS = {
    # RFC 7427 appendix A.1.2 to A.1.4, A.3.2 to A.3.4 and A.4.3; RFC 8420 appendix A.
    ("rsa", SHA256): "300d06092a864886f70d01010b0500",
    ("rsa", SHA384): "300d06092a864886f70d01010c0500",
    ("rsa", SHA512): "300d06092a864886f70d01010d0500",
    ("ecdsa", SHA256): "300a06082a8648ce3d040302",
    ("ecdsa", SHA384): "300a06082a8648ce3d040303",
    ("ecdsa", SHA512): "300a06082a8648ce3d040304",
    ("pss", SHA256): "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
    "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120",
    ("ed25519", IDENTITY): "300506032b6570",
    ("ed448", IDENTITY): "300506032b6571",
}


@pytest.fixture(scope="module")
def keys():
    return {
        "rsa": rsa.generate_private_key(65537, 2048),
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "bp256": ec.generate_private_key(ec.BrainpoolP256R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "ed448": ed448.Ed448PrivateKey.generate(),
    }


@pytest.mark.parametrize("pair", RFC_IDENTIFIERS, ids=str)
def test_identifiers_are_those_of_the_rfcs(pair):
    encoded = encode_algorithm(*pair)
    assert encoded.hex() == RFC_IDENTIFIERS[pair]
    decoded = decode_algorithm(encoded)
    assert (decoded.scheme, decoded.hash) == pair
    assert decoded.salt_bytes == (32 if pair[0] == "pss" else 0)


def test_pss_with_every_hash_reads_back():
    for number, salt in ((SHA256, 32), (SHA384, 48), (SHA512, 64)):
        assert decode_algorithm(encode_algorithm("pss", number)) == SignatureAlgorithm("pss", number, salt)


def test_pss_without_null_and_with_another_salt():
    digest = der.encode(der.SEQUENCE, der.encode_oid("2.16.840.1.101.3.4.2.1"))
    mask = der.encode(der.SEQUENCE, der.encode_oid("1.2.840.113549.1.1.8"), digest)

    def pss(*fields):
        return der.encode(der.SEQUENCE, der.encode_oid("1.2.840.113549.1.1.10"), der.encode(der.SEQUENCE, *fields))

    first, second = der.encode(0xA0, digest), der.encode(0xA1, mask)
    assert decode_algorithm(pss(first, second)) == SignatureAlgorithm("pss", SHA256, 20)
    salted = der.encode(0xA2, der.encode(der.INTEGER, b"\x00"))
    trailer = der.encode(0xA3, der.encode(der.INTEGER, b"\x01"))
    assert decode_algorithm(pss(first, second, salted, trailer)) == SignatureAlgorithm("pss", SHA256, 0)
    wrong_trailer = der.encode(0xA3, der.encode(der.INTEGER, b"\x02"))
    other = der.encode(der.SEQUENCE, der.encode_oid("2.16.840.1.101.3.4.2.2"))
    mixed = der.encode(0xA1, der.encode(der.SEQUENCE, der.encode_oid("1.2.840.113549.1.1.8"), other))
    negative = der.encode(0xA2, der.encode(der.INTEGER, b"\xff"))
    for fields in ((), (first,), (first, second, wrong_trailer), (first, mixed), (first, second, negative)):
        with pytest.raises(ValueError, match=r"."):
            decode_algorithm(pss(*fields))


@pytest.mark.parametrize(
    ("name", "method"),
    [("rsa", 14), ("p256", 14), ("p384", 14), ("p521", 14), ("bp256", 14), ("ed25519", 14), ("ed448", 14)],
)
def test_rfc_7427_both_ways(keys, name, method):
    made, data = sign(keys[name], OCTETS, ALL)
    assert made == method
    verify(keys[name].public_key(), made, data, OCTETS)
    for wrong_octets in (OCTETS + b"x", OCTETS[:-1], b""):
        with pytest.raises(AuthenticationFailed):
            verify(keys[name].public_key(), made, data, wrong_octets)
    for position in (0, 3, len(data) // 2, len(data) - 1):
        damaged = bytearray(data)
        damaged[position] ^= 1
        with pytest.raises(AuthenticationFailed):
            verify(keys[name].public_key(), made, bytes(damaged), OCTETS)


@pytest.mark.parametrize(
    ("name", "method", "size"), [("rsa", 1, 256), ("p256", 9, 64), ("p384", 10, 96), ("p521", 11, 132)]
)
def test_the_older_methods_both_ways(keys, name, method, size):
    made, data = sign(keys[name], OCTETS, None)
    assert (made, len(data)) == (method, size)
    verify(keys[name].public_key(), made, data, OCTETS)
    with pytest.raises(AuthenticationFailed):
        verify(keys[name].public_key(), made, data, OCTETS + b"x")
    with pytest.raises(AuthenticationFailed):
        verify(keys[name].public_key(), made, data[:-1], OCTETS)
    with pytest.raises(AuthenticationFailed):
        verify(keys[name].public_key(), made, bytes(size), OCTETS)


@pytest.mark.parametrize("number", [SHA256, SHA384, SHA512])
def test_rsa_pss_both_ways(keys, number):
    method, data = sign(keys["rsa"], OCTETS, frozenset({number}), rsa_pss=True)
    algorithm = decode_algorithm(data[1 : 1 + data[0]])
    assert (method, algorithm.scheme, algorithm.hash) == (14, "pss", number)
    verify(keys["rsa"].public_key(), method, data, OCTETS)
    with pytest.raises(AuthenticationFailed):
        verify(keys["rsa"].public_key(), method, data, OCTETS + b"x")


def test_method_1_accepts_better_hashes_than_sha_1(keys):
    for digest in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
        data = keys["rsa"].sign(OCTETS, padding.PKCS1v15(), digest)
        verify(keys["rsa"].public_key(), 1, data, OCTETS)


def test_method_1_with_sha_1_is_not_for_a_peer_that_knows_better(keys):
    public = keys["rsa"].public_key()
    weak = keys["rsa"].sign(OCTETS, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    verify(public, 1, weak, OCTETS)
    with pytest.raises(AuthenticationFailed, match="SHA-1"):
        verify(public, 1, weak, OCTETS, sha1=False)
    verify(public, 1, keys["rsa"].sign(OCTETS, padding.PKCS1v15(), hashes.SHA256()), OCTETS, sha1=False)
    with pytest.raises(AuthenticationFailed, match="wrong"):
        verify(public, 1, weak[:-1], OCTETS, sha1=False)


@pytest.mark.parametrize(("number", "digest"), [(SHA256, hashes.SHA256()), (SHA512, hashes.SHA512())])
def test_pss_signatures_are_verified(keys, number, digest):
    signature = keys["rsa"].sign(OCTETS, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    algorithm = encode_algorithm("pss", number)
    data = bytes((len(algorithm),)) + algorithm + signature
    verify(keys["rsa"].public_key(), 14, data, OCTETS)
    with pytest.raises(AuthenticationFailed):
        verify(keys["rsa"].public_key(), 14, data, OCTETS + b"x")
    plain = encode_algorithm("rsa", number)
    with pytest.raises(AuthenticationFailed):
        verify(keys["rsa"].public_key(), 14, bytes((len(plain),)) + plain + signature, OCTETS)


@pytest.mark.parametrize(
    ("name", "announced", "expected"),
    [
        ("rsa", {4, 3}, SHA384),
        ("rsa", {1, 2, 3, 4}, SHA256),
        ("p256", {3, 4}, SHA384),
        ("p384", {2, 3, 4}, SHA384),
        ("p384", {2}, SHA256),
        ("p521", {2, 4}, SHA512),
    ],
)
def test_the_hash_is_one_that_the_peer_announced(keys, name, announced, expected):
    _, data = sign(keys[name], OCTETS, frozenset(announced))
    assert decode_algorithm(data[1 : 1 + data[0]]).hash == expected


@pytest.mark.parametrize(("name", "announced"), [("rsa", {1}), ("p256", {5}), ("ed25519", {2, 3, 4}), ("rsa", set())])
def test_no_common_hash_is_an_error_of_ours(keys, name, announced):
    with pytest.raises(CryptoError, match="hash"):
        sign(keys[name], OCTETS, frozenset(announced))


@pytest.mark.parametrize("name", ["ed25519", "ed448", "bp256"])
def test_new_kinds_of_key_have_no_older_method(keys, name):
    with pytest.raises(CryptoError, match="7427"):
        sign(keys[name], OCTETS, None)


def test_keys_and_methods_that_do_not_fit(keys):
    for name, made in (("rsa", sign(keys["p256"], OCTETS, ALL)), ("p256", sign(keys["rsa"], OCTETS, ALL))):
        with pytest.raises(AuthenticationFailed, match="does not fit"):
            verify(keys[name].public_key(), *made, OCTETS)
    with pytest.raises(AuthenticationFailed, match="does not fit"):
        verify(keys["ed448"].public_key(), *sign(keys["ed25519"], OCTETS, ALL), OCTETS)
    with pytest.raises(AuthenticationFailed, match="does not fit"):
        verify(keys["p384"].public_key(), *sign(keys["p256"], OCTETS, None), OCTETS)
    for method in (0, 2, 3, 12, 13, 200):
        with pytest.raises(AuthenticationFailed):
            verify(keys["rsa"].public_key(), method, b"\x00" * 256, OCTETS)
        with pytest.raises(AuthenticationFailed):
            verify(keys["ed25519"].public_key(), method, b"\x00" * 64, OCTETS)
        # Curves without an older method have no number to be called by.
        with pytest.raises(AuthenticationFailed, match="does not fit"):
            verify(keys["bp256"].public_key(), method, b"\x01" * 64, OCTETS)


def test_another_key_of_the_same_kind_does_not_verify(keys):
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(AuthenticationFailed):
        verify(other.public_key(), *sign(keys["p256"], OCTETS, ALL), OCTETS)


def test_short_rsa_keys_are_refused():
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505
    with pytest.raises(AuthenticationFailed, match="1024"):
        verify(small.public_key(), *sign(small, OCTETS, ALL), OCTETS)


def test_sha_1_is_neither_announced_nor_accepted_under_rfc_7427(keys):
    assert frozenset({2, 3, 4, 5}) == SUPPORTED_HASHES
    signature = keys["rsa"].sign(OCTETS, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    algorithm = bytes.fromhex("300d06092a864886f70d0101050500")
    with pytest.raises(AuthenticationFailed, match="not accepted"):
        verify(keys["rsa"].public_key(), 14, bytes((len(algorithm),)) + algorithm + signature, OCTETS)


def test_ed25519_vector_of_rfc_8032():
    # RFC 8032 section 7.1, test 3, as the signature of a method 14 payload.
    private = ed25519.Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    )
    method, data = sign(private, bytes.fromhex("af82"), ALL)
    assert method == 14
    assert data.hex() == (
        "07300506032b6570"
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )


@given(st.binary(max_size=80))
def test_any_auth_data_is_refused(data):
    public = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    with pytest.raises(AuthenticationFailed):
        verify(public, 14, data, OCTETS)
