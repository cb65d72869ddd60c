"""Messages in fragments (RFC 7383): cut, collected, lost, doubled, mixed up, and cut again where the path is narrow."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder_cuts import cut, fragment, is_fragment, join, place
from ladder_net import LadderNet
from ladder_world import config, connection, pubkey_side

from rhp.ike.events import ChildEstablished, IkeClosed, IkeEstablished
from rhp.wire.auth import AUTH
from rhp.wire.cert import CERT
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import parse_message
from rhp.wire.notify import Notify

SIZE = 200
"""An IP packet so small that IKE_AUTH of PSK peers takes several; smaller than any real one."""
PIECES = 3
HEADERS = 20 + 8 + 4
WHOLE = 1280


def small(size=SIZE, **more):
    a = config(connection("a@x", "b@x"), fragment_size=size, **more)
    b = config(connection("b@x", "a@x"), fragment_size=size, **more)
    return a, b


def large(**more):
    """Certificates, whose IKE_AUTH takes more than one packet of 576 octets."""
    (a, policy_a), (b, policy_b) = pubkey_side("a@x", "b@x"), pubkey_side("b@x", "a@x")
    return config(a, **more), config(b, **more), policy_a, policy_b


def noted(message):
    """A request whose content has no effect and some length."""
    return replace(message, payloads=(Notify(40_000, bytes(300)),))


def test_long_messages_travel_in_fragments_and_short_ones_do_not(ladder):
    link = ladder(*large(fragment_size=576))
    link.initiate()

    # a --- IKE_SA_INIT: ..., N(IKEV2_FRAGMENTATION_SUPPORTED) ---> b
    # a <--- the same --- b
    for _ in range(2):
        packet = link.deliver()
        assert parse_message(packet.datagram).notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) is not None

    # a --- IKE_AUTH: SKF 1, SKF 2, ... ---> b
    request = list(link.flight)
    assert [place(packet) for packet in request] == [(number, len(request)) for number in range(1, len(request) + 1)]
    assert len(request) > 1
    assert all(len(packet.datagram) + HEADERS <= 576 for packet in request)
    assert [parse_message(packet.datagram).message_id for packet in request] == [1] * len(request)
    message = join(link, request)
    assert message.first(AUTH) is not None and message.first(CERT) is not None
    for _ in request[:-1]:
        link.deliver()
        assert link.b.states() == ["half-open"]
    link.deliver()

    # a <--- SKF 1, SKF 2, ... --- b
    assert link.b.states() == ["established"]
    assert all(is_fragment(packet) for packet in link.flight)
    link.settle()
    link.check_established()
    assert link.b.sizes()["fragments"] == link.a.sizes()["fragments"] == 0

    # What is short goes in one piece.
    link.call(link.a, "close", link.a.status().ike_id)
    assert not is_fragment(link.flight[0])


def test_nothing_is_cut_for_a_peer_that_takes_no_fragments(ladder):
    a, b, policy_a, policy_b = large(fragment_size=576)
    for one, other in ((a, replace(b, fragment_size=0)), (replace(a, fragment_size=0), b)):
        link = ladder(one, other, policy_a, policy_b).establish()
        link.check_established()
        assert not any(is_fragment(packet) for packet in link.sent)
        answer = parse_message(link.sent[1].datagram)
        assert answer.notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) is None
        link.inject(link.b, cut(link, noted(link.frame(link.a)), 2)[0], link.a.status().path.local, natt=True)
        assert link.b.count("fragment-unsupported") == 1


def test_a_handshake_of_the_usual_size_is_not_cut(ladder):
    link = ladder().establish()
    assert not any(is_fragment(packet) for packet in link.sent)


def test_a_new_ike_sa_cuts_as_the_old_one_did(ladder):
    link = ladder(*small()).establish()
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.settle()
    before = len(link.sent)
    link.call(link.b, "rekey_child", link.b.child().child_id)
    link.settle()
    assert any(is_fragment(packet) for packet in link.sent[before:])
    link.check_established()


# Loss, doubles and order.


def in_flight(ladder, answered):
    """IKE_AUTH, or its answer, in flight as fragments."""
    link = ladder(*small())
    link.initiate()
    link.deliver()
    link.deliver()
    if answered:
        while len(link.flight) > 0 and not link.flight[0].header.response:
            link.deliver()
    assert len(link.flight) == PIECES
    assert all(is_fragment(packet) for packet in link.flight)
    return link


def check_up(link):
    assert link.flight == []
    link.check_established()
    for side in link.sides:
        assert len(side.happened(IkeEstablished)) == len(side.happened(ChildEstablished)) == 1
        assert side.happened(IkeClosed) == []
        assert side.sizes()["fragments"] == 0


@pytest.mark.parametrize("answered", [False, True], ids=["request", "response"])
@pytest.mark.parametrize("order", list(permutations(range(PIECES))))
def test_any_order(ladder, order, answered):
    link = in_flight(ladder, answered)
    link.flight = [link.flight[index] for index in order]
    link.settle()
    check_up(link)


@pytest.mark.parametrize("answered", [False, True], ids=["request", "response"])
@pytest.mark.parametrize("index", range(PIECES))
def test_one_fragment_is_lost(ladder, index, answered):
    link = in_flight(ladder, answered)
    link.drop(index)
    link.settle()
    assert link.a.states() == ["authenticating"]
    # All fragments are one transmission: they are sent again together.
    link.advance(0.6)
    assert link.a.count("retransmitted") == 1
    check_up(link)
    if not answered:
        assert link.b.count("fragment-doubled") == index


@pytest.mark.parametrize("answered", [False, True], ids=["request", "response"])
@pytest.mark.parametrize("index", range(PIECES))
def test_one_fragment_is_doubled(ladder, index, answered):
    link = in_flight(ladder, answered)
    twin = link.flight[index]
    link.hand_over(twin, "twin")
    link.settle()
    check_up(link)
    link.hand_over(twin, "late")
    link.settle()
    check_up(link)


def test_only_the_first_fragment_has_the_answer_sent_again(ladder):
    link = in_flight(ladder, answered=False)
    request = list(link.flight)
    for _ in request:
        link.deliver()
    answer = [packet.datagram for packet in link.flight]
    for packet in request[1:]:
        link.hand_over(packet, "again")
    assert len(link.flight) == len(answer)
    assert link.b.count("fragment-of-the-past") == len(request) - 1
    link.hand_over(request[0], "again")
    assert [packet.datagram for packet in link.flight] == answer * 2
    link.settle()
    check_up(link)


@pytest.mark.parametrize("seed", range(8))
def test_heavy_loss_and_reordering(ladder, seed):
    link = ladder(*small(), seed=seed)
    link.initiate()
    link.lost = lambda packet: link.chance.random() < 0.25
    for _ in range(60):
        link.advance(0.5, settle=False)
        link.chance.shuffle(link.flight)
        link.settle()
        link.chance.shuffle(link.flight)
    link.lost = lambda packet: False
    link.advance(40)
    assert link.a.sizes()["fragments"] == link.b.sizes()["fragments"] == 0
    if link.a.states() == ["established"]:
        link.check_pairs()


# A path that carries less than expected.


def narrow_path(link, longest=576):
    link.lost = lambda packet: len(packet.datagram) + HEADERS > longest


def test_a_request_that_gets_no_answer_is_cut_smaller(ladder):
    link = ladder(*large())
    narrow_path(link)
    link.initiate()
    link.settle()
    assert link.a.states() == ["authenticating"]
    link.advance(3)
    assert link.a.count("fragments-recut") == 1
    # The peer answers in pieces as small as those of the request.
    check_up(link)
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.settle()
    check_up(link)


def test_an_answer_that_does_not_arrive_is_cut_smaller(ladder):
    # Only the way back is narrow: the request arrives at once, in large pieces.
    link = ladder(*large(fragment_size=1000))
    link.lost = lambda packet: packet.sender == "b" and len(packet.datagram) + HEADERS > 576
    link.initiate()
    link.settle()
    assert link.b.states() == ["established"] and link.a.states() == ["authenticating"]
    link.advance(3)
    check_up(link)
    assert link.b.count("request-repeated") == 2
    assert len(link.b.happened(IkeEstablished)) == 1


def test_later_pieces_of_the_first_cut_are_not_taken(ladder):
    link = ladder(*large(fragment_size=700))
    link.lost = lambda packet: is_fragment(packet) and place(packet)[0] == place(packet)[1] and link.elapsed() < 1.4
    link.initiate()
    link.settle()
    first_cut = [packet for packet in link.sent if is_fragment(packet)]
    link.lost = lambda packet: is_fragment(packet) and place(packet)[0] == 2
    link.advance(2)
    assert link.a.count("fragments-recut") == 1
    # There are more of them now, also where fewer would do: pieces of two cuts must never be joined.
    assert place(first_cut[0]) == (1, 2) and place(link.sent[-1])[1] == 3
    link.hand_over(first_cut[-1], "late")
    assert link.b.count("fragment-outdated") == 1
    assert link.b.states() == ["half-open"]
    link.lost = lambda packet: False
    link.advance(3)
    check_up(link)


# What a peer could send.


@pytest.fixture
def up(ladder):
    return ladder().establish()


def fragments_of(link, pieces, payloads=None):
    frame = noted(link.frame(link.a))
    if payloads is not None:
        frame = replace(frame, payloads=payloads)
    return cut(link, frame, pieces)


def give(link, datagram):
    """From a to b, on the path of their IKE SA; the answer, if one comes of it."""
    return link.ask(link.b, datagram)


def test_fragments_are_joined_to_the_message_they_were(up):
    parts = fragments_of(up, 5)
    assert [give(up, part) for part in parts[:-1]] == [None] * 4
    assert up.b.sizes()["fragments"] == 1
    answer = give(up, parts[-1])
    assert answer is not None and answer.response and answer.payloads == ()
    assert up.b.sizes()["fragments"] == 0


def test_the_higher_total_counts(up):
    frame = noted(up.frame(up.a))
    coarse, fine = cut(up, frame, 2), cut(up, frame, 4)
    assert give(up, coarse[0]) is None
    assert give(up, fine[1]) is None
    # What came of the coarser cut is gone, and what still comes of it is not taken.
    assert give(up, coarse[1]) is None
    assert up.b.count("fragment-outdated") == 1
    answers = [give(up, fine[index]) for index in (3, 0, 2)]
    assert answers[:2] == [None, None] and answers[2] is not None


pieces = st.tuples(st.integers(1, 6), st.integers(0, 5), st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(pieces, max_size=60))
def test_any_pieces_in_any_order_make_the_message_or_nothing(found):
    """Pieces of six cuts of one request, repeated, mixed up and some of them damaged, against a model of the rules."""
    link = LadderNet().establish()
    frame = noted(link.frame(link.a))
    cuts = {total: cut(link, frame, total) for total in range(1, 7)}
    done, total, have = False, 0, set()
    for pieces, index, good in found:
        index %= pieces
        part = bytearray(cuts[pieces][index])
        if not good:
            part[-1] ^= 1
        answer = give(link, bytes(part))
        if done or not good:
            # Afterwards the first piece has the answer sent again, whatever cut it is of.
            assert (answer is not None) == (done and good and index == 0)
            continue
        if pieces > total:
            total, have = pieces, set()
        if pieces == total:
            have.add(index)
        done = len(have) == total
        assert (answer is not None) == done
        assert link.b.sizes()["fragments"] == (0 if done else bool(have))
    assert link.b.states() == ["established"]
    link.check_no_faults()


def test_a_message_in_one_piece_is_as_good_as_one_in_many(up):
    frame = noted(up.frame(up.a))
    assert give(up, cut(up, frame, 3)[0]) is None
    assert give(up, up.seal(frame)) is not None
    assert up.b.sizes()["fragments"] == 0
    only = fragments_of(up, 1)
    assert give(up, only[0]) is not None


def test_a_forged_fragment_takes_no_memory_and_harms_no_message(up):
    parts = fragments_of(up, 3)
    for index, part in enumerate(parts):
        forged = bytearray(part)
        forged[-1] ^= 1
        assert give(up, bytes(forged)) is None
        # Numbers are covered by the seal, too.
        forged = bytearray(part)
        forged[35] = 9
        assert give(up, bytes(forged)) is None
        assert (give(up, part) is not None) == (index == 2)
    assert up.b.count("integrity-check-failed") == 6


@pytest.mark.parametrize(("number", "total"), [(0, 2), (3, 2), (1, 0), (0, 0)])
def test_impossible_numbers(up, number, total):
    part = bytearray(fragments_of(up, 2)[0])
    part[32:36] = number.to_bytes(2) + total.to_bytes(2)
    assert give(up, bytes(part)) is None
    assert up.b.count("bad-fragment-number") == 1
    assert up.b.sizes()["fragments"] == 0


def test_too_many_fragments(up):
    part = fragments_of(up, 65, (Notify(40_000, bytes(1000)),))[0]
    assert give(up, part) is None
    assert up.b.count("too-many-fragments") == 1
    assert up.b.sizes()["fragments"] == 0


def test_a_message_that_is_too_long(up):
    frame = up.frame(up.a)
    for number in range(1, 8):
        assert give(up, fragment(up, frame, number, 8, bytes(9000), 41)) is None
    assert give(up, fragment(up, frame, 8, 8, bytes(9000), 41)) is None
    assert up.b.count("fragments-too-long") == 1
    assert up.b.sizes()["fragments"] == 0
    assert up.b.states() == ["established"]


def test_an_unfinished_message_is_forgotten_after_a_while(up):
    parts = fragments_of(up, 3)
    give(up, parts[0])
    up.advance(29)
    give(up, parts[1])
    assert up.b.sizes()["fragments"] == 1
    up.advance(2)
    assert up.b.sizes()["fragments"] == 0
    assert up.b.count("fragments-expired") == 1
    # The whole of it again is taken.
    assert [give(up, part) is not None for part in (parts[2], parts[1], parts[0])] == [False, False, True]


def test_fragments_that_make_no_message_are_invalid_syntax(up):
    frame = up.frame(up.a)
    assert give(up, fragment(up, frame, 1, 2, b"\xff" * 20, 41)) is None
    answer = give(up, fragment(up, frame, 2, 2, b"\xff" * 20))
    assert answer.notify(NotifyType.INVALID_SYNTAX) is not None


def test_an_sa_that_ends_takes_its_fragments_along(up):
    give(up, fragments_of(up, 3)[0])
    up.call(up.b, "close", up.b.status().ike_id)
    up.settle()
    assert up.b.sizes()["fragments"] == 0
    up.advance(60)
    up.check_empty()


def test_bombs_of_strangers_leave_room_for_peers(ladder):
    link = ladder().establish()
    good = fragments_of(link, 3)
    give(link, good[0])

    # a --- IKE_SA_INIT ---> b, fifty times, and then 56 kB of a message that never ends on each.
    for _ in range(50):
        link.initiate()
        link.deliver()
        answer = parse_message(link.deliver().datagram)
        request = link.drop()
        frame = replace(answer, exchange=ExchangeType.IKE_AUTH, response=False, message_id=1, initiator=True)
        for number in range(1, 9):
            bomb = fragment(link, frame, number, 64, bytes(7000), 35)
            link.inject(link.b, bomb, request.source, natt=request.natt)
    shelves = link.b.engine._ctx.fragments
    assert shelves.strangers.held <= 2 << 20
    assert link.b.count("fragments-evicted") > 5
    assert len(shelves.peers) == 1

    # The peer that was there before goes on as if nothing was.
    sa = next(one for one in link.a.table.sas() if one.established_at is not None)
    for part in good[1:]:
        link.inject(link.b, part, sa.path.local, natt=True)
    assert link.flight[-1].header.response
    link.flight.clear()
    link.advance(80)
    assert link.b.sizes()["fragments"] == 0


def test_fragments_of_ike_sa_init_are_refused(ladder):
    link = ladder()
    link.initiate()
    first = bytearray(link.drop().datagram)
    first[16] = 53
    link.inject(link.b, bytes(first))
    assert link.b.states() == []
    assert link.b.sizes()["fragments"] == 0


def test_fragments_of_an_exchange_that_is_not_due(up):
    frame = replace(noted(up.frame(up.a)), exchange=ExchangeType.IKE_AUTH)
    assert give(up, cut(up, frame, 2)[0]) is None
    assert up.b.count("unexpected-request") == 1
    assert up.b.sizes()["fragments"] == 0
