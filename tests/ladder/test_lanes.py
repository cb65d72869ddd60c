"""A pair of ESP SAs for each lane (RFC 9611): asked for, granted, refused, replaced and let go."""

from dataclasses import replace

import pytest
from ladder_wishes import SIDES, sides
from ladder_world import child, config, connection, tunnel

from rhp.ike.events import ChildClosed, ChildEstablished, ChildFailed, ChildRekeyed, IkeClosed
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.ke import KE
from rhp.wire.notify import Notify
from rhp.wire.sa import SA

INFO, CHANGE = NotifyType.SA_RESOURCE_INFO, ExchangeType.CREATE_CHILD_SA


def nodes(ladder, a_lanes, b_lanes, children=None, **limits):
    return ladder(
        config(connection("a@x", "b@x", children=children), lanes=a_lanes),
        config(connection("b@x", "a@x", children=children), lanes=b_lanes, **limits),
    )


def established(ladder, a_lanes, b_lanes, children=None, **limits):
    """Both sides, after all pairs that they wish for were made."""
    link = nodes(ladder, a_lanes, b_lanes, children, **limits).establish()
    for _ in range(20):
        link.advance(1)
    return link


def lanes_of(side):
    """Which lanes have a pair, and which of them only for themselves."""
    return sorted(sa.spi_in % side.lanes for sa in side.sas.values()), sum(
        sa.lane is not None for sa in side.sas.values()
    )


def check_groups(link, count):
    """Both sides have the same pairs, all in one group and, when the peer has had its time, all in use."""
    link.advance(6)
    link.check_established(children=count)
    for side in link.sides:
        assert len({sa.group for sa in side.sas.values()}) == 1
        assert len({sa.child_id for sa in side.sas.values()}) == count
        assert sum(sa.lane is None for sa in side.sas.values()) == 1
        assert all(sa.outbound_active for sa in side.sas.values())
        assert side.happened(ChildFailed, ChildClosed, IkeClosed) == []


def test_a_pair_for_each_lane(ladder):
    link = nodes(ladder, 3, 3)
    link.initiate()
    link.deliver()
    link.deliver()
    # a --- IKE_AUTH: .. SA, TSi, TSr, N(SA_RESOURCE_INFO) ---> b, which answers alike
    assert link.read(link.deliver()).notify(INFO).data == b""
    assert link.read(link.deliver()).notify(INFO).data == b""
    link.check_established()
    first = link.a.child()
    assert (first.lane, first.group) == (None, first.child_id)

    # a --- CREATE_CHILD_SA: SA, Ni, TSi, TSr, N(SA_RESOURCE_INFO, lane) ---> b, at once
    link.advance(0.01)
    request, answer = link.read(link.sent[-2]), link.read(link.sent[-1])
    assert len(request.notify(INFO).data) == len(answer.notify(INFO).data) == 4
    assert request.notify(NotifyType.REKEY_SA) is None
    assert request.notify(NotifyType.USE_TRANSPORT_MODE) is not None
    link.advance(20)
    assert link.flight == []
    check_groups(link, 3)
    for side in link.sides:
        assert lanes_of(side) == ([0, 1, 2], 2)
        assert [event.lane is None for event in side.happened(ChildEstablished)] == [True, False, False]
    assert len({sa.suite.name for side in link.sides for sa in side.sas.values()}) == 1


@pytest.mark.parametrize(("a_lanes", "b_lanes"), [(1, 3), (3, 1)])
def test_a_side_with_one_lane_takes_no_part(ladder, a_lanes, b_lanes):
    link = nodes(ladder, a_lanes, b_lanes)
    link.initiate()
    link.deliver()
    link.deliver()
    assert (link.read(link.deliver()).notify(INFO) is not None) == (a_lanes > 1)
    assert link.read(link.deliver()).notify(INFO) is None
    link.advance(30)
    check_groups(link, 1)


@pytest.mark.parametrize(("a_lanes", "b_lanes"), [(2, 4), (4, 2), (2, 3)])
def test_the_side_with_more_lanes_gets_its_pairs(ladder, a_lanes, b_lanes):
    # a makes its own at once; b, if it has more lanes, asks for the rest a little later.
    link = established(ladder, a_lanes, b_lanes)
    check_groups(link, max(a_lanes, b_lanes))
    for side in link.sides:
        assert set(lanes_of(side)[0]) == set(range(side.config.lanes))
    few = link.a if a_lanes < b_lanes else link.b
    many = link.other(few)
    assert lanes_of(many)[0] == list(range(many.config.lanes))


def test_whoever_was_asked_waits_before_it_sends_on_a_new_pair(ladder):
    # Its packets could overtake its answer, and the peer would not know their SPI.
    link = nodes(ladder, 2, 2).establish()
    link.advance(0.01)
    asked, granted = (next(sa for sa in side.sas.values() if sa.lane is not None) for side in link.sides)
    assert asked.outbound_active
    assert not granted.outbound_active
    # a's first packet on it shows that a has it.
    link.call(link.b, "first_inbound", granted.spi_in)
    assert link.b.sas[granted.spi_in].outbound_active
    link.advance(30)
    link.check_established(children=2)


def test_a_new_pair_without_traffic_is_used_after_a_while(ladder):
    link = nodes(ladder, 2, 2).establish()
    link.advance(4)
    assert sorted(sa.outbound_active for sa in link.b.sas.values()) == [False, True]
    link.advance(2)
    assert all(sa.outbound_active for sa in link.b.sas.values())


def test_children_have_groups_of_their_own(ladder):
    ours = (tunnel("one"), tunnel("two", ("10.3.0.0/16",), ("10.4.0.0/16",)))
    theirs = (tunnel("one", ("10.2.0.0/16",), ("10.1.0.0/16",)), tunnel("two", ("10.4.0.0/16",), ("10.3.0.0/16",)))
    link = ladder(
        config(connection("a@x", "b@x", children=ours), lanes=2),
        config(connection("b@x", "a@x", children=theirs), lanes=2),
    ).establish()
    link.advance(1)
    link.call(link.b, "create_child", link.b.status().ike_id, "two")
    for _ in range(10):
        link.advance(1)
    link.check_established(children=4)
    for side in link.sides:
        groups = {sa.group: sa.child_name for sa in side.sas.values()}
        assert sorted(groups.values()) == ["one", "two"]
        for group in groups:
            assert sorted(sa.spi_in % 2 for sa in side.sas.values() if sa.group == group) == [0, 1]


def test_lanes_of_a_child_with_a_fresh_key_exchange(ladder):
    link = established(ladder, 2, 2, (child(esp=("aes128gcm16-x25519",)),))
    check_groups(link, 2)
    assert {sa.suite.key_exchange for sa in link.a.sas.values()} == {None, 31}


def test_invalid_ke_for_a_lane(ladder):
    ours, theirs = (child(esp=("aes128gcm16-x25519-ecp256",)),), (child(esp=("aes128gcm16-ecp256",)),)
    link = ladder(
        config(connection("a@x", "b@x", children=ours), lanes=2),
        config(connection("b@x", "a@x", children=theirs), lanes=2),
    ).establish()
    link.advance(1)
    check_groups(link, 2)
    offered = [link.read(packet).first(KE) for packet in link.sent[-4:]]
    assert [ke.method for ke in offered if ke is not None] == [31, 19, 19]


@pytest.mark.parametrize("kind", [NotifyType.TS_MAX_QUEUE, NotifyType.NO_ADDITIONAL_SAS, NotifyType.NO_PROPOSAL_CHOSEN])
def test_a_refused_lane_is_no_failure(ladder, kind):
    link = nodes(ladder, 2, 2).establish()
    link.advance(0.01, settle=False)
    link.reply(link.drop(), [Notify(kind)])
    link.advance(100)
    assert link.a.count(f"lane-refused-{kind.name.lower().replace('_', '-')}") == 1
    assert link.a.happened(ChildFailed) == []
    assert link.a.states() == ["established"]


def test_too_many_pairs_of_one_group(ladder):
    # b grants no more than the limit, whatever a has.
    link = established(ladder, 20, 2)
    check_groups(link, 16)
    assert link.b.count("lanes-full") >= 1
    assert link.a.count("lane-refused-ts-max-queue") >= 1
    assert len(set(lanes_of(link.b)[0])) == 2


def test_too_many_children_ends_the_attempt(ladder):
    # b allows two on one IKE SA: it refuses a third, and asks for none itself.
    link = established(ladder, 4, 4, max_children=2)
    check_groups(link, 2)
    assert link.a.count("lane-refused-no-additional-sas") >= 1


def test_a_peer_that_was_not_offered_lanes_and_asks(ladder):
    # b has one lane and never said SA_RESOURCE_INFO: a further pair of the same traffic is not for it.
    link = nodes(ladder, 2, 1).establish()
    (pair,) = link.a.sa().children.values()
    pair.terms = replace(pair.terms, place=replace(pair.terms.place, shared=True))
    link.a.engine._ctx.upkeep.lanes_due(pair, link.now)
    link.collect(link.a)
    link.settle()
    check_groups(link, 1)
    assert link.b.count("lanes-full") == 1


def test_a_busy_peer_is_asked_again(ladder):
    link = nodes(ladder, 2, 2).establish()
    link.advance(0.01, settle=False)
    link.reply(link.drop(), [Notify(NotifyType.TEMPORARY_FAILURE)])
    link.advance(4)
    check_groups(link, 2)


def test_one_request_waits_however_often_a_peer_rekeys_that_answers_nothing(ladder):
    # a --- CREATE_CHILD_SA(lane) ---x, and b replaces the first pair again and again meanwhile
    link = nodes(ladder, 4, 2)
    link.lost = lambda packet: packet.sender == "a" and packet.header.exchange == CHANGE and not packet.header.response
    link.establish()
    for _ in range(10):
        link.call(link.b, "rekey_child", min(one.child_id for one in link.b.sas.values()))
        link.advance(0.5)
    assert link.a.count("child-rekeyed") == 10
    # Five seconds after each of them the next lane's turn would come.
    link.advance(5)
    waiting = [turn for turn in link.a.sa().queue or () if turn.exchange == CHANGE]
    assert len(waiting) == 1


def test_a_pair_granted_without_the_notify_is_disowned(ladder):
    link = nodes(ladder, 2, 2).establish()
    link.advance(0.01, settle=False)
    request = link.deliver()
    answer = link.read(link.drop())
    link.reply(request, [one for one in answer.payloads if one != answer.notify(INFO)])
    link.settle()
    assert link.a.count("lane-not-confirmed") == 1
    assert len(link.a.sas) == len(link.b.sas) == 1


@pytest.mark.parametrize("which", ["first", "further"])
@SIDES
def test_rekey_stays_in_its_place(ladder, who, which):
    link = established(ladder, 2, 2)
    one, other = sides(link, who)
    old = next(sa for sa in one.sas.values() if (sa.lane is None) == (which == "first"))
    theirs = next(sa for sa in other.sas.values() if sa.spi_in == old.spi_out)
    link.call(one, "rekey_child", old.child_id)
    link.settle()
    check_rekeyed(one, old)
    check_rekeyed(other, theirs)
    link.advance(20)
    link.check_established(children=2)
    assert lanes_of(link.a) == lanes_of(link.b) == ([0, 1], 1)


def check_rekeyed(side, old):
    new = next(sa for sa in side.sas.values() if sa.child_id == old.child_id)
    assert new.spi_in != old.spi_in
    assert (new.lane, new.group, new.spi_in % 2) == (old.lane, old.group, old.spi_in % 2)
    assert len(side.happened(ChildRekeyed)) == 1


@SIDES
def test_a_deleted_lane_leaves_the_others(ladder, who):
    link = established(ladder, 3, 3)
    one, other = sides(link, who)
    gone = next(sa for sa in one.sas.values() if sa.lane is not None)
    link.call(one, "delete_child", gone.child_id)
    assert link.read(link.flight[0]).payloads == (Delete(Protocol.ESP, (gone.spi_in.to_bytes(4),)),)
    link.settle()
    link.advance(30)
    assert len(one.sas) == len(other.sas) == 2
    assert len(one.happened(ChildClosed)) == len(other.happened(ChildClosed)) == 1
    # The next rekey finds the lane without a pair and gets it one.
    link.call(one, "rekey_child", next(sa.child_id for sa in one.sas.values() if sa.lane is None))
    link.settle()
    link.advance(1)
    link.check_established(children=3)
    assert lanes_of(link.a) == lanes_of(link.b) == ([0, 1, 2], 2)


def test_the_group_outlives_its_first_pair(ladder):
    link = established(ladder, 2, 2)
    first = next(sa for sa in link.a.sas.values() if sa.lane is None)
    link.call(link.a, "delete_child", first.child_id)
    link.settle()
    link.check_established()
    assert link.a.child().group == first.group
    link.call(link.b, "rekey_child", link.b.child().child_id)
    link.settle()
    link.advance(20)
    link.check_established(children=2)
    assert {sa.group for sa in link.a.sas.values()} == {first.group}


def test_rekey_of_the_ike_sa_keeps_the_lanes(ladder):
    link = established(ladder, 2, 2)
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.settle()
    link.advance(20)
    check_groups(link, 2)


def test_the_ike_sa_is_replaced_while_lanes_are_made(ladder):
    link = nodes(ladder, 3, 3).establish()
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    link.advance(0.01)
    for _ in range(40):
        link.advance(1)
    check_groups(link, 3)


def test_both_sides_ask_at_once(ladder):
    # b has more lanes and begins while a still does: no lane is without a pair, and some may have two.
    link = nodes(ladder, 3, 3).establish()
    for side in link.sides:
        pair = next(iter(side.sa().children.values()))
        side.engine._ctx.upkeep.lanes_due(pair, link.now)
        link.collect(side)
    link.settle()
    for _ in range(20):
        link.advance(1)
    for side in link.sides:
        assert set(lanes_of(side)[0]) == {0, 1, 2}
        assert side.happened(ChildFailed) == []
    link.check_established(children=len(link.a.sas))
    assert 3 <= len(link.a.sas) <= 5


@SIDES
def test_the_end_leaves_nothing(ladder, who):
    link = established(ladder, 4, 4)
    one, _ = sides(link, who)
    link.call(one, "close", one.status().ike_id)
    link.settle()
    link.advance(100)
    for side in link.sides:
        side.check_empty()


def test_loss_on_the_way(ladder):
    link = nodes(ladder, 3, 3)
    link.lost = lambda packet: link.chance.random() < 0.3
    link.initiate()
    for _ in range(60):
        link.advance(1)
    link.lost = lambda packet: False
    for _ in range(40):
        link.advance(1)
    link.check_established(children=len(link.a.sas))
    assert set(lanes_of(link.a)[0]) == set(lanes_of(link.b)[0]) == {0, 1, 2}


def test_a_pair_of_another_suite_does_not_join(ladder):
    # b prefers another suite by now: what it grants differs from the first pair, so a gives it back.
    link = nodes(ladder, 2, 2, (child(esp=("aes128gcm16", "aes256gcm16")),)).establish()
    sa = link.a.sa()
    pair = next(iter(sa.children.values()))
    other = replace(pair.terms.config, proposals=pair.terms.config.proposals[1:])
    pair.terms = replace(pair.terms, config=other)
    link.advance(0.01)
    assert link.read(link.sent[-1]).first(SA) is None
    assert link.read(link.sent[-1]).notify(NotifyType.NO_PROPOSAL_CHOSEN) is not None
    assert link.b.count("other-suite") == 1
    link.check_established()


def test_lanes_that_are_added_get_their_pairs(ladder):
    one = connection("a@x", "b@x"), connection("b@x", "a@x")
    link = ladder(config(one[0], lanes=1, spare_lanes=2), config(one[1], lanes=1, spare_lanes=2)).establish()
    link.advance(20)
    check_groups(link, 1)
    # SPIs of a lane stay what they are when another is added: they are counted by all that may be.
    assert {sa.spi_in % 3 for sa in link.a.sas.values()} == {0}
    link.call(link.a, "set_lanes", 2)
    link.settle()
    check_groups(link, 2)
    link.call(link.b, "set_lanes", 3)
    link.settle()
    link.advance(1)
    # b's one lane has both pairs so far, so its two new ones get one each.
    check_groups(link, 4)
    assert sorted(sa.spi_in % 3 for sa in link.a.sas.values()) == [0, 0, 1, 1]
    assert sorted(sa.spi_in % 3 for sa in link.b.sas.values()) == [0, 0, 1, 2]


def test_lanes_that_are_added_where_the_peer_takes_no_part(ladder):
    link = ladder(config(connection("a@x", "b@x"), lanes=1, spare_lanes=1)).establish()
    link.call(link.a, "set_lanes", 2)
    assert link.flight == []
    link.advance(20)
    check_groups(link, 1)


@pytest.mark.parametrize("data", [b"", b"\0", bytes(300)], ids=["nothing", "one octet", "300 octets"])
@pytest.mark.parametrize("copies", [1, 3])
def test_what_a_peer_calls_its_resource_does_not_matter(ladder, data, copies):
    link = nodes(ladder, 2, 2).establish()
    link.advance(0.01, settle=False)
    request = link.read(link.drop())
    payloads = [one for one in request.payloads if one != request.notify(INFO)]
    answer = link.say(link.a, [*payloads, *[Notify(INFO, data)] * copies], message_id=request.message_id,
                      exchange=ExchangeType.CREATE_CHILD_SA)  # fmt: skip
    assert answer.first(SA) is not None
    assert answer.notify(INFO) is not None
    # b names its own lane, whatever a said.
    (joined,) = [sa for sa in link.b.sas.values() if sa.lane is not None]
    assert answer.notify(INFO).data == joined.lane.to_bytes(4)


def test_a_hostile_peer_cannot_have_more_pairs_than_a_group_holds(ladder):
    # The peer asks again and again, for one group and in every manner; each refusal changes nothing.
    link = nodes(ladder, 2, 2).establish()
    link.advance(0.01, settle=False)
    payloads = link.read(link.drop()).payloads
    answers = [link.say(link.a, payloads, ExchangeType.CREATE_CHILD_SA) for _ in range(40)]
    granted = [answer for answer in answers if answer.first(SA) is not None]
    assert len(granted) == 15
    assert all(answer.notify(NotifyType.TS_MAX_QUEUE) is not None for answer in answers[15:])
    assert len(link.b.sas) == 16
    assert len({sa.group for sa in link.b.sas.values()}) == 1
