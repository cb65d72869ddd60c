"""The registries, and HMAC against RFC 2202, RFC 4231 and RFC 4868."""

import hashlib
import hmac

import pytest

from rhp.crypto import algorithms
from rhp.crypto.errors import UnknownAlgorithm

HI_THERE = {
    # RFC 2202 section 3 and RFC 4231 section 4.2, test case 1: twenty octets of 0x0b and "Hi There".
    "prfsha1": "b617318655057264e28bc0b6fb378c8ef146be00",
    "prfsha256": "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    "prfsha384": "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
    "prfsha512": "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
    "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
}
JEFE = {
    # Test case 2 of both: the key "Jefe".
    "prfsha1": "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
    "prfsha256": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "prfsha384": "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
    "prfsha512": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
}
LONG_KEY = {
    # RFC 4231 section 4.7, test case 6: a key of 131 octets, longer than any block.
    "prfsha256": "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
}


@pytest.mark.parametrize("prf", algorithms.PRFS, ids=lambda prf: prf.name)
def test_prf_published_vectors(prf):
    assert prf.prf(b"\x0b" * 20, b"Hi There").hex() == HI_THERE[prf.name]
    assert prf.prf(b"Jefe", b"what do ya want for nothing?").hex() == JEFE[prf.name]
    if prf.name in LONG_KEY:
        data = b"Test Using Larger Than Block-Size Key - Hash Key First"
        assert prf.prf(b"\xaa" * 131, data).hex() == LONG_KEY[prf.name]
    assert len(prf.prf(b"k", b"d")) == prf.output_bytes


@pytest.mark.parametrize("integrity", algorithms.INTEGRITIES, ids=lambda item: item.name)
def test_integrity_is_the_head_of_the_hmac(integrity):
    key = b"\x0b" * integrity.key_bytes
    tag = integrity.tag(key, b"Hi There")
    assert tag == hmac.digest(key, b"Hi There", integrity.name)[: len(tag)]
    assert len(tag) == integrity.icv_bytes
    assert integrity.key_bytes == hashlib.new(integrity.name).digest_size


def test_integrity_vectors_of_rfc_4868():
    # RFC 4868 section 2.7.2.1, AUTH256-1 and AUTH512-1: keys as long as the output.
    sha256, sha512 = algorithms.integrity(12), algorithms.integrity(14)
    assert sha256.tag(b"\x0b" * 32, b"Hi There").hex() == "198a607eb44bfbc69903a0f1cf2bbdc5"
    assert sha512.tag(b"\x0b" * 64, b"Hi There").hex() == (
        "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"
    )


def test_prf_plus_is_the_chain_of_rfc_7296():
    prf = algorithms.prf(5)
    t1 = prf.prf(b"key", b"seed" + b"\x01")
    t2 = prf.prf(b"key", t1 + b"seed" + b"\x02")
    t3 = prf.prf(b"key", t2 + b"seed" + b"\x03")
    assert prf.prf_plus(b"key", b"seed", 70) == (t1 + t2 + t3)[:70]
    assert prf.prf_plus(b"key", b"seed", 0) == b""
    assert prf.prf_plus(b"key", b"seed", 32) == t1


def test_prf_plus_ends_at_255_rounds():
    prf = algorithms.prf(2)
    assert len(prf.prf_plus(b"k", b"s", 255 * 20)) == 5100
    with pytest.raises(ValueError, match="255"):
        prf.prf_plus(b"k", b"s", 255 * 20 + 1)


def test_every_algorithm_is_found_by_its_transform():
    for item in algorithms.ENCRYPTIONS:
        assert algorithms.encryption(item.id, item.key_length) is item
    for item in algorithms.INTEGRITIES:
        assert algorithms.integrity(item.id) is item
    for item in algorithms.PRFS:
        assert algorithms.prf(item.id) is item
    assert len({item.name for item in algorithms.ENCRYPTIONS}) == len(algorithms.ENCRYPTIONS) == 26


@pytest.mark.parametrize(
    ("number", "bits"), [(20, None), (20, 64), (28, 256), (3, 192), (12, 0), (99, 128), (11, None)]
)
def test_unknown_encryptions_and_wrong_key_lengths(number, bits):
    with pytest.raises(UnknownAlgorithm):
        algorithms.encryption(number, bits)


def test_unknown_integrity_and_prf():
    with pytest.raises(UnknownAlgorithm):
        algorithms.integrity(1)
    with pytest.raises(UnknownAlgorithm):
        algorithms.prf(1)


def test_sizes_of_key_material():
    # RFC 4106 section 8.1, RFC 4309 section 7.1, RFC 7634 section 2, RFC 5930 section 2.3: the salt follows the key.
    sizes = {
        "aes128gcm16": 20,
        "aes256gcm8": 36,
        "aes256ccm12": 35,
        "chacha20poly1305": 36,
        "aes192ctr": 28,
        "aes128": 16,
        "3des": 24,
    }
    table = {item.name: item for item in algorithms.ENCRYPTIONS}
    assert {name: table[name].material_bytes for name in sizes} == sizes
