"""Both sides replace the same SA at once: the figures of RFC 7296 sections 2.8.1 and 2.8.2, message by message.

The seeds make one side's exchange hold the lowest nonce in some runs and the other side's in others; the tests that
follow it ask the messages which.
"""

import pytest
from ladder_net import LOSE
from ladder_wishes import SIDES, create_child, delete_child, held_up, rekey_child, rekey_ike, sides
from ladder_world import child, config, connection

from rhp.ike.config import Retransmit
from rhp.ike.events import ChildClosed, ChildEstablished, ChildFailed, IkeClosed, IkeRekeyed
from rhp.wire.delete import Delete
from rhp.wire.iana import NotifyType, Protocol
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify

SEEDS = pytest.mark.parametrize("seed", range(1, 7))


def nonces(link, *packets):
    return [link.read(packet).first(Nonce).data for packet in packets]


def winner(link, requests, answers):
    """Whose exchange stays: the one without the lowest of the four nonces."""
    of_a, of_b = (min(nonces(link, request, answers[side])) for side, request in requests.items())
    return (link.b, link.a) if of_a < of_b else (link.a, link.b)


def deletes(link, packet):
    return [spi for delete in link.read(packet).all(Delete) for spi in delete.spis]


def spi(number):
    return number.to_bytes(4)


def cross(link, verb):
    """Both requests are on their way, then both answers: what each side has in flight, by who began."""
    verb(link, link.a)
    verb(link, link.b)
    requests = {packet.sender: packet for packet in link.flight}
    link.deliver()
    link.deliver()
    answers = {"a": link.flight[0], "b": link.flight[1]}
    assert [answers["a"].sender, answers["b"].sender] == ["b", "a"]
    return requests, answers


@SEEDS
def test_child(ladder, seed):
    link = ladder(seed=seed).establish()
    old = {side.name: side.child() for side in link.sides}

    # a --- N(REKEY_SA), SA, Ni1 ---> . <--- N(REKEY_SA), SA, Ni2 --- b: each answers as usual
    requests, answers = cross(link, rekey_child)
    assert all(link.read(answer).first(Nonce) is not None for answer in answers.values())
    assert [len(side.sas) for side in link.sides] == [2, 2]
    for side in link.sides:
        assert side.count("child-rekeys-crossed") == 1
        # Nobody sends on a pair that may be the one too many.
        assert [sa.outbound_active for sa in side.sas.values()] == [True, False]

    # a <--- SA, Nr1 --- . --- SA, Nr2 ---> b: three pairs for a moment; the nonces tell
    stays, goes = winner(link, requests, answers)
    link.deliver()
    link.deliver()
    assert [len(side.sas) for side in link.sides] == [3, 3]

    # Who began what stays deletes the old pair, the other one what it began itself.
    last = {packet.sender: packet for packet in link.flight}
    assert deletes(link, last[stays.name]) == [spi(old[stays.name].spi_in)]
    (too_many,) = deletes(link, last[goes.name])
    assert too_many not in (spi(old[goes.name].spi_in), spi(goes.table.child_by_id(old[goes.name].child_id).spi_in))
    assert not goes.sas[int.from_bytes(too_many)].outbound_active
    link.settle()
    assert [deletes(link, packet) != [] for packet in link.sent[-2:]] == [True, True]
    link.check_established()
    for side in link.sides:
        assert side.child().child_id == old[side.name].child_id
        assert side.child().outbound_active
        assert side.happened(ChildClosed, ChildFailed, IkeClosed) == []
        assert len(side.happened(ChildEstablished)) == 1
    # It is over: nobody comes back for anything.
    sent = len(link.sent)
    link.advance(80)
    assert len(link.sent) == sent


@SEEDS
@SIDES
def test_child_and_the_request_of_one_side_is_late(ladder, seed, who):
    # one --- N(REKEY_SA) ---x; the other one rekeys and deletes the old pair meanwhile
    link = ladder(seed=seed).establish()
    one, other = sides(link, who)
    late = held_up(link, rekey_child, one, other)
    assert deletes(link, link.flight[0]) != []
    link.settle()
    # Now it arrives: that pair is not there any more, which one has known all along (section 2.8.1).
    link.hand_over(late)
    notify = link.read(link.flight[0]).notify(NotifyType.CHILD_SA_NOT_FOUND)
    assert notify.protocol == Protocol.ESP
    link.settle()
    link.check_established()
    assert all(side.child().outbound_active for side in link.sides)
    for side in link.sides:
        assert side.happened(ChildClosed, ChildFailed) == []
        assert len(side.happened(ChildEstablished)) == 1


@SIDES
def test_child_and_the_request_comes_while_the_old_pair_is_being_deleted(ladder, who):
    link = ladder().establish()
    one, other = sides(link, who)
    late = held_up(link, rekey_child, one, other)
    # other has its DELETE of the old pair out when one's request arrives.
    link.hand_over(late)
    assert link.read(link.flight[-1]).notify(NotifyType.TEMPORARY_FAILURE) is not None
    link.flight.reverse()
    link.settle()
    link.check_established()
    assert one.count("peer-busy") == 0
    link.advance(60)
    link.check_established()


@SEEDS
def test_traffic_on_the_pair_that_goes_is_taken_and_moves_nobody(ladder, seed):
    link = ladder(seed=seed).establish()
    requests, answers = cross(link, rekey_child)
    _, goes = winner(link, requests, answers)
    link.deliver()
    link.deliver()
    led = {side.name: side.table.child_by_id(side.happened(ChildEstablished)[0].child_id) for side in link.sides}
    for side in link.sides:
        for pair in list(side.sas.values()):
            if pair.spi_in != led[side.name].spi_in and not pair.outbound_active:
                link.call(side, "first_inbound", pair.spi_in)
                assert not side.sas[pair.spi_in].outbound_active
    # On the one that stays it does.
    link.call(goes, "first_inbound", led[goes.name].spi_in)
    assert goes.sas[led[goes.name].spi_in].outbound_active
    link.settle()
    link.check_established()


@SEEDS
@SIDES
def test_the_peer_never_deletes_its_part(ladder, seed, who):
    # Whatever the other one ought to delete, one deletes after a minute itself.
    slow = {"retransmit": Retransmit(tries=100, base=5.0, longest=5.0), "dpd_delay": 0}
    link = ladder(
        config(connection("a@x", "b@x", **slow)), config(connection("b@x", "a@x", **slow)), seed=seed
    ).establish()
    one, other = sides(link, who)
    cross(link, rekey_child)
    link.deliver()
    link.deliver()
    link.lost = lambda packet: packet.sender == other.name and not packet.header.response
    link.settle()
    link.advance(58)
    assert len(one.sas) == 2
    link.advance(4)
    assert len(one.sas) == 1
    assert one.child().outbound_active
    assert one.happened(ChildClosed) == []


@SEEDS
def test_ike(ladder, seed):
    link = ladder(seed=seed).establish()
    old = link.a.status()
    pairs = {side.name: dict(side.sas) for side in link.sides}

    # a --- SA(IKE), Ni1, KE ---> . <--- SA(IKE), Ni2, KE --- b: each answers as usual
    requests, answers = cross(link, rekey_ike)
    for side in link.sides:
        assert side.count("ike-rekeys-crossed") == 1
        # The old one speaks for the children until it is known which of the new ones does.
        assert side.status().spi_i == old.spi_i
        assert len(side.table._by_spi) == 2

    stays, goes = winner(link, requests, answers)
    link.deliver()
    link.deliver()
    assert [len(side.table._by_spi) for side in link.sides] == [3, 3]
    assert link.a.status().spi_i == link.b.status().spi_i != old.spi_i
    assert (stays.status().role, goes.status().role) == ("initiator", "responder")

    # Who began what stays deletes the old IKE SA, the other one the new one that it began itself.
    last = {packet.sender: link.read(packet) for packet in link.flight}
    assert all(message.payloads == (Delete(Protocol.IKE, ()),) for message in last.values())
    assert last[stays.name].spi_i == old.spi_i
    assert last[goes.name].spi_i not in (old.spi_i, goes.status().spi_i)
    link.settle()
    link.check_established()
    for side in link.sides:
        assert len(side.table._by_spi) == 1
        assert side.sas == pairs[side.name]
        assert len(side.happened(IkeRekeyed)) == 1
        assert side.happened(IkeClosed, ChildClosed) == []
        assert all(child.sa is side.sa() for child in side.sa().children.values())
    # The children work on it, from both sides.
    for side in link.sides:
        rekey_child(link, side)
        link.settle()
        link.check_established()


@SIDES
@pytest.mark.parametrize("first", ["refusal", "delete"])
def test_ike_and_only_one_side_notices(ladder, who, first):
    # one --- SA(IKE) ---x; the other one finishes its own rekey and deletes the old IKE SA (section 2.8.2)
    link = ladder().establish()
    one, other = sides(link, who)
    pairs = dict(one.sas)
    late = held_up(link, rekey_ike, one, other)
    (delete,) = link.flight
    assert link.read(delete).payloads == (Delete(Protocol.IKE, ()),)
    link.hand_over(late)
    assert link.read(link.flight[-1]).notify(NotifyType.TEMPORARY_FAILURE) is not None
    if first == "refusal":
        link.flight.reverse()
    link.deliver()
    # By either of them one learns that its own try is over.
    assert one.status().spi_i == other.status().spi_i
    assert one.status().role == "responder"
    link.settle()
    link.advance(61)
    link.check_established()
    assert one.sas == pairs
    for side in link.sides:
        assert len(side.table._by_spi) == 1
        assert len(side.happened(IkeRekeyed)) == 1
        assert side.happened(IkeClosed) == []


@SIDES
def test_ike_and_what_waited_behind_our_own_try(ladder, who):
    # one's further wishes go to the IKE SA that the other one made, as soon as its own try is over.
    link = ladder().establish()
    one, other = sides(link, who)
    rekey_ike(link, one)
    create_child(link, one)
    late = link.flight.pop()
    rekey_ike(link, other)
    link.settle()
    link.check_established(children=2)
    link.hand_over(late)
    link.settle()
    link.check_established(children=2)
    assert one.happened(ChildFailed) == []


@SIDES
def test_ike_and_the_new_one_is_used_before_our_answer_is_here(ladder, who):
    # The other one knows which IKE SA stays and uses it for a Child SA; one's answer is still on its way.
    link = ladder(seed=seed_where(ladder, who)).establish()
    one, other = sides(link, who)
    _, answers = cross(link, rekey_ike)
    mine = answers[one.name]
    link.flight.remove(mine)
    link.settle()
    create_child(link, other)
    delete_child(link, other)
    link.settle()
    link.hand_over(mine)
    link.settle()
    link.advance(70)
    assert len(one.sas) == len(other.sas) == 1
    link.check_established()
    assert all(len(side.table._by_spi) == 1 for side in link.sides)


def seed_where(ladder, who):
    """A seed with which the other side's exchange is the one that stays."""
    for seed in range(1, 50):
        link = ladder(seed=seed).establish()
        requests, answers = cross(link, rekey_ike)
        if winner(link, requests, answers)[0] is not sides(link, who)[0]:
            return seed
    raise AssertionError("no such seed")


@SIDES
def test_ike_and_the_peer_dies_over_it(ladder, who):
    # one has the other's successor, and no answer to its own request ever comes.
    link = ladder(
        config(connection("a@x", "b@x", dpd_delay=20)), config(connection("b@x", "a@x", dpd_delay=20))
    ).establish()
    one, _ = sides(link, who)
    cross(link, rekey_ike)
    link.fate = lambda packet: LOSE
    link.advance(120)
    link.check_empty()
    assert [event.reason for event in one.happened(IkeClosed)] == ["peer-unresponsive"]


@SIDES
def test_closing_during_simultaneous_ike_rekeys(ladder, who):
    link = ladder().establish()
    one, _ = sides(link, who)
    cross(link, rekey_ike)
    link.call(one, "close", one.status().ike_id)
    link.settle()
    link.advance(100)
    link.check_empty()
    assert [len(side.happened(IkeClosed)) for side in link.sides] == [1, 1]


def test_a_third_request_is_one_too_many(ladder):
    # While a collision of IKE rekeys is open nobody may begin a further one on the old IKE SA.
    link = ladder().establish()
    requests, _ = cross(link, rekey_ike)
    message = link.read(requests["b"])
    answer = link.ask(link.a, link.forge(link.b, message.payloads, 36, message_id=1))
    assert answer.notify(NotifyType.TEMPORARY_FAILURE) is not None


def test_rekey_asked_for_twice_happens_once(ladder):
    link = ladder().establish()
    rekey_ike(link, link.a)
    rekey_ike(link, link.a)
    link.settle()
    link.check_established()
    assert len(link.a.happened(IkeRekeyed)) == 1


@SIDES
def test_with_fresh_key_exchanges(ladder, who):
    children = (child(esp=("aes128gcm16-x25519",)),)
    link = ladder(
        config(connection("a@x", "b@x", children=children)), config(connection("b@x", "a@x", children=children))
    ).establish()
    cross(link, rekey_child)
    link.settle()
    link.check_established()


@SEEDS
def test_with_a_pair_for_each_lane(ladder, seed):
    link = ladder(
        config(connection("a@x", "b@x"), lanes=2), config(connection("b@x", "a@x"), lanes=2), seed=seed
    ).establish()
    link.advance(20)
    link.check_established(children=2)
    places = {side.name: {(sa.child_id, sa.group, sa.lane) for sa in side.sas.values()} for side in link.sides}
    for number in range(2):
        for side in link.sides:
            pair = sorted(side.sas.values(), key=lambda sa: sa.child_id)[number]
            link.call(side, "rekey_child", pair.child_id)
        link.settle()
    link.advance(20)
    link.check_established(children=2)
    for side in link.sides:
        assert {(sa.child_id, sa.group, sa.lane) for sa in side.sas.values()} == places[side.name]
        assert all(sa.outbound_active for sa in side.sas.values())
        assert side.count("child-rekeys-crossed") >= 1


@SIDES
def test_a_refusal_after_the_peer_has_replaced_it_means_nothing(ladder, who):
    link = ladder().establish()
    one, other = sides(link, who)
    rekey_child(link, one)
    mine = link.drop()
    rekey_child(link, other)
    link.settle()
    link.reply(mine, [Notify(NotifyType.NO_PROPOSAL_CHOSEN)])
    assert one.happened(ChildFailed, ChildClosed) == []
    link.settle()
    link.check_established()
    sent = len(link.sent)
    link.advance(80)
    assert len(link.sent) == sent


def test_a_successor_is_not_replaced_before_it_is_known_to_stay(ladder):
    link = ladder().establish()
    link.advance(1)

    # a --- CREATE_CHILD_SA: SA, Ni, KE ---> b, which has begun the same: b keeps the new one as a rival of its own
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.deliver()

    # a <--- SA, Nr, KE --- b; a knows nothing of b's request, and begins anew on the new IKE SA
    link.deliver(1)
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    assert [packet.sender for packet in link.flight] == ["b", "a", "a"]
    link.deliver(2)
    assert link.b.count("busy") == 1

    link.settle()
    link.advance(10)
    link.check_established()
    link.check_no_faults()
