"""What ESP must not accept, each with the name that its counter carries."""

import struct

import pytest
from esp_suites import BY_NAME, SHAPES, SPI, SUITES, icv_of, reference_packet
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp._fast.esp import EspDropped, EspOpener, EspSealer

suites = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
shapes = pytest.mark.parametrize("suite", SHAPES, ids=lambda suite: suite.name)


def reason(opener, packet):
    with pytest.raises(EspDropped) as caught:
        opener.open(packet)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


@suites
@pytest.mark.parametrize("esn", [False, True], ids=["32bit", "esn"])
def test_every_octet_is_protected(suite, esn):
    packet = suite.sealer(esn=esn).seal(1, 4, b"an inner packet")
    opener = suite.opener(esn=esn)
    for index in range(len(packet)):
        for bit in (0x01, 0x80):
            changed = bytearray(packet)
            changed[index] ^= bit
            expected = {"esp-wrong-spi"} if index < 4 else {"esp-bad-icv"}
            if index in range(4, 8):
                # The changed number may also be one that this window has no room for.
                expected |= {"esp-zero-sequence", "esp-too-old"}
            assert reason(opener, bytes(changed)) in expected
    # None of the forgeries moved the window.
    assert opener.replay_top == 0
    assert opener.open(packet) == (4, b"an inner packet")


@suites
def test_every_truncation(suite):
    packet = suite.sealer().seal(1, 4, bytes(40))
    opener = suite.opener()
    shortest = 8 + suite.iv + 2 + suite.icv
    for length in range(len(packet)):
        expected = {"esp-truncated"} if length < shortest else {"esp-bad-icv", "esp-misaligned"}
        assert reason(opener, packet[:length]) in expected
    assert opener.open(packet) == (4, bytes(40))


@suites
def test_octets_behind_the_packet(suite):
    packet = suite.sealer().seal(1, 4, bytes(40))
    for extra in (1, 4, suite.block, 100):
        assert reason(suite.opener(), packet + bytes(extra)) in {"esp-bad-icv", "esp-misaligned"}


@given(suite=st.sampled_from(SHAPES), esn=st.booleans(), noise=st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_noise(suite, esn, noise):
    opener = suite.opener(esn=esn)
    for packet in (noise, struct.pack("!I", SPI) + noise):
        assert reason(opener, packet).startswith("esp-")
    assert opener.replay_top == 0


@shapes
def test_replays_and_old_packets(suite):
    sealer, opener = suite.sealer(), suite.opener(window=32)
    packets = {seq: sealer.seal(seq, 4, b"x") for seq in range(1, 101)}
    assert opener.open(packets[1]) == (4, b"x")
    assert reason(opener, packets[1]) == "esp-replayed"
    opener.open(packets[50])
    assert reason(opener, packets[18]) == "esp-too-old"
    assert opener.open(packets[19]) == (4, b"x")
    assert reason(opener, packets[19]) == "esp-replayed"
    assert reason(opener, packets[1]) == "esp-too-old"
    assert opener.open(packets[100]) == (4, b"x")
    assert reason(opener, packets[50]) == "esp-too-old"


@suites
def test_sequence_number_zero(suite):
    packet = reference_packet(suite, 0, bytes(suite.iv), bytes(14) + bytes([0, 4]))
    assert reason(suite.opener(), packet) == "esp-zero-sequence"
    assert reason(suite.opener(esn=True), packet) == "esp-zero-sequence"


@shapes
def test_extended_numbers_across_the_wrap(suite):
    sealer, opener = suite.sealer(esn=True), suite.opener(esn=True, window=64, top=2**32 - 10)
    numbers = [2**32 - 1, 2**32, 2**32 + 5, 2**32 - 5, 2**32 + 1, 2**32 - 40]
    for seq in numbers:
        assert opener.open(sealer.seal(seq, 4, b"x")) == (4, b"x")
        assert reason(opener, sealer.seal(seq, 4, b"x")) == "esp-replayed"
    assert opener.replay_top == 2**32 + 5
    # 2^32 later the low half is the same, and the high half is authenticated though it is not on the wire.
    assert reason(opener, sealer.seal(2**33 + 6, 4, b"x")) == "esp-bad-icv"


@shapes
def test_a_number_from_before_the_start_of_an_extended_sa(suite):
    packet = reference_packet(suite, 2**32 - 3, bytes(suite.iv), bytes(14) + bytes([0, 4]), esn=True)
    assert reason(suite.opener(esn=True), packet) == "esp-too-old"


@suites
def test_wrong_key(suite):
    packet = suite.sealer().seal(1, 4, b"payload")
    encr, integ = suite.keys
    if integ:
        integ = bytes([integ[0] ^ 1]) + integ[1:]
    else:
        encr = bytes([encr[0] ^ 1]) + encr[1:]
    assert reason(EspOpener(suite.encr_id, encr, suite.integ_id, integ, SPI, False, 64), packet) == "esp-bad-icv"


@pytest.mark.parametrize(
    "suite", [suite for suite in SUITES if suite.salt and not suite.integ_id], ids=lambda s: s.name
)
def test_wrong_salt(suite):
    encr = suite.keys[0][:-1] + bytes([suite.keys[0][-1] ^ 1])
    opener = EspOpener(suite.encr_id, encr, 0, b"", SPI, False, 64)
    assert reason(opener, suite.sealer().seal(1, 4, b"payload")) == "esp-bad-icv"


def test_wrong_spi():
    suite = BY_NAME["aes128gcm16"]
    assert reason(suite.opener(spi=SPI + 1), suite.sealer().seal(1, 4, b"")) == "esp-wrong-spi"


@suites
def test_padding_longer_than_the_packet(suite):
    # Authenticated, so the peer made it; it is counted, and the window moves.
    plain = bytes(30) + bytes([31, 4]) if suite.block < 16 else bytes(14) + bytes([15, 4])
    packet = reference_packet(suite, 1, bytes(suite.iv), plain)
    opener = suite.opener()
    assert reason(opener, packet) == "esp-bad-padding"
    assert reason(opener, packet) == "esp-replayed"


@suites
def test_nothing_but_padding_is_an_empty_payload(suite):
    plain = bytes(14) + bytes([14, 59])
    assert suite.opener().open(reference_packet(suite, 1, bytes(suite.iv), plain)) == (59, b"")


@pytest.mark.parametrize("suite", [suite for suite in SUITES if suite.block > 4], ids=lambda suite: suite.name)
def test_a_ciphertext_of_no_whole_blocks(suite):
    body = struct.pack("!II", SPI, 1) + bytes(suite.iv) + bytes(suite.block + 4)
    assert reason(suite.opener(), body + icv_of(suite, body, 1, False)) == "esp-misaligned"


@suites
def test_the_last_sequence_numbers(suite):
    plain, extended = suite.sealer(), suite.sealer(esn=True)
    assert suite.opener(top=2**32 - 2).open(plain.seal(2**32 - 1, 4, b"last")) == (4, b"last")
    assert suite.opener(esn=True, top=2**64 - 2).open(extended.seal(2**64 - 1, 4, b"last")) == (4, b"last")
    for sealer, seq in ((plain, 2**32), (plain, 2**64 - 1), (plain, 0), (extended, 0)):
        with pytest.raises(EspDropped, match="sequence-exhausted"):
            sealer.seal(seq, 4, b"never")
    with pytest.raises(OverflowError):
        extended.seal(2**64, 4, b"never")


@suites
def test_oversized_payloads(suite):
    sealer = suite.sealer()
    longest = sealer.payload_fit(65535)
    assert suite.opener().open(sealer.seal(1, 4, bytes(longest))) == (4, bytes(longest))
    for length in (longest + 1, 65536, 10**6):
        with pytest.raises(EspDropped, match="esp-oversized"):
            sealer.seal(2, 4, bytes(length))
        with pytest.raises(EspDropped, match="esp-oversized"):
            sealer.sealed_length(length)
    assert reason(suite.opener(), struct.pack("!II", SPI, 1) + bytes(65528)) == "esp-oversized"


@suites
def test_keys_of_the_wrong_length(suite):
    encr, integ = suite.keys
    for wrong in (encr[:-1], encr + b"x", b"", bytes(41), bytes(500)):
        with pytest.raises(ValueError, match="key length"):
            EspSealer(suite.encr_id, wrong, suite.integ_id, integ, SPI, False)
    for wrong in (integ + b"x", integ[:-1] or b"yy", bytes(65)):
        with pytest.raises(ValueError, match="key length"):
            EspOpener(suite.encr_id, encr, suite.integ_id, wrong, SPI, False, 64)


@pytest.mark.parametrize(
    ("encr_id", "encr_key", "integ_id", "integ_key"),
    [
        (20, 20, 12, 32),  # A MAC beside an AEAD cipher.
        (12, 16, 0, 0),  # Encryption alone (RFC 8221 section 4).
        (13, 20, 0, 0),
        (11, 0, 12, 32),  # NULL encryption is not offered.
        (2, 8, 12, 32),  # DES.
        (17, 19, 0, 0),  # Not assigned.
        (21, 20, 0, 0),  # NULL with GMAC.
        (12, 16, 5, 16),  # AES-XCBC.
        (-1, 16, 12, 32),
        (65536 + 20, 20, 0, 0),
    ],
)
def test_suites_that_are_not_offered(encr_id, encr_key, integ_id, integ_key):
    with pytest.raises(ValueError, match="suite"):
        EspSealer(encr_id, bytes(encr_key), integ_id, bytes(integ_key), SPI, False)


@pytest.mark.parametrize("window", [0, 31, 4097, 2**31])
def test_windows_out_of_bounds(window):
    with pytest.raises(ValueError, match="replay window"):
        BY_NAME["aes128gcm16"].opener(window=window)


@pytest.mark.parametrize("spi", [0, 1, 255])
def test_reserved_spis(spi):
    with pytest.raises(ValueError, match="SPI"):
        BY_NAME["aes128gcm16"].sealer(spi=spi)


def test_a_top_beyond_32_bits_needs_extended_numbers():
    with pytest.raises(ValueError, match="32 bits"):
        BY_NAME["aes128gcm16"].opener(top=2**32)


@pytest.mark.parametrize("wrong", [None, "text", bytearray(60), 5])
def test_packets_and_payloads_are_bytes(wrong):
    suite = BY_NAME["aes128gcm16"]
    with pytest.raises(TypeError):
        suite.opener().open(wrong)
    with pytest.raises(TypeError):
        suite.sealer().seal(1, 4, wrong)
