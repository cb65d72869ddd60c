"""Which sizes are asked and what comes of answers and silence, against paths of every width."""

import pytest

from rhp.node.pathround import GRAIN, SEARCH_TRIES, TRIES, PathRound


def play(asking, passes, lost=lambda _: False):
    """Let a path answer that lets `passes` octets through, and loses what `lost` says; how often was asked."""
    turns = 0
    while not asking.done:
        turns += 1
        assert turns < 100
        sizes = asking.ask()
        while sizes:
            size = sizes.pop(0)
            if size <= passes and not lost(turns):
                sizes += asking.answered(size)
    return turns


def test_a_wide_path_is_known_at_once():
    asking = PathRound(1280, 1500, 1500)
    assert asking.ask() == [1280, 1500]
    assert asking.answered(1280) == []
    assert asking.answered(1500) == []
    assert (asking.done, asking.carries, asking.searching) == (True, 1500, False)
    assert asking.answered(1500) == []


def test_a_peer_that_answers_nothing_teaches_nothing():
    asking = PathRound(1280, 1500, 1500)
    assert play(asking, 0) == TRIES + 1
    assert asking.carries is None


@pytest.mark.parametrize("passes", range(1280, 1500, 7))
def test_silence_is_searched(passes):
    asking = PathRound(1280, 1500, 1500)
    turns = play(asking, passes)
    assert passes - GRAIN <= asking.carries <= passes
    assert turns <= TRIES + 1 + 5 * SEARCH_TRIES


def test_the_size_in_use_is_kept_while_it_passes():
    asking = PathRound(1280, 1400, 1500)
    assert asking.ask() == [1280, 1400, 1500]
    asking.answered(1400)
    assert asking.ask() == [1280, 1500]
    asking.answered(1280)
    assert asking.ask() == [1500]
    assert asking.ask() == []
    assert (asking.done, asking.carries) == (True, 1400)


def test_a_path_that_widened_is_found_in_one_answer():
    asking = PathRound(1280, 1400, 1500)
    asking.ask()
    asking.answered(1500)
    assert asking.carries == 1500


def test_one_lost_probe_means_nothing():
    asking = PathRound(1280, 1500, 1500)
    assert play(asking, 1500, lost=lambda turn: turn < TRIES) == TRIES
    assert asking.carries == 1500


def test_a_search_says_so_and_goes_on_at_once_with_each_answer():
    asking = PathRound(1280, 1500, 1500)
    for _ in range(TRIES):
        asking.ask()
        asking.answered(1280)
    assert asking.ask() == [1388]
    assert asking.searching
    assert asking.answered(1388) == [1444]
    assert asking.ask() == [1444]
    assert asking.ask() == [1416]
    assert asking.answered(1388) == []
    assert asking.answered(1444) == []


def test_a_late_answer_ends_a_search():
    asking = PathRound(1280, 1500, 1500)
    for _ in range(TRIES + 1):
        asking.ask()
        asking.answered(1280)
    assert asking.searching
    asking.answered(1500)
    assert (asking.done, asking.carries, asking.searching) == (True, 1500, False)


def test_one_size_only():
    asking = PathRound(1000, 1000, 1000)
    assert asking.ask() == [1000]
    asking.answered(1000)
    assert asking.carries == 1000
