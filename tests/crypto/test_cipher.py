"""The SK payload's cipher: a published vector, independent references, properties, and damage of every kind."""

import hashlib
import hmac as hmac_module

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp.crypto import algorithms as registry
from rhp.crypto.cipher import IkeCipher
from rhp.crypto.errors import AuthenticationFailed
from rhp.crypto.secret import Secret

TABLE = {item.name: item for item in registry.ENCRYPTIONS}
MACS = {item.name: item for item in registry.INTEGRITIES}
PREFIX = bytes(range(32))


def cases():
    for name, item in TABLE.items():
        if item.aead:
            yield name, None
        else:
            for mac in MACS:
                yield name, mac


CASES = list(cases())


def make(name, mac=None, key=None, mac_key=None):
    encryption = TABLE[name]
    integrity = MACS[mac] if mac else None
    key = key or bytes(range(1, encryption.material_bytes + 1))
    mac_key = mac_key or (b"\x55" * integrity.key_bytes if integrity else None)
    return IkeCipher(encryption, integrity, Secret(key), Secret(mac_key) if mac_key else None)


def test_rfc_7634_appendix_b(monkeypatch):
    # An INFORMATIONAL request with one DELETE payload of twelve octets.
    key = bytes(range(0x80, 0xA4))
    prefix = bytes.fromhex("c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029")
    inner = bytes.fromhex("0000000c000040010000000a")
    body = bytes.fromhex("1011121314151617") + bytes.fromhex(
        "610394701f8d017f7c129248896b71bfe25236efd7cdc67066906315b2"
    )
    cipher = make("chacha20poly1305", key=key)
    assert cipher.overhead(len(inner)) == len(body)
    assert cipher.open(prefix, body) == inner
    monkeypatch.setattr(cipher._body, "_ivs", type("Fixed", (), {"next": lambda self: body[:8]})())
    assert cipher.seal(prefix, inner) == body


@pytest.mark.parametrize(("name", "mac"), CASES)
@settings(max_examples=12, deadline=None)
@given(plaintext=st.binary(max_size=200), prefix=st.binary(min_size=28, max_size=40))
def test_what_is_sealed_opens(name, mac, plaintext, prefix):
    sealer, opener = make(name, mac), make(name, mac)
    body = sealer.seal(prefix, plaintext)
    assert len(body) == sealer.overhead(len(plaintext))
    assert opener.open(prefix, body) == plaintext
    assert plaintext not in body or len(plaintext) < 8


@pytest.mark.parametrize(("name", "mac"), CASES)
def test_every_flipped_bit_is_noticed(name, mac):
    cipher = make(name, mac)
    body = cipher.seal(PREFIX, b"inner payloads")
    for position in range(len(body)):
        damaged = bytearray(body)
        damaged[position] ^= 1 << (position % 8)
        with pytest.raises(AuthenticationFailed):
            cipher.open(PREFIX, bytes(damaged))
    for position in range(len(PREFIX)):
        damaged = bytearray(PREFIX)
        damaged[position] ^= 0x80
        with pytest.raises(AuthenticationFailed):
            cipher.open(bytes(damaged), body)


@pytest.mark.parametrize(("name", "mac"), CASES)
def test_every_truncation_and_extension_is_noticed(name, mac):
    cipher = make(name, mac)
    body = cipher.seal(PREFIX, b"inner payloads")
    for length in range(len(body)):
        with pytest.raises(AuthenticationFailed):
            cipher.open(PREFIX, body[:length])
    with pytest.raises(AuthenticationFailed):
        cipher.open(PREFIX, body + b"\x00")


@pytest.mark.parametrize(("name", "mac"), CASES)
def test_other_keys_do_not_open(name, mac):
    encryption = TABLE[name]
    body = make(name, mac).seal(PREFIX, b"inner payloads")
    other_salt = bytearray(range(1, encryption.material_bytes + 1))
    other_salt[-1] ^= 1
    if encryption.aead:
        with pytest.raises(AuthenticationFailed):
            make(name, key=bytes(other_salt)).open(PREFIX, body)
    else:
        with pytest.raises(AuthenticationFailed):
            make(name, mac, mac_key=b"\x56" * MACS[mac].key_bytes).open(PREFIX, body)


@pytest.mark.parametrize(("name", "mac"), CASES)
def test_ivs_do_not_repeat(name, mac):
    cipher = make(name, mac)
    size = TABLE[name].iv_bytes
    ivs = {cipher.seal(PREFIX, b"x")[:size] for _ in range(300)}
    ivs |= {make(name, mac).seal(PREFIX, b"x")[:size] for _ in range(50)}
    assert len(ivs) == 350


def test_the_counter_of_ivs_passes_the_end_of_its_range():
    cipher = make("aes128gcm16")
    cipher._body._ivs._numbers = iter([2**64 - 1, 2**64, 2**64 + 1])
    ivs = [cipher.seal(PREFIX, b"x")[:8] for _ in range(3)]
    assert ivs == [b"\xff" * 8, bytes(8), bytes(7) + b"\x01"]


@pytest.mark.parametrize("fill", [b"\x00", b"\xff", b"\xa5"])
def test_padding_octets_are_never_checked(fill):
    # The original Rockhopper fills with a counter, others with random octets (RFC 7296 section 3.14 allows anything).
    key, mac_key = bytes(range(1, 33)), b"\x55" * 32
    iv, inner = bytes(16), b"five!"
    padded = inner + fill * 10 + b"\x0a"
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = iv + encryptor.update(padded) + encryptor.finalize()
    tag = hmac_module.new(mac_key, PREFIX + sealed, hashlib.sha256).digest()[:16]
    assert make("aes256", "sha256", key, mac_key).open(PREFIX, sealed + tag) == inner


@pytest.mark.parametrize("name", ["aes128gcm16", "aes128ccm8", "chacha20poly1305", "aes128gcm8"])
def test_an_aead_may_be_padded_by_the_peer(name):
    cipher = make(name)
    body = cipher._body.seal(PREFIX, b"inner" + b"\x99" * 7 + b"\x07")
    assert cipher.open(PREFIX, body) == b"inner"


def test_padding_longer_than_its_content_is_refused():
    cipher = make("aes128gcm16")
    with pytest.raises(AuthenticationFailed, match="padding"):
        cipher.open(PREFIX, cipher._body.seal(PREFIX, b"ab\x03"))
    assert cipher.open(PREFIX, cipher._body.seal(PREFIX, b"ab\x02")) == b""
    with pytest.raises(AuthenticationFailed):
        cipher.open(PREFIX, cipher._body.seal(PREFIX, b""))


def test_authenticated_partial_blocks_are_refused():
    # A peer may authenticate rubbish: that must not reach the block cipher as a ValueError.
    key, mac_key = bytes(range(1, 17)), b"\x55" * 32
    sealed = bytes(16) + bytes(17)
    tag = hmac_module.new(mac_key, PREFIX + sealed, hashlib.sha256).digest()[:16]
    with pytest.raises(AuthenticationFailed, match="blocks"):
        make("aes128", "sha256", key, mac_key).open(PREFIX, sealed + tag)


def test_aes_ctr_of_rfc_3686():
    # RFC 3686 section 6, test vector 1.
    key = bytes.fromhex("ae6852f8121067cc4bf7a5765577f39e") + bytes.fromhex("00000030")
    cipher = make("aes128ctr", "sha256", key)
    ctr = cipher._body._cipher
    sealed = ctr.open(bytes(8), b"Single block msg")
    assert sealed.hex() == "e4095d4fb7a7b3792d6175a3261311b8"


def test_aes_gcm_with_every_tag_length_agrees_with_the_full_tag():
    # McGrew and Viega's GCM test case 4 (RFC 4106 uses the same construction with a nonce of salt and IV).
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308")
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    sealed = bytes.fromhex(
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
        "5bc94fbc3221a5db94fae95ae7121a47"
    )
    for icv in (16, 12, 8):
        aead = make(f"aes128gcm{icv}", key=key + nonce[:4])._body._aead
        short = sealed[: len(plain) + icv]
        assert aead.seal(nonce[4:], plain, associated) == short
        assert aead.open(nonce[4:], short, associated) == plain
        with pytest.raises(AuthenticationFailed):
            aead.open(nonce[4:], short[:-1] + bytes((short[-1] ^ 1,)), associated)


def reference_ccm(key, nonce, plain, associated, tag_bytes):
    """CCM from RFC 3610 section 2, over single AES blocks."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    length_bytes = 15 - len(nonce)
    flags = 64 * bool(associated) + 8 * ((tag_bytes - 2) // 2) + length_bytes - 1
    blocks = bytes((flags,)) + nonce + len(plain).to_bytes(length_bytes, "big")
    header = len(associated).to_bytes(2, "big") + associated
    blocks += header + bytes(-len(header) % 16) + plain + bytes(-len(plain) % 16)
    mac = bytes(16)
    for start in range(0, len(blocks), 16):
        mac = encryptor.update(bytes(a ^ b for a, b in zip(mac, blocks[start : start + 16], strict=True)))
    counter = bytes((length_bytes - 1,)) + nonce
    stream = b"".join(
        encryptor.update(counter + number.to_bytes(length_bytes, "big")) for number in range(2 + len(plain) // 16)
    )
    sealed = bytes(a ^ b for a, b in zip(plain, stream[16 : 16 + len(plain)], strict=True))
    return sealed + bytes(a ^ b for a, b in zip(mac[:tag_bytes], stream, strict=False))


@pytest.mark.parametrize("icv", [8, 12, 16])
@pytest.mark.parametrize("bits", [128, 192, 256])
def test_aes_ccm_agrees_with_the_definition(bits, icv):
    key = bytes(range(bits // 8))
    aead = make(f"aes{bits}ccm{icv}", key=key + b"slt")._body._aead
    plain = b"the inner payloads of an IKE message"
    assert aead.seal(b"initvect", plain, PREFIX) == reference_ccm(key, b"sltinitvect", plain, PREFIX, icv)


def test_keys_of_wrong_size_and_missing_integrity_are_refused():
    for name, mac, key, mac_key in (
        ("aes128gcm16", None, bytes(16), None),
        ("aes128", "sha256", bytes(32), bytes(32)),
        ("aes128", "sha256", bytes(16), bytes(20)),
        ("aes128", None, bytes(16), bytes(20)),
    ):
        with pytest.raises(ValueError, match="aes128"):
            make(name, mac, key, mac_key)


def test_overhead_is_exact_for_every_length():
    for name, mac in (("aes128gcm16", None), ("aes256", "sha512"), ("aes128ctr", "sha1"), ("3des", "sha1")):
        cipher = make(name, mac)
        for length in range(70):
            assert len(cipher.seal(PREFIX, bytes(length))) == cipher.overhead(length)
