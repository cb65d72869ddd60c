"""Two implementations of ESP that share no code read each other's packets: `_fast` and the reference provider's."""

import pytest
from esp_suites import SHAPES, SPI, SUITES
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp._fast.esp import EspDropped
from rhp._fast.replay import ReplayWindow
from rhp.spi.reference.esp import Dropped, Inbound, Outbound
from rhp.spi.reference.replay import Window
from rhp.spi.reference.suites import Suite

suites = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
WORDS = [{"esp-bad-icv"}, {"esp-truncated"}, {"esp-bad-icv", "esp-misaligned"}]
SIZES = [*range(20), 63, 64, 65, 512, 1400, 1422, 8900]


def made(suite):
    encr, integ = suite.keys
    return Suite(suite.encr_id, encr, suite.integ_id, integ)


def outbound(suite, esn=False, after=0):
    """The reference's sealer, as if it had sent `after` packets."""
    one = Outbound(made(suite), SPI, esn)
    one.sequence = after
    return one


@suites
@pytest.mark.parametrize("esn", [False, True], ids=["32bit", "esn"])
def test_each_opens_what_the_other_sealed(suite, esn):
    start = 0x0102030400000000 if esn else 0
    theirs, ours = suite.sealer(esn=esn), outbound(suite, esn, start)
    by_reference, by_fast = Inbound(made(suite), esn, 64, start), suite.opener(esn=esn, top=start)
    for count, size in enumerate(SIZES, 1):
        payload = bytes(i * 11 & 0xFF for i in range(size))
        packet = theirs.seal(start + count, 97, payload)
        assert by_reference.open(packet) == (97, payload)
        again = ours.seal(97, payload)
        assert by_fast.open(again) == (97, payload)
        assert len(again) == len(packet)
        # Where the IV is the number, the two packets are one.
        assert (again == packet) is (suite.block == 4)
    assert by_reference.window.top == by_fast.replay_top == start + len(SIZES)


@given(
    suite=st.sampled_from(SUITES),
    esn=st.booleans(),
    number=st.integers(1, 2**32 - 1),
    next_header=st.integers(0, 255),
    payload=st.binary(max_size=3000),
)
@settings(max_examples=200, deadline=None)
def test_any_packet_both_ways(suite, esn, number, next_header, payload):
    near = max(number - 100, 0)
    packet = suite.sealer(esn=esn).seal(number, next_header, payload)
    assert Inbound(made(suite), esn, 64, near).open(packet) == (next_header, payload)
    again = outbound(suite, esn, number - 1).seal(next_header, payload)
    assert suite.opener(esn=esn, top=near).open(again) == (next_header, payload)


@given(
    suite=st.sampled_from(SHAPES), esn=st.booleans(), place=st.integers(0), bit=st.integers(0, 7), cut=st.integers(0)
)
@settings(max_examples=200, deadline=None)
def test_both_refuse_the_same(suite, esn, place, bit, cut):
    """One bit flipped and the end cut off: neither takes it, and each says the same word."""
    packet = suite.sealer(esn=esn).seal(7, 97, b"a payload")
    damaged = bytearray(packet)
    damaged[4 + place % (len(packet) - 4)] ^= 1 << bit
    damaged = bytes(damaged[: len(packet) - cut % len(packet)])
    with pytest.raises(Dropped) as ours:
        Inbound(made(suite), esn, 64).open(damaged)
    with pytest.raises(EspDropped) as theirs:
        suite.opener(esn=esn).open(damaged)
    # A ciphertext of no whole blocks is malformed to one, and has no right ICV to the other.
    assert {ours.value.reason, theirs.value.reason} in WORDS


@given(
    esn=st.booleans(),
    size=st.integers(32, 4096),
    start=st.sampled_from([0, 1, 500, 2**31, 2**32 - 2, 2**32 + 5, 7 * 2**32 - 3]),
    steps=st.lists(st.integers(-5000, 5000), max_size=60),
)
@settings(max_examples=200, deadline=None)
def test_two_replay_windows_decide_the_same(esn, size, start, steps):
    start = start if esn else min(start, 2**32 - 1)
    one, other = Window(size, start), ReplayWindow(size, top=start)
    number = start
    for step in steps:
        number = max(0, number + step)
        if not esn and number >= 2**32:
            break
        low = number & 0xFFFFFFFF
        found = one.whole(low, esn)
        if esn:
            assert found == other.infer(low)
        if found == 0 and esn:
            continue
        said = other.check(found)
        assert one.check(found) == said
        if said is None:
            one.commit(found)
            other.commit(found)
            assert one.top == other.top


def test_a_packet_counts_once_and_numbers_end():
    suite = SHAPES[0]
    near, far = outbound(suite), Inbound(made(suite), False, 32)
    first = near.seal(97, b"one")
    assert far.open(first) == (97, b"one")
    with pytest.raises(Dropped, match="esp-replayed"):
        far.open(first)
    near.sequence = 2**32 - 2
    assert far.open(near.seal(97, b"last"))[1] == b"last"
    with pytest.raises(Dropped, match="sequence-exhausted"):
        near.seal(97, b"beyond")
    with pytest.raises(Dropped, match="esp-too-old"):
        far.open(suite.sealer().seal(2, 97, b"two"))
    with pytest.raises(Dropped, match="esp-oversized"):
        outbound(suite).seal(97, bytes(65530))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ((20, bytes(19), 0, b""), "does not take a key of 15 octets"),
        ((20, bytes(20), 12, bytes(32)), "no integrity algorithm beside it"),
        ((12, bytes(16), 0, b""), "integrity algorithm 0"),
        ((12, bytes(17), 12, bytes(32)), "encryption algorithm 12"),
        ((99, bytes(20), 12, bytes(32)), "encryption algorithm 99"),
    ],
)
def test_keys_that_do_not_fit_are_refused(keys, words):
    with pytest.raises(ValueError, match=words):
        Suite(*keys)
