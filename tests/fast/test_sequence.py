"""The outbound counter never hands out a number twice and never wraps."""

import pytest

from rhp._fast.sa import SequenceCounter


def test_consecutive_numbers():
    counter = SequenceCounter(False)
    assert [counter.take(1), counter.take(44), counter.take(1)] == [1, 2, 46]


@pytest.mark.parametrize("esn", [False, True])
def test_the_end(esn):
    last = SequenceCounter(esn).last
    assert last == (2**64 - 1 - 2**48 if esn else 2**32 - 1)
    counter = SequenceCounter(esn, next=last - 1)
    assert [counter.take(1), counter.take(1), counter.take(1), counter.take(1)] == [last - 1, last, 0, 0]


@pytest.mark.parametrize("esn", [False, True])
def test_a_batch_that_does_not_fit(esn):
    last = SequenceCounter(esn).last
    counter = SequenceCounter(esn, next=last - 9)
    assert counter.take(11) == 0
    # The numbers are gone; nobody gets a part of a batch.
    assert counter.take(1) == 0
    assert SequenceCounter(esn, next=last - 9).take(10) == last - 9


def test_takers_behind_the_end_do_not_wrap_the_counter():
    counter = SequenceCounter(True, next=SequenceCounter(True).last)
    assert [counter.take(2**32 - 1) for _ in range(1000)] == [0] * 1000


def test_counts_out_of_bounds():
    counter = SequenceCounter(False)
    assert counter.take(0) == 0
    for count in (-1, 2**32):
        with pytest.raises(OverflowError):
            counter.take(count)
    assert counter.take(1) == 1
