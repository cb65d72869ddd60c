"""Lifetimes of a Child SA by time, octets and packets, soft and hard, and the old pair that still receives."""

import pytest
from ladder_net import LOSE
from ladder_wishes import SIDES, rekey_child, sides
from ladder_world import child, config, connection

from rhp.ike.effects import NO_LIMITS
from rhp.ike.errors import Fault
from rhp.ike.events import ChildClosed, ChildRekeyed, IkeClosed
from rhp.wire.iana import NotifyType
from rhp.wire.notify import Notify


def link_with(ladder, jitter=0.1, **limits):
    children = (child(**limits),)
    return ladder(
        config(connection("a@x", "b@x", children=children, jitter=jitter)),
        config(connection("b@x", "a@x", children=children, jitter=jitter)),
    )


def call_over(link, side, spi_in):
    side.engine.sa_limit(spi_in, link.now, over=True)
    link.collect(side)


def test_no_limits_of_traffic_by_default(ladder):
    link = ladder().establish()
    assert [side.child().limits for side in link.sides] == [NO_LIMITS, NO_LIMITS]


def test_soft_limits_are_spread_and_hard_ones_are_not(ladder):
    # Two sides that count the same traffic should not come to their ends in the same moment.
    link = link_with(ladder, rekey_bytes=10_000_000, life_bytes=11_000_000, rekey_packets=10_000, life_packets=11_000)
    link.establish()
    seen = []
    for number in range(20):
        rekey_child(link, link.sides[number % 2])
        link.settle()
        seen += [side.child().limits for side in link.sides]
    assert all(9_000_000 < one.soft_octets <= 10_000_000 for one in seen)
    assert all(9_000 < one.soft_packets <= 10_000 for one in seen)
    assert len({one.soft_octets for one in seen}) == len(seen)
    assert {(one.hard_octets, one.hard_packets) for one in seen} == {(11_000_000, 11_000)}


@SIDES
def test_soft_limit(ladder, who):
    # The data plane of one says that the pair nears its end: make before break
    link = link_with(ladder, rekey_bytes=10_000_000, life_bytes=11_000_000).establish()
    one, other = sides(link, who)
    old = one.child()
    link.call(one, "sa_limit", old.spi_in)
    assert list(one.sas) == [old.spi_in]
    link.settle()
    link.check_established()
    assert one.child().child_id == old.child_id and one.child().spi_in != old.spi_in
    assert len(one.happened(ChildRekeyed)) == len(other.happened(ChildRekeyed)) == 1
    assert one.count("child-limit") == 1


@SIDES
def test_both_near_their_end_at_once(ladder, who):
    link = link_with(ladder, rekey_packets=1000, life_packets=1100).establish()
    for side in link.sides:
        link.call(side, "sa_limit", side.child().spi_in)
    link.settle()
    link.check_established()


@SIDES
def test_hard_limit(ladder, who):
    # Nothing came of the rekeys that the peer refused: used up, the pair has half a minute. Then the IKE SA goes
    # with it, so that all may begin anew (RFC 7296 section 2.8).
    link = link_with(ladder, rekey_packets=1000, life_packets=1100).establish()
    one, _ = sides(link, who)
    old = one.child()
    call_over(link, one, old.spi_in)
    link.reply(link.drop(), [Notify(NotifyType.NO_ADDITIONAL_SAS)])
    link.advance(29)
    assert list(one.sas) == [old.spi_in]
    link.advance(2)
    assert not link.a.sas and not link.b.sas
    (closed,) = one.happened(IkeClosed)
    assert (closed.reason, closed.fault) == ("lifetime", Fault.PEER)
    assert one.count("child-used-up") == 1


@SIDES
def test_hard_limit_is_reached_while_the_rekey_is_on_its_way(ladder, who):
    link = link_with(ladder, rekey_packets=1000, life_packets=1100).establish()
    one, _ = sides(link, who)
    old = one.child()
    link.call(one, "sa_limit", old.spi_in)
    call_over(link, one, old.spi_in)
    link.settle()
    link.check_established()
    link.advance(80)
    link.check_established()
    assert one.happened(ChildClosed) == []
    assert len(one.happened(ChildRekeyed)) == 1
    # What is said of the old pair concerns nobody any more.
    call_over(link, one, old.spi_in)
    assert link.flight == [] and one.count("child-used-up") == 1


@SIDES
def test_the_old_pair_receives_for_a_while(ladder, who):
    # Both sides let go of it with the DELETE, and take what is still on its way for five seconds more.
    link = ladder().establish()
    one, _ = sides(link, who)
    old = {side.name: side.child().spi_in for side in link.sides}
    rekey_child(link, one)
    link.settle()
    link.check_established()
    assert all(side.lingering == {old[side.name]} for side in link.sides)
    link.advance(4.9)
    assert all(side.lingering == {old[side.name]} for side in link.sides)
    link.advance(0.2)
    assert all(side.lingering == set() for side in link.sides)


def test_old_pairs_pass_on_with_the_lineage(ladder):
    link = ladder().establish()
    for _ in range(3):
        rekey_child(link, link.a)
        link.settle()
        link.advance(1)
    assert len(link.a.lingering) == len(link.b.lingering) == 3
    link.advance(2.1)
    assert len(link.a.lingering) == len(link.b.lingering) == 2
    # They do not outlive it: the last pair takes them along.
    link.call(link.a, "delete_child", link.a.child().child_id)
    link.settle()
    assert link.a.lingering == link.b.lingering == set()
    link.check_established(children=0)


@SIDES
def test_old_pairs_go_with_the_ike_sa(ladder, who):
    link = ladder().establish()
    one, _ = sides(link, who)
    rekey_child(link, one)
    link.settle()
    link.call(one, "close", one.status().ike_id)
    link.settle()
    assert link.a.lingering == link.b.lingering == set()
    link.advance(33)
    link.check_empty()


def test_words_about_a_pair_that_only_receives_are_ignored(ladder):
    link = ladder().establish()
    old = link.a.child().spi_in
    rekey_child(link, link.a)
    link.settle()
    for verb in ("first_inbound", "seen_alive", "sa_limit"):
        link.call(link.a, verb, old)
    assert link.flight == []
    link.check_established()


@pytest.mark.parametrize("lost", range(4))
@SIDES
def test_each_message_of_a_rekey_is_lost_once(ladder, lost, who):
    link = link_with(ladder, rekey_packets=1000, life_packets=1100).establish()
    one, _ = sides(link, who)
    first = len(link.sent)
    link.fate = lambda packet: LOSE if packet.number == first + lost else "deliver"
    link.call(one, "sa_limit", one.child().spi_in)
    link.settle()
    link.advance(70)
    link.check_established()
    assert len(one.happened(ChildRekeyed)) == 1


def test_the_hard_lifetime_of_a_replaced_ike_sa_does_not_end_the_new_one(ladder):
    # The old one's time is over while its rekey waits for an answer.
    link = ladder(
        config(connection("a@x", "b@x", rekey_time=100, life_time=101, jitter=0, dpd_delay=0)),
        config(connection("b@x", "a@x", dpd_delay=0)),
    ).establish()
    link.advance(100.5, settle=False)
    assert link.flight
    link.advance(1, settle=False)
    link.settle()
    link.advance(50)
    link.check_established()
    assert link.a.happened(IkeClosed) == []
