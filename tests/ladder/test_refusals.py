"""Refusals within an IKE SA (RFC 7296 sections 1.3, 2.21.3 and 2.25): for now, for good, and of what is not there."""

from itertools import pairwise

import pytest
from ladder_wishes import SIDES, create_child, delete_child, rekey_child, rekey_ike, sides
from ladder_world import child, config, connection

from rhp.ike.errors import Fault
from rhp.ike.events import ChildClosed, ChildEstablished, ChildFailed, ChildRekeyed, IkeClosed, IkeRekeyed
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.message import Message, build_message
from rhp.wire.notify import Notify

VERBS = pytest.mark.parametrize("verb", [rekey_child, rekey_ike, create_child])


def answer_requests(link, side, notify, seconds):
    """For so long, answer each CREATE_CHILD_SA request of a side with that notify; when it asked."""
    times = []
    end = link.now + seconds
    while link.now < end or link.flight:
        while link.flight:
            packet = link.flight[0]
            if packet.sender == side.name and packet.header.exchange == ExchangeType.CREATE_CHILD_SA:
                times.append(link.elapsed())
                link.reply(link.drop(), [notify])
            else:
                link.deliver()
        link.advance(0.25, settle=False)
    return times


@VERBS
@SIDES
def test_busy_for_a_moment(ladder, verb, who):
    # one --- CREATE_CHILD_SA ---> N(TEMPORARY_FAILURE): not again at once (section 2.25), but soon
    link = ladder().establish()
    one, _ = sides(link, who)
    verb(link, one)
    link.reply(link.drop(), [Notify(NotifyType.TEMPORARY_FAILURE)])
    assert link.flight == []
    link.advance(0.9)
    assert link.flight == [] and one.happened(ChildRekeyed, IkeRekeyed) == []
    link.advance(8)
    link.check_established(children=2 if verb is create_child else 1)
    assert one.count("peer-busy") == 1
    assert one.sa().busy is None
    assert one.happened(ChildFailed, ChildClosed, IkeClosed) == []


@pytest.mark.parametrize("verb", [rekey_child, rekey_ike])
@SIDES
def test_busy_for_minutes(ladder, verb, who):
    # Two sides of which one is always busy are out of step; the IKE SA is closed (section 2.25).
    link = ladder().establish()
    one, other = sides(link, who)
    verb(link, one)
    times = answer_requests(link, one, Notify(NotifyType.TEMPORARY_FAILURE), 500)
    pauses = [later - sooner for sooner, later in pairwise(times)]
    # The pauses become longer, so that it is not asked a hundred times.
    assert min(pauses) >= 1.0 and len(times) < 30
    assert max(pauses[:3]) < pauses[-1]
    assert 295 < times[-1] < 420
    assert one.states() == other.states() == []
    (closed,) = one.happened(IkeClosed)
    assert (closed.reason, closed.fault) == ("peer-always-busy", Fault.PEER)


@SIDES
def test_busy_and_then_not(ladder, who):
    # Each success sets the clock back.
    link = ladder().establish()
    one, _ = sides(link, who)
    for _ in range(4):
        rekey_child(link, one)
        answer_requests(link, one, Notify(NotifyType.TEMPORARY_FAILURE), 200)
        link.advance(100)
        link.check_established()
    assert one.happened(IkeClosed) == []


@pytest.mark.parametrize("notify", [NotifyType.NO_ADDITIONAL_SAS, NotifyType.NO_PROPOSAL_CHOSEN])
@SIDES
def test_rekey_of_a_child_is_refused(ladder, notify, who):
    # The pair stays as it is, and the peer is asked again a minute later, not every few seconds.
    link = ladder().establish()
    one, _ = sides(link, who)
    old = one.child()
    rekey_child(link, one)
    times = answer_requests(link, one, Notify(notify), 200)
    assert [pair.state for pair in one.status().children] == ["installed"]
    assert one.child() == old
    assert 3 <= len(times) <= 4
    assert len(one.happened(ChildFailed)) == len(times)
    assert one.happened(ChildFailed)[0].reason == f"rekey-peer-said-{notify.name.lower().replace('_', '-')}"
    link.advance(80)
    link.check_established()
    assert len(one.happened(ChildRekeyed)) == 1


def test_a_pair_that_may_not_be_replaced_ends_with_its_ike_sa(ladder):
    # A --- CREATE_CHILD_SA(N(REKEY_SA), ...) ---> N(NO_ADDITIONAL_SAS), until the pair's time is over
    # A --- INFORMATIONAL(DELETE of the IKE SA) ---> and all may begin anew (RFC 7296 section 2.8)
    children = (child(rekey_time=0, life_time=150),)
    link = ladder(a=config(connection("a@x", "b@x", children=children))).establish()
    rekey_child(link, link.a)
    assert answer_requests(link, link.a, Notify(NotifyType.NO_ADDITIONAL_SAS), 148)
    assert not link.a.happened(IkeClosed)
    answer_requests(link, link.a, Notify(NotifyType.NO_ADDITIONAL_SAS), 4)
    (closed,) = link.a.happened(IkeClosed)
    assert (closed.reason, closed.fault) == ("lifetime", Fault.PEER)
    assert not link.a.sas and not link.b.sas
    assert link.b.happened(IkeClosed)[0].reason == "deleted-by-peer"


def test_a_pair_that_was_replaced_after_all_ends_with_nothing_else(ladder):
    children = (child(rekey_time=0, life_time=150),)
    link = ladder(a=config(connection("a@x", "b@x", children=children))).establish()
    rekey_child(link, link.a)
    assert answer_requests(link, link.a, Notify(NotifyType.NO_ADDITIONAL_SAS), 20)
    link.advance(100)
    assert len(link.a.happened(ChildRekeyed)) == 1
    # The new pair was never refused, so its end is its own.
    link.advance(150)
    link.check_established(children=0)
    assert not link.a.happened(IkeClosed)


@SIDES
def test_rekey_of_the_ike_sa_is_refused(ladder, who):
    link = ladder().establish()
    one, _ = sides(link, who)
    rekey_ike(link, one)
    times = answer_requests(link, one, Notify(NotifyType.NO_ADDITIONAL_SAS), 200)
    assert 3 <= len(times) <= 4
    link.advance(80)
    link.check_established()
    assert len(one.happened(IkeRekeyed)) == 1


@SIDES
def test_enough_children(ladder, who):
    b = config(connection("b@x", "a@x"), max_children=2)
    link = ladder(config(connection("a@x", "b@x"), max_children=2), b).establish()
    one, other = sides(link, who)
    create_child(link, one)
    link.settle()
    create_child(link, one)
    link.deliver()
    assert link.read(link.flight[0]).notify(NotifyType.NO_ADDITIONAL_SAS) is not None
    link.settle()
    assert [event.reason for event in one.happened(ChildFailed)] == ["peer-said-no-additional-sas"]
    link.check_established(children=2)
    # Replacing what is there is no addition.
    for pair in list(one.status().children):
        link.call(one, "rekey_child", pair.child_id)
        link.settle()
    link.check_established(children=2)
    assert other.count("too-many-children") == 1


@pytest.mark.parametrize("verb", [rekey_child, create_child])
@SIDES
def test_deleted_before_its_answer_is_here(ladder, verb, who):
    # one --- CREATE_CHILD_SA ---> other; other's DELETE of what it granted overtakes its answer
    link = ladder().establish()
    one, other = sides(link, who)
    verb(link, one)
    link.deliver()
    (answer,) = link.flight
    newest = max(other.sas.values(), key=lambda sa: sa.spi_in)
    link.call(other, "delete_child", newest.child_id)
    link.deliver(1)
    link.flight.sort(key=lambda packet: packet is answer)
    link.settle()
    # Nothing is installed that the peer no longer has.
    link.check_established(children=0 if verb is rekey_child else 1)
    link.advance(70)
    link.check_established(children=0 if verb is rekey_child else 1)


@SIDES
def test_rekey_of_a_pair_whose_answer_is_on_its_way(ladder, who):
    # one --- CREATE_CHILD_SA ---> other, which has the pair and would replace it before one has heard of it
    link = ladder().establish()
    one, other = sides(link, who)
    create_child(link, one)
    link.deliver()
    (answer,) = link.flight
    newest = max(other.sas.values(), key=lambda sa: sa.spi_in)
    link.call(other, "rekey_child", newest.child_id)
    link.deliver(1)
    assert link.read(link.flight[-1]).notify(NotifyType.TEMPORARY_FAILURE) is not None
    assert link.flight[0] is answer
    link.settle()
    link.advance(10)
    link.check_established(children=2)
    assert len(other.happened(ChildRekeyed)) == 1


@SIDES
def test_the_ike_sa_is_not_replaced_while_a_pair_is_disowned(ladder, who):
    # other's request to forget a pair is out on the old IKE SA; it must not go down with it.
    link = ladder().establish()
    one, other = sides(link, who)
    create_child(link, other)
    request = link.deliver()
    answer = link.read(link.drop())
    link.reply(request, answer.payloads[:-1])
    (disowning,) = link.flight
    link.flight.clear()
    rekey_ike(link, one)
    link.deliver()
    assert link.read(link.flight[0]).notify(NotifyType.TEMPORARY_FAILURE) is not None
    link.flight.append(disowning)
    link.settle()
    link.advance(10)
    link.check_established()
    assert len(one.happened(IkeRekeyed)) == 1


@SIDES
def test_a_lane_s_pair_that_the_peer_has_lost(ladder, who):
    # CHILD_SA_NOT_FOUND for one pair of a group: the lane gets another one in the same group.
    link = ladder(config(connection("a@x", "b@x"), lanes=2), config(connection("b@x", "a@x"), lanes=2)).establish()
    link.advance(20)
    one, _ = sides(link, who)
    first = next(sa for sa in one.sas.values() if sa.lane is None)
    lane = next(sa for sa in one.sas.values() if sa.lane is not None)
    link.call(one, "rekey_child", lane.child_id)
    link.reply(link.drop(), [Notify(NotifyType.CHILD_SA_NOT_FOUND, b"", Protocol.ESP, lane.spi_in.to_bytes(4))])
    link.settle()
    assert [sa.group for sa in one.sas.values()] == [first.group, first.group]
    assert len(one.happened(ChildEstablished)) == 3


@SIDES
def test_a_group_that_is_deleted_while_it_is_replaced(ladder, who):
    link = ladder().establish()
    one, other = sides(link, who)
    rekey_child(link, one)
    delete_child(link, one)
    link.settle()
    # The wish to delete came when the new pair was in the making; both of them go.
    link.check_established(children=0)
    assert len(one.happened(ChildClosed)) == len(other.happened(ChildClosed)) == 1


@SIDES
@pytest.mark.parametrize("kind", [NotifyType.TEMPORARY_FAILURE, NotifyType.NO_ADDITIONAL_SAS, 8191, 8192, 65535])
def test_errors_in_answer_to_a_liveness_check_are_signs_of_life(ladder, who, kind):
    # Whatever a peer says under its seal, it lives; only INVALID_SYNTAX gives the IKE SA up (section 2.21.3).
    link = ladder(
        config(connection("a@x", "b@x", dpd_delay=30)), config(connection("b@x", "a@x", dpd_delay=30))
    ).establish()
    one, _ = sides(link, who)
    link.advance(29)
    link.advance(1.5, settle=False)
    check = next(packet for packet in link.flight if packet.sender == one.name)
    link.flight.clear()
    link.reply(check, [Notify(kind)])
    assert link.flight == []
    assert one.status().last_seen == link.now
    assert one.states() == ["established"]
    assert one.happened(IkeClosed, ChildClosed, ChildFailed) == []


@SIDES
@pytest.mark.parametrize("kind", [NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.TS_UNACCEPTABLE, 8191, 40000])
def test_notifies_out_of_the_blue_change_nothing(ladder, who, kind):
    # one --- INFORMATIONAL: N(an error or a status that belongs to nothing) ---> other: an empty answer
    link = ladder().establish()
    one, other = sides(link, who)
    assert link.say(one, [Notify(kind)]).payloads == ()
    link.check_established()
    assert other.happened(IkeClosed, ChildClosed, ChildFailed) == []


@SIDES
@pytest.mark.parametrize(
    "kind", [NotifyType.INVALID_SYNTAX, NotifyType.AUTHENTICATION_FAILED, NotifyType.INVALID_IKE_SPI]
)
def test_errors_in_the_clear_end_nothing(ladder, who, kind):
    # Anybody can send them (section 2.21.4): at most the peer is asked whether it lives.
    link = ladder().establish()
    one, other = sides(link, who)
    link.advance(10)
    rekey_child(link, one)
    request = link.drop()
    header = request.header
    frame = Message(
        header.spi_i, header.spi_r, header.exchange, not header.initiator, True, header.message_id, (Notify(kind),)
    )
    link.inject(one, build_message(frame), request.target, natt=request.natt)
    assert one.states() == ["established"]
    assert one.count("unprotected-message") == 1
    # The request is sent again, as if nothing had been said.
    link.advance(1)
    link.check_established()
    assert len(one.happened(ChildRekeyed)) == 1
    assert one.happened(IkeClosed) == other.happened(IkeClosed) == []
