"""The replay window against a model that remembers every number it saw."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp._fast.replay import ReplayWindow

WINDOWS = [32, 33, 63, 64, 65, 127, 128, 129, 1000, 1024, 4095, 4096]


class Model:
    """RFC 4303 section 3.4.3, by a plain set."""

    def __init__(self, window, top):
        self.window, self.top, self.seen = window, top, set()

    def check(self, seq):
        if seq == 0:
            return "esp-zero-sequence"
        if seq + self.window <= self.top:
            return "esp-too-old"
        return "esp-replayed" if seq in self.seen else None

    def commit(self, seq):
        self.seen.add(seq)
        self.top = max(self.top, seq)


def infer(window, top, low):
    """RFC 4303 appendix A2.2, as it is written there: Tl, Th, Seql, Seqh."""
    top_low, top_high = top & 0xFFFFFFFF, top >> 32
    edge = (top_low - window + 1) % 2**32
    if top_low >= window - 1:
        high = top_high if low >= edge else top_high + 1
    else:
        high = top_high - 1 if low >= edge else top_high
    return high


steps = st.lists(
    st.one_of(
        st.integers(-4200, 200),  # Around the window's left edge and its top.
        st.integers(-70, 70),
        st.integers(4000, 20_000),  # Over the whole ring at once.
        st.just(0),
    ),
    max_size=200,
)
tops = st.one_of(
    st.just(0),
    st.integers(0, 5000),
    st.integers(2**32 - 5000, 2**32 + 5000),
    st.integers(0, 2**64 - 10_000_000),
)


@given(window=st.one_of(st.sampled_from(WINDOWS), st.integers(32, 4096)), top=tops, steps=steps)
@settings(max_examples=400, deadline=None)
def test_against_the_model(window, top, steps):
    replay, model = ReplayWindow(window, top=top), Model(window, top)
    for step in steps:
        seq = max(0, model.top + step)
        assert replay.check(seq) == model.check(seq)
        # Checking changes nothing.
        assert replay.check(seq) == model.check(seq)
        if model.check(seq) is None:
            replay.commit(seq)
            model.commit(seq)
        assert replay.top == model.top


@given(window=st.sampled_from(WINDOWS), start=tops, order=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_every_packet_of_a_shuffled_window_is_taken_once(window, start, order):
    replay = ReplayWindow(window, top=start)
    numbers = list(range(start + 1, start + window + 1))
    order.shuffle(numbers)
    for seq in numbers:
        assert replay.check(seq) is None
        replay.commit(seq)
        assert replay.check(seq) == "esp-replayed"
    assert replay.top == start + window
    assert all(replay.check(seq) == "esp-replayed" for seq in numbers)


@pytest.mark.parametrize("window", WINDOWS)
def test_the_edges_of_the_window(window):
    replay = ReplayWindow(window)
    replay.commit(10_000)
    assert replay.check(10_000 - window) == "esp-too-old"
    assert replay.check(10_000 - window + 1) is None
    assert replay.check(10_000) == "esp-replayed"
    assert replay.check(10_001) is None


@pytest.mark.parametrize("window", WINDOWS)
def test_a_jump_forgets_what_lies_behind(window):
    # The bits of the old place must not show up again where the ring comes round.
    replay = ReplayWindow(window)
    for seq in range(1, window + 1):
        replay.commit(seq)
    for jump in (8192, 16384, 8192 + 64, 2**32):
        top = replay.top
        replay.commit(top + jump)
        fresh = range(max(top + 1, replay.top - window + 1), replay.top)
        assert all(replay.check(seq) is None for seq in fresh)
        for seq in fresh:
            replay.commit(seq)


@given(window=st.sampled_from(WINDOWS), top=tops, low=st.integers(0, 2**32 - 1))
@settings(max_examples=500, deadline=None)
def test_inference_is_the_rfcs(window, top, low):
    high = infer(window, top, low)
    wanted = (high << 32) | low if 0 <= high < 2**32 else 0
    assert ReplayWindow(window, top=top).infer(low) == wanted


@given(window=st.sampled_from(WINDOWS), top=tops, distance=st.integers(-4096, 2**32 - 5000))
@settings(max_examples=500, deadline=None)
def test_inference_finds_every_number_near_the_window(window, top, distance):
    seq = top + max(distance, 1 - window)
    if 0 < seq < 2**64:
        assert ReplayWindow(window, top=top).infer(seq & 0xFFFFFFFF) == seq


def test_inference_before_the_start_and_behind_the_end():
    assert ReplayWindow(64, top=0).infer(2**32 - 1) == 0
    assert ReplayWindow(64, top=2**64 - 1).infer(5) == 0
    assert ReplayWindow(64, top=2**32 - 1).infer(0) == 2**32


@pytest.mark.parametrize("window", [0, 31, 4097, 2**32 - 1])
def test_bounds(window):
    with pytest.raises(ValueError, match="32 to 4096"):
        ReplayWindow(window)


@pytest.mark.parametrize("window", [-1, 2**32])
def test_windows_beyond_the_type(window):
    with pytest.raises(OverflowError):
        ReplayWindow(window)
