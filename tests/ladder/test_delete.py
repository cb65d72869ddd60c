"""DELETE of a Child SA and of an IKE SA, from each side, and what is left of it."""

from ladder_net import LOSE
from ladder_wishes import SIDES, sides
from ladder_world import config, connection

from rhp.ike.errors import Fault
from rhp.ike.events import ChildClosed, IkeClosed
from rhp.wire.delete import Delete
from rhp.wire.iana import Protocol


@SIDES
def test_child(ladder, who):
    link = ladder().establish()
    one, other = sides(link, who)
    pair_one, pair_other = one.child(), other.child()

    # one --- INFORMATIONAL: D(ESP, its inbound SPI) ---> other
    link.call(one, "delete_child", pair_one.child_id)
    assert link.read(link.flight[0]).payloads == (Delete(Protocol.ESP, (pair_one.spi_in.to_bytes(4),)),)
    assert len(one.sas) == 1
    link.deliver()
    assert other.sas == {}

    # one <--- D(ESP, the other half) --- other
    assert link.read(link.flight[0]).payloads == (Delete(Protocol.ESP, (pair_other.spi_in.to_bytes(4),)),)
    link.deliver()
    link.check_established(children=0)
    assert [event.reason for event in one.happened(ChildClosed)] == ["closed"]
    assert [event.reason for event in other.happened(ChildClosed)] == ["deleted-by-peer"]
    assert all(event.fault is Fault.NONE for side in link.sides for event in side.happened(ChildClosed))
    assert one.happened(IkeClosed) == other.happened(IkeClosed) == []


@SIDES
def test_ike(ladder, who):
    link = ladder().establish()
    one, other = sides(link, who)
    link.call(one, "close", one.status().ike_id)
    # one --- INFORMATIONAL: D(IKE) ---> other
    assert link.read(link.flight[0]).payloads == (Delete(Protocol.IKE, ()),)
    assert one.states() == ["deleting"]
    link.deliver()
    assert other.states() == [] and other.sas == {}
    # one <--- empty --- other
    assert link.read(link.flight[0]).payloads == ()
    link.deliver()
    assert one.states() == [] and one.sas == {}
    assert [event.reason for event in one.happened(IkeClosed)] == ["closed"]
    assert [event.reason for event in other.happened(IkeClosed)] == ["deleted-by-peer"]
    assert len(one.happened(ChildClosed)) == len(other.happened(ChildClosed)) == 1
    # What the other one keeps of its answer goes as well.
    link.advance(33)
    link.check_empty()


def test_both_sides_delete_the_child(ladder):
    # a --- D ---> . <--- D --- b: both answers are empty (section 1.4.1)
    link = ladder().establish()
    for side in link.sides:
        link.call(side, "delete_child", side.child().child_id)
    link.deliver()
    link.deliver()
    assert [link.read(packet).payloads for packet in link.flight] == [(), ()]
    link.settle()
    link.check_established(children=0)
    assert len(link.a.happened(ChildClosed)) == len(link.b.happened(ChildClosed)) == 1


def test_both_sides_delete_the_ike_sa(ladder):
    link = ladder().establish()
    for side in link.sides:
        link.call(side, "close", side.status().ike_id)
    link.settle()
    link.advance(33)
    link.check_empty()
    # It was both sides' wish.
    assert [event.reason for side in link.sides for event in side.happened(IkeClosed)] == ["closed", "closed"]


@SIDES
def test_delete_of_the_ike_sa_gets_no_answer(ladder, who):
    link = ladder().establish()
    one, _ = sides(link, who)
    link.fate = lambda packet: LOSE
    link.call(one, "close", one.status().ike_id)
    assert one.states() == ["deleting"]
    # Three goodbyes, not half a minute.
    link.advance(4)
    one.check_empty()
    assert len([packet for packet in link.sent if packet.sender == one.name and packet.number >= 4]) == 3
    assert [event.reason for event in one.happened(IkeClosed)] == ["closed"]


@SIDES
def test_answer_to_the_delete_gets_lost(ladder, who):
    # The other side has nothing left of the IKE SA but its answer, and gives it again.
    link = ladder().establish()
    one, other = sides(link, who)
    link.call(one, "close", one.status().ike_id)
    link.deliver()
    lost = link.drop()
    assert other.states() == []
    link.advance(0.6)
    assert link.sent[-1].datagram == lost.datagram
    assert one.states() == []
    assert other.count("request-repeated") == 1


def test_delete_twice_is_one_delete(ladder):
    link = ladder().establish()
    ike_id = link.a.status().ike_id
    link.call(link.a, "close", ike_id)
    link.call(link.a, "close", ike_id)
    child_id = link.a.child().child_id
    link.call(link.a, "delete_child", child_id)
    assert len(link.flight) == 1
    link.settle()
    link.advance(33)
    link.check_empty()
    assert len(link.a.happened(IkeClosed)) == 1


def test_child_deleted_twice(ladder):
    link = ladder().establish()
    child_id = link.a.child().child_id
    link.call(link.a, "delete_child", child_id)
    link.call(link.a, "delete_child", child_id)
    link.settle()
    link.check_established(children=0)
    assert len(link.sent) == 6


def test_unknown_child(ladder):
    # a --- D(ESP, unknown) ---> b: an empty answer, and nothing happens
    link = ladder().establish()
    answer = link.say(link.a, [Delete(Protocol.ESP, (b"\xde\xad\xbe\xef",))])
    assert answer.payloads == ()
    assert link.b.count("delete-of-unknown-child") == 1
    link.check_established()


def test_several_children_in_one_message(ladder):
    link = ladder().establish()
    for _ in range(3):
        link.call(link.a, "create_child", link.a.status().ike_id, "ethernet")
        link.settle()
    spis = sorted(link.a.sas)
    theirs = {link.a.sas[spi].spi_out.to_bytes(4) for spi in spis[:3]}
    answer = link.say(link.a, [Delete(Protocol.ESP, tuple(spi.to_bytes(4) for spi in (*spis[:3], 0xDEAD)))])
    assert set(answer.first(Delete).spis) == theirs
    assert len(link.b.sas) == 1
    assert len(link.b.happened(ChildClosed)) == 3


def test_delete_of_both_at_once(ladder):
    # A DELETE of the IKE SA takes the children along, whatever else the message names.
    link = ladder().establish()
    spi = link.a.child().spi_in.to_bytes(4)
    answer = link.say(link.a, [Delete(Protocol.ESP, (spi,)), Delete(Protocol.IKE, ())])
    assert answer is not None
    assert link.b.states() == [] and link.b.sas == {}
    assert len(link.b.happened(ChildClosed)) == len(link.b.happened(IkeClosed)) == 1


def test_delete_of_ah_is_no_affair_of_ours(ladder):
    link = ladder().establish()
    answer = link.say(link.a, [Delete(Protocol.AH, (link.a.child().spi_in.to_bytes(4),))])
    assert answer.payloads == ()
    link.check_established()


def test_close_all(ladder):
    b = config(connection("b@x", "%any"))
    link = ladder(b=b, c=config(connection("c@x", "b@x")))
    link.initiate(link.a)
    link.initiate(link.c, to=link.b)
    link.settle()
    assert link.b.states() == ["established"] * 2
    # A half-open one goes without a word.
    link.b.engine.initiate("t", link.now, link.b.path_to(link.c))
    link.collect(link.b)
    link.drop()
    link.call(link.b, "close_all")
    link.settle()
    assert link.a.states() == link.b.states() == link.c.states() == []
    link.advance(33)
    link.check_empty()


def test_close_all_with_nothing_there(ladder):
    link = ladder()
    link.call(link.a, "close_all")
    link.check_empty()


def test_keys_are_wiped(ladder):
    link = ladder().establish()
    secrets = [side.sa().sk_d for side in link.sides]
    assert all(any(secret.expose()) for secret in secrets)
    link.call(link.a, "close", link.a.status().ike_id)
    link.settle()
    assert not any(any(secret.expose()) for secret in secrets)


def test_handshake_keys_are_wiped(ladder):
    link = ladder()
    link.initiate()
    link.deliver()
    link.deliver()
    shakes = [side.sa().handshake for side in link.sides]
    secrets = [secret for shake in shakes for secret in (shake.sk_pi, shake.sk_pr)]
    assert all(any(secret.expose()) for secret in secrets)
    link.settle()
    assert all(side.sa().handshake is None for side in link.sides)
    assert not any(any(secret.expose()) for secret in secrets)
