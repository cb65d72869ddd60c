"""In-order delivery by sequence numbers: what waits, for how long, and what is dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhp._fast.reorder import Reorder

HOLD = 4_000_000
SLOTS = 64


def numbers(sent):
    return [sequence for _, sequence in sent]


def arrive(pool, *sequences, now=0):
    """What each sets free."""
    return [numbers(pool.arrive(sequence, now)) for sequence in sequences]


@pytest.mark.parametrize("hold", [False, True])
def test_what_comes_in_order_goes_on_at_once(hold):
    pool = Reorder(hold)
    assert arrive(pool, 1, 2, 3) == [[1], [2], [3]]
    assert (pool.held, pool.late, pool.deadline) == (0, 0, None)


def test_without_holding_what_was_overtaken_is_dropped():
    pool = Reorder(False)
    assert arrive(pool, 1, 4, 2, 3, 5) == [[1], [4], [], [], [5]]
    assert (pool.held, pool.late) == (0, 2)


def test_what_has_overtaken_waits_until_the_gap_fills():
    pool = Reorder(True)
    assert arrive(pool, 1, 4, 3, 6) == [[1], [], [], []]
    assert pool.held == 3
    assert arrive(pool, 2) == [[2, 3, 4]]
    assert arrive(pool, 5) == [[5, 6]]
    assert (pool.held, pool.late) == (0, 0)


def test_it_waits_no_longer_than_said():
    pool = Reorder(True)
    pool.arrive(3, 100)
    pool.arrive(2, 200)
    pool.arrive(6, 300)
    assert pool.deadline == 100 + HOLD
    assert pool.turn(99 + HOLD) == []
    # 3 must go now, and 2 cannot go behind it; 6 has time.
    assert numbers(pool.turn(100 + HOLD)) == [2, 3]
    assert pool.deadline == 300 + HOLD
    assert arrive(pool, 1) == [[]]
    assert arrive(pool, 4) == [[4]]
    assert numbers(pool.turn(300 + HOLD)) == [6]
    assert (pool.held, pool.late) == (0, 1)
    assert arrive(pool, 7) == [[7]]


def test_a_full_pool_gives_up_the_oldest_gap():
    pool = Reorder(True)
    for sequence in range(2, 2 + SLOTS):
        assert pool.arrive(sequence, sequence) == []
    assert pool.held == SLOTS
    assert numbers(pool.arrive(100, 100)) == list(range(2, 2 + SLOTS))
    assert pool.held == 1
    assert arrive(pool, 1) == [[]]
    assert pool.late == 1


def test_each_sa_counts_for_itself():
    pool = Reorder(True, 2)
    assert pool.arrive(2, order=0) == []
    assert pool.arrive(1, order=1) == [(1, 1)]
    assert pool.arrive(3, order=1) == []
    assert pool.arrive(1, order=0) == [(0, 1), (0, 2)]
    assert pool.forget(1) == 1
    assert (pool.held, pool.deadline) == (0, None)
    assert pool.forget(1) == 0


def test_one_sa_cannot_keep_the_pool_for_itself():
    pool = Reorder(True, 2)
    for sequence in range(2, 2 + SLOTS):
        pool.arrive(2 * sequence, 0, 0)
    # The pool's first goes; the other SA finds room.
    assert pool.arrive(5, 1, 1) == [(0, 4)]
    assert pool.held == SLOTS


def test_who_holds_most_gives_way_though_another_has_waited_longer():
    pool = Reorder(True, 2)
    pool.arrive(3, 0, 1)
    for sequence in range(2, 2 + 3 * SLOTS):
        pool.arrive(2 * sequence, 1, 0)
    assert pool.held == SLOTS
    assert pool.arrive(2, 2, 1) == [(0, 4 + 2 * (2 * SLOTS + 1))]
    assert pool.arrive(1, 3, 1)[-3:] == [(1, 1), (1, 2), (1, 3)]
    assert pool.late == 0


def test_numbers_of_64_bits():
    top = 2**64 - 1
    pool = Reorder(True)
    pool.arrive(top - 2, 0)
    assert numbers(pool.turn(HOLD)) == [top - 2]
    assert arrive(pool, top, top - 1) == [[], [top - 1, top]]


@given(st.permutations(range(1, 41)), st.lists(st.integers(1, 40), max_size=5))
def test_whatever_the_order_was_it_is_mended(order, lost):
    pool = Reorder(True)
    came = [sequence for sequence in order if sequence not in lost]
    sent = [sequence for number in came for sequence in numbers(pool.arrive(number))]
    sent += numbers(pool.turn(HOLD))
    assert sent == sorted(came)
    assert (pool.held, pool.late) == (0, 0)


@given(
    st.booleans(),
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(-80, 80), st.integers(0, HOLD), st.booleans()),
        min_size=1,
        max_size=400,
    ),
)
def test_never_out_of_order_and_nothing_lost_untold(hold, steps):
    pool = Reorder(hold, 3)
    seen, sent, now = set(), [], 0
    for order, distance, wait, turn in steps:
        highest = max((sequence for own, sequence in seen if own == order), default=0)
        packet = (order, max(1, highest + distance))
        now += wait
        if turn:
            sent += pool.turn(now)
        # The replay window lets nothing through twice.
        if packet not in seen:
            seen.add(packet)
            sent += pool.arrive(packet[1], now, order)
        assert pool.held <= SLOTS if hold else pool.held == 0
        assert len(sent) + pool.held + pool.late == len(seen)
    sent += pool.turn(now + HOLD)
    assert pool.held == 0
    for order in range(3):
        mine = [sequence for own, sequence in sent if own == order]
        assert mine == sorted(set(mine))
    assert set(sent) <= seen


def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="between 1 and 1000"):
        Reorder(True, 0)
    pool = Reorder(True, 1)
    for call in (lambda: pool.arrive(1, 0, 1), lambda: pool.forget(-1)):
        with pytest.raises(IndexError):
            call()
