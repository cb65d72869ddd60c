"""IKE's pseudo-random functions against RFC 4231, and against Python's own HMAC."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhp._fast.prf import prf, prf_plus

HASHES = {2: "sha1", 5: "sha256", 6: "sha384", 7: "sha512"}
SIZES = {2: 20, 5: 32, 6: 48, 7: 64}
LARGE_KEY = b"Test Using Larger Than Block-Size Key - Hash Key First"
LARGE_BOTH = (
    b"This is a test using a larger than block-size key and a larger than block-size data. "
    b"The key needs to be hashed before being used by the HMAC algorithm."
)
# RFC 4231 section 4: key, data, and the HMAC by SHA-256, SHA-384 and SHA-512.
VECTORS = [
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
        "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
        "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
    ),
    (
        b"\xaa" * 131,
        LARGE_KEY,
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
        "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
    ),
    (
        b"\xaa" * 131,
        LARGE_BOTH,
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
        "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
        "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58",
    ),
]

functions = pytest.mark.parametrize("number", HASHES)
octets = st.binary(max_size=300)


def chain(number, key, seed, length):
    """prf+ (RFC 7296 section 2.13), written out with Python's HMAC."""
    output = block = b""
    counter = 0
    while len(output) < length:
        counter += 1
        block = hmac.digest(key, block + seed + bytes((counter,)), HASHES[number])
        output += block
    return output[:length]


@pytest.mark.parametrize(("key", "data", "sha256", "sha384", "sha512"), VECTORS, ids=["case 3", "case 6", "case 7"])
def test_published_vectors(key, data, sha256, sha384, sha512):
    assert [prf(number, key, data).hex() for number in (5, 6, 7)] == [sha256, sha384, sha512]


@given(st.sampled_from([*HASHES]), octets, octets)
def test_it_is_the_hmac_that_python_has(number, key, data):
    assert prf(number, key, data) == hmac.digest(key, data, HASHES[number])


@functions
@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 127, 128, 129, 1000])
def test_keys_around_a_block(number, length):
    key = bytes(range(256)) * 4
    assert prf(number, key[:length], b"data") == hmac.digest(key[:length], b"data", HASHES[number])
    assert prf_plus(number, key[:length], b"seed", 150) == chain(number, key[:length], b"seed", 150)


@functions
def test_nothing_at_all(number):
    assert prf(number, b"", b"") == hmac.digest(b"", b"", HASHES[number])
    assert prf_plus(number, b"", b"", 3 * SIZES[number]) == chain(number, b"", b"", 3 * SIZES[number])


@functions
def test_a_long_message(number):
    data = bytes(range(251)) * 4000
    assert prf(number, b"key", data) == hmac.digest(b"key", data, HASHES[number])
    assert prf(number, data, b"data") == hmac.digest(data, b"data", HASHES[number])
    assert prf_plus(number, data, data, 100) == chain(number, data, data, 100)


@given(st.sampled_from([*HASHES]), octets, octets, st.integers(0, 700))
def test_the_chain_at_any_length(number, key, seed, length):
    assert prf_plus(number, key, seed, length) == chain(number, key, seed, length)


@functions
def test_the_chain_ends_after_255_rounds(number):
    size = SIZES[number]
    # Not one octet less: the counter of the last round is 255.
    assert prf_plus(number, b"key", b"seed", 255 * size) == chain(number, b"key", b"seed", 255 * size)
    for length in (255 * size + 1, 256 * size, 2**40):
        with pytest.raises(ValueError, match="255 rounds"):
            prf_plus(number, b"key", b"seed", length)


@functions
def test_a_length_that_is_none(number):
    assert prf_plus(number, b"key", b"seed", 0) == b""
    with pytest.raises(ValueError, match="negative"):
        prf_plus(number, b"key", b"seed", -1)
    with pytest.raises(OverflowError):
        prf_plus(number, b"key", b"seed", 2**64)


@pytest.mark.parametrize("number", [0, 1, 3, 4, 8, -1, 2**40])
def test_unknown_functions(number):
    for call in (lambda: prf(number, b"k", b"d"), lambda: prf_plus(number, b"k", b"s", 1)):
        with pytest.raises((ValueError, OverflowError)):
            call()


@pytest.mark.parametrize("wrong", [None, "text", bytearray(4), 7])
def test_octets_alone_are_taken(wrong):
    calls = (
        lambda: prf(5, wrong, b""),
        lambda: prf(5, b"", wrong),
        lambda: prf_plus(5, wrong, b"", 1),
        lambda: prf_plus(5, b"", wrong, 1),
    )
    for call in calls:
        with pytest.raises(TypeError):
            call()
