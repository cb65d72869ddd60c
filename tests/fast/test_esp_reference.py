"""What `_fast` seals is, octet for octet, what a second implementation makes; and what it opens is what was sealed."""

import itertools
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from esp_suites import BY_NAME, CBC, CBC_3DES, SHAPES, SUITES, reference_packet, reference_seal
from hypothesis import given, settings
from hypothesis import strategies as st

suites = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
SIZES = [*range(40), 63, 64, 65, 512, 1400, 1422, 8900, 65535 - 96]


@suites
@pytest.mark.parametrize("esn", [False, True], ids=["32bit", "esn"])
def test_packets_equal_the_reference(suite, esn):
    high = 0x0102030400000000 if esn else 0
    sealer, opener = suite.sealer(esn=esn), suite.opener(esn=esn, top=high)
    for count, size in enumerate(SIZES, 1):
        payload = bytes(i * 7 & 0xFF for i in range(size))
        packet = sealer.seal(high + count, 97, payload)
        iv = packet[8 : 8 + suite.iv]

        assert packet == reference_seal(suite, high + count, iv, 97, payload, esn=esn)
        assert len(packet) == sealer.sealed_length(size)
        assert opener.open(packet) == (97, payload)
    assert opener.replay_top == high + len(SIZES)


@given(
    suite=st.sampled_from(SUITES),
    esn=st.booleans(),
    seq=st.integers(1, 2**32 - 1),
    next_header=st.integers(0, 255),
    payload=st.binary(max_size=3000),
)
@settings(max_examples=300, deadline=None)
def test_round_trip(suite, esn, seq, next_header, payload):
    packet = suite.sealer(esn=esn).seal(seq, next_header, payload)
    assert suite.opener(esn=esn, top=max(seq - 100, 0)).open(packet) == (next_header, payload)


@suites
def test_opens_what_the_reference_seals(suite):
    payload = bytes(range(200))
    for esn in (False, True):
        packet = reference_seal(suite, 7, bytes(range(100, 100 + suite.iv)), 4, payload, esn=esn)
        assert suite.opener(esn=esn).open(packet) == (4, payload)
        other = suite.opener(esn=not esn)
        with pytest.raises(Exception, match="esp-bad-icv"):
            other.open(packet)


@pytest.mark.parametrize("suite", [suite for suite in SUITES if suite.block == 4], ids=lambda suite: suite.name)
def test_the_iv_of_a_counter_mode_is_the_sequence_number(suite):
    # Unique under one key for the SA's life, also when several lanes share it (RFC 4106 section 3.1).
    sealer, twin = suite.sealer(esn=True), suite.sealer(esn=True)
    for seq in (1, 2, 2**32 - 1, 2**32, 2**64 - 1):
        assert sealer.seal(seq, 4, b"payload")[8:16] == struct.pack("!Q", seq)
        assert twin.seal(seq, 4, b"payload")[8:16] == struct.pack("!Q", seq)


@pytest.mark.parametrize("suite", [suite for suite in SUITES if suite.encr_id in (CBC, CBC_3DES)], ids=lambda s: s.name)
def test_the_iv_of_cbc_never_repeats(suite):
    # Two contexts of one key stand for two lanes; 200 packets refill the pool of IVs several times.
    sealers = [suite.sealer(), suite.sealer()]
    ivs = {sealer.seal(seq, 4, b"")[8 : 8 + suite.iv] for sealer in sealers for seq in range(1, 201)}
    assert len(ivs) == 400


def test_the_iv_of_cbc_cannot_be_computed_from_the_traffic_key():
    # An IV made by encrypting a counter under the SA's own key would show as a small difference here.
    suite = BY_NAME["aes256-sha256"]
    sealer = suite.sealer()
    decryptor = Cipher(algorithms.AES(suite.keys[0]), modes.ECB()).decryptor()  # noqa: S305
    blocks = [int.from_bytes(decryptor.update(sealer.seal(seq, 4, b"")[8:24])) for seq in range(1, 101)]
    assert all(abs(one - two) > 2**64 for one, two in itertools.pairwise(blocks))


def test_the_ivs_of_cbc_look_random():
    ones = sum(int.from_bytes(SHAPES[4].sealer().seal(1, 4, b"")[8:24]).bit_count() for _ in range(500))
    # 64,000 fair bits: the mean is 32,000 and five standard deviations are 632.
    assert abs(ones - 32_000) < 632


@suites
def test_payload_fit_is_the_inverse_of_sealed_length(suite):
    sealer = suite.sealer()
    for room in [*range(200), 1472, 65535, 70000]:
        fit = sealer.payload_fit(room)
        if fit:
            assert sealer.sealed_length(fit) <= room
        if fit < 65000:
            assert sealer.sealed_length(fit + 1) > room


@suites
def test_tfc_padding_stays_with_the_payload(suite):
    # RFC 4303 section 2.7: octets behind the inner packet; its own length says where it ends.
    inner = b"\x45" + bytes(50)
    opened = suite.opener().open(suite.sealer().seal(1, 4, inner + bytes(200)))
    assert opened == (4, inner + bytes(200))


@suites
def test_more_padding_than_needed_and_of_any_content(suite):
    pad = 255 - (255 + 2 + 10) % suite.block
    plain = b"0123456789" + b"\xa5" * pad + bytes([pad, 17])
    packet = reference_packet(suite, 1, bytes(range(suite.iv)), plain)
    assert suite.opener().open(packet) == (17, b"0123456789")


def test_alignment_binds_only_ciphers_with_blocks():
    suite = BY_NAME["aes128gcm16"]
    packet = reference_packet(suite, 1, bytes(8), b"abc" + bytes([0, 17]))
    assert suite.opener().open(packet) == (17, b"abc")
