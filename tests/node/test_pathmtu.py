"""What is believed of a path, and for how long."""

from ipaddress import ip_address

import pytest

from rhp.node.pathmtu import ANSWER_SECONDS, HOLDS_SECONDS, PathMtus

FOUR, SIX = ip_address("192.0.2.2"), ip_address("2001:db8::2")


@pytest.fixture
def hops():
    return {FOUR: 1500, SIX: 1500}


@pytest.fixture
def paths(hops):
    def first_hop(remote):
        if remote not in hops:
            raise OSError
        return hops[remote]

    return PathMtus(first_hop)


def test_at_first_it_is_the_first_hop_s(paths, hops):
    hops[FOUR], hops[SIX] = 1492, 9000
    assert (paths.mtu(FOUR), paths.source(FOUR)) == (1492, "interface")
    assert paths.mtu(SIX) == paths.first_hop(SIX) == 1500


def test_without_a_way_there_it_is_assumed(paths):
    assert paths.mtu(ip_address("203.0.113.1")) == 1500


def test_a_word_narrows_and_never_widens(paths):
    assert paths.told(FOUR, 1400, 1.0, "icmp")
    assert (paths.mtu(FOUR), paths.source(FOUR), paths.mtu(SIX)) == (1400, "icmp", 1500)
    assert not paths.told(FOUR, 1450, 2.0, "icmp")
    assert not paths.told(FOUR, 1400, 2.0, "icmp")
    assert not paths.told(SIX, 1500, 2.0, "icmp")
    assert paths.source(SIX) == "interface"
    assert paths.told(FOUR, 1300, 3.0, "icmp")
    assert paths.mtu(FOUR) == 1300


@pytest.mark.parametrize(("remote", "least"), [(FOUR, 576), (SIX, 1280)])
def test_no_word_goes_below_what_every_host_must_take(paths, remote, least):
    assert paths.told(remote, 68, 1.0, "icmp")
    assert paths.mtu(remote) == least
    assert not paths.told(remote, 296, 2.0, "icmp")


def test_a_path_is_asked_again_after_ten_minutes_and_widens_if_nobody_objects(paths):
    paths.told(FOUR, 1400, 0.0, "icmp")
    assert not paths.is_old(FOUR, HOLDS_SECONDS - 1)
    assert paths.is_old(FOUR, HOLDS_SECONDS)
    assert not paths.is_old(SIX, HOLDS_SECONDS)
    paths.asked(FOUR, HOLDS_SECONDS)
    assert not paths.is_old(FOUR, HOLDS_SECONDS + 1)
    assert paths.widened(HOLDS_SECONDS + ANSWER_SECONDS - 1) == []
    assert paths.mtu(FOUR) == 1400
    assert paths.widened(HOLDS_SECONDS + ANSWER_SECONDS) == [FOUR]
    assert (paths.mtu(FOUR), paths.source(FOUR)) == (1500, "interface")
    assert paths.widened(HOLDS_SECONDS + 100) == []


def test_an_objection_holds_for_another_ten_minutes(paths):
    paths.told(FOUR, 1400, 0.0, "icmp")
    paths.asked(FOUR, HOLDS_SECONDS)
    assert not paths.told(FOUR, 1400, HOLDS_SECONDS + 1, "icmp")
    assert paths.widened(HOLDS_SECONDS + 100) == []
    assert not paths.is_old(FOUR, 2 * HOLDS_SECONDS)
    assert paths.is_old(FOUR, 2 * HOLDS_SECONDS + 1)


def test_asking_early_puts_nothing_at_stake(paths):
    paths.told(FOUR, 1400, 0.0, "icmp")
    paths.asked(FOUR, 60.0)
    assert paths.widened(1000.0) == []


def test_the_first_hop_is_looked_at_again(paths, hops):
    assert paths.mtu(FOUR) == 1500
    hops[FOUR] = 1420
    assert paths.mtu(FOUR) == 1500
    assert paths.look_again(FOUR)
    assert not paths.look_again(FOUR)
    assert paths.mtu(FOUR) == 1420
    paths.told(FOUR, 1400, 0.0, "icmp")
    hops[FOUR] = 1500
    assert not paths.look_again(FOUR)
    assert paths.mtu(FOUR) == 1400


def test_a_configured_number_is_taken_for_it():
    paths = PathMtus(lambda _: 1500, 9000)
    assert (paths.mtu(FOUR), paths.source(FOUR)) == (9000, "configuration")
    assert not paths.told(FOUR, 1400, 0.0, "icmp")
    assert not paths.look_again(FOUR)
    assert paths.mtu(FOUR) == 9000


def test_the_peer_s_word_narrows_and_widens(paths):
    assert paths.carries(FOUR, 1392, 0.0)
    assert (paths.mtu(FOUR), paths.source(FOUR)) == (1392, "peer")
    assert paths.carries(FOUR, 1450, 1.0)
    assert paths.carries(FOUR, 1500, 2.0)
    assert (paths.mtu(FOUR), paths.source(FOUR)) == (1500, "interface")
    assert not paths.carries(FOUR, 1500, 3.0)


def test_the_peer_s_word_keeps_what_a_router_said(paths):
    paths.told(FOUR, 1400, 0.0, "icmp")
    paths.asked(FOUR, HOLDS_SECONDS)
    assert not paths.carries(FOUR, 1400, HOLDS_SECONDS + 1)
    assert paths.source(FOUR) == "icmp"
    assert paths.widened(HOLDS_SECONDS + 100) == []


def test_gone_peers_are_forgotten(paths):
    paths.told(FOUR, 1400, 0.0, "icmp")
    paths.told(SIX, 1300, 0.0, "icmp")
    paths.keep({SIX})
    assert (paths.mtu(FOUR), paths.mtu(SIX)) == (1500, 1300)
