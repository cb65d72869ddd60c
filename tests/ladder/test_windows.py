"""Windows of one, answers kept octet by octet, and old or early messages that change nothing."""

from dataclasses import replace

import pytest
from ladder_net import LOSE
from ladder_world import config, connection

from rhp.ike.events import ChildRekeyed, IkeClosed, StateChanged
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import Message
from rhp.wire.notify import Notify


def picture(side):
    """All that a message could have changed."""
    sa = side.sa()
    ids = sa.requests.next_id, sa.responses.next_id
    return side.states(), dict(side.sas), ids, sa.path, len(side.happened(ChildRekeyed, IkeClosed)), side.sizes()


def test_one_request_at_a_time(ladder):
    link = ladder().establish()
    for _ in range(4):
        link.call(link.a, "create_child", link.a.status().ike_id, "ethernet")
    outstanding = []
    while link.flight:
        outstanding.append(sum(not packet.header.response for packet in link.flight))
        link.deliver()
    assert max(outstanding) == 1
    ids = [packet.header.message_id for packet in link.sent[4:] if not packet.header.response]
    assert ids == [2, 3, 4, 5]
    link.check_established(children=5)


def test_both_directions_count_for_themselves(ladder):
    link = ladder().establish()
    for side in (link.a, link.b, link.b):
        link.call(side, "rekey_child", side.child().child_id)
        link.settle()
    requests = [packet for packet in link.sent if not packet.header.response]
    assert [packet.header.message_id for packet in requests if packet.sender == "a"] == [0, 1, 2, 3]
    assert [packet.header.message_id for packet in requests if packet.sender == "b"] == [0, 1, 2, 3]


@pytest.mark.parametrize("index", [0, 2], ids=["IKE_SA_INIT", "IKE_AUTH"])
def test_answer_of_the_handshake_is_kept(ladder, index):
    link = ladder()
    link.initiate()
    for _ in range(index):
        link.deliver()
    request = link.deliver()
    answer = link.drop()
    for _ in range(3):
        link.hand_over(request, "again")
        assert link.flight.pop().datagram == answer.datagram
    assert link.b.count("request-repeated") == 3
    assert len(link.b.table._by_spi) == 1
    link.hand_over(answer)
    link.settle()
    link.check_established()


def test_answer_of_a_later_exchange_is_kept(ladder):
    link = ladder().establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    request = link.deliver()
    answer = link.drop()
    before = picture(link.b)
    for _ in range(3):
        link.hand_over(request, "again")
        assert link.flight.pop().datagram == answer.datagram
    assert picture(link.b) == before
    link.hand_over(answer)
    link.settle()
    link.check_established()


def test_answer_goes_to_where_the_request_came_from(ladder):
    link = ladder()
    link.initiate()
    request = link.deliver()
    link.flight.clear()
    # The same IKE_SA_INIT from another port is another initiator's: it gets an SA of its own.
    link.hand_over(replace(request, source=replace(request.source, port=1234)))
    assert link.flight[0].target.port == 1234
    assert len(link.b.table._by_spi) == 2


def test_changed_retransmission_is_not_answered(ladder):
    # The last request again, but with another content: whoever made it, it is not the peer's retransmission.
    link = ladder().establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    request = link.flight[0]
    link.settle()
    changed = bytearray(link.sent[-2].datagram)
    changed[-1] ^= 1
    assert link.sent[-2].header.message_id != request.header.message_id
    link.inject(link.b, bytes(changed), link.a.status().path.local, natt=True)
    link.hand_over(request, "replayed")
    assert link.flight == []
    assert link.b.count("message-id-outside-window") == 2
    link.check_established()


def test_all_old_messages_replayed_change_nothing(ladder):
    link = ladder().establish()
    for side in (link.a, link.b):
        link.call(side, "rekey_child", side.child().child_id)
        link.settle()
        link.call(side, "rekey_ike", side.status().ike_id)
        link.settle()
    link.advance(61)
    before = [picture(side) for side in link.sides]
    for packet in [*link.sent, *reversed(link.sent)]:
        if packet.header.exchange != ExchangeType.IKE_SA_INIT:
            link.hand_over(packet, "replayed")
    # Whatever they provoked are repeated last answers and unprotected refusals: no news for anybody.
    link.settle()
    assert [picture(side) for side in link.sides] == before
    link.check_established()


def test_message_ids_ahead_of_time(ladder):
    link = ladder().establish()
    before = picture(link.b)
    now = link.a.sa().requests.next_id
    for ahead in (1, 2, 100, 0xFFFFFFFF - now):
        link.inject(link.b, link.forge(link.a, (), message_id=now + ahead), natt=True)
    assert link.flight == []
    assert picture(link.b) == before
    assert link.b.count("message-id-outside-window") == 4


def test_response_that_nobody_asked_for(ladder):
    link = ladder().establish()
    before = picture(link.a)
    sa = link.b.sa()
    for message_id in (0, 1, 2, 3, 0xFFFFFFFF):
        frame = link.frame(link.b, message_id=message_id)
        link.inject(link.a, link.seal(type(frame)(sa.spi_i, sa.spi_r, 37, False, True, message_id, ())), natt=True)
    assert link.flight == []
    assert picture(link.a) == before
    assert link.a.count("unexpected-response") == 5


def test_response_of_another_exchange(ladder):
    # a asked CREATE_CHILD_SA; an INFORMATIONAL response of the same Message ID is none to that.
    link = ladder().establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    request = link.drop()
    header = request.header
    wrong = Message(header.spi_i, header.spi_r, ExchangeType.INFORMATIONAL, False, True, header.message_id, ())
    link.inject(link.a, link.seal(wrong), request.target, natt=True)
    assert link.a.sa().requests.outstanding
    link.advance(0.6)
    link.check_established()
    assert len(link.a.happened(ChildRekeyed)) == 1


def only_refusals(link):
    """Take what was sent out of the network: all of it says that the sender knows of no such IKE SA."""
    found, link.flight = link.flight, []
    return all(link.read(packet).payloads == (Notify(NotifyType.INVALID_IKE_SPI),) for packet in found)


def test_own_messages_reflected(ladder):
    # An attacker sends us what we sent: the I flag leads to the other SPI, which is none of ours.
    link = ladder().establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.settle()
    before = [picture(side) for side in link.sides]
    for packet in list(link.sent)[2:]:
        sender = link.a if packet.sender == "a" else link.b
        link.inject(sender, packet.datagram, packet.target, natt=True)
    assert only_refusals(link)
    assert [picture(side) for side in link.sides] == before
    assert link.a.count("unknown-ike-spi") == link.b.count("unknown-ike-spi") == 3


def test_flags_of_the_other_role(ladder):
    link = ladder().establish()
    before = picture(link.b)
    for initiator, response in ((False, False), (False, True), (True, True)):
        sealed = bytearray(link.forge(link.a, (), message_id=2))
        sealed[19] = (0x08 if initiator else 0) | (0x20 if response else 0)
        link.inject(link.b, bytes(sealed), natt=True)
    assert only_refusals(link)
    assert picture(link.b) == before


def test_request_waits_while_the_guard_thinks(ladder):
    link = ladder()
    link.b.guard_waits = True
    link.initiate()
    link.settle()
    link.advance(2)
    assert link.b.count("request-waiting") == 2
    while link.b.questions:
        link.answer_guards(link.b)
    link.settle()
    link.check_established()


def test_exchange_that_does_not_belong_there(ladder):
    # IKE_AUTH on an established SA, CREATE_CHILD_SA on a half-open one, and exchanges that we do not know.
    link = ladder().establish()
    before = picture(link.b)
    for exchange in (ExchangeType.IKE_AUTH, ExchangeType.IKE_SA_INIT, 38, 43, 99, 0):
        link.inject(link.b, link.forge(link.a, (), exchange, message_id=2), natt=True)
    assert link.flight == []
    assert picture(link.b) == before
    assert link.b.count("unexpected-request") + link.b.count("bad-init-spi") + link.b.count("bad-init-message-id") == 6


def test_informational_on_a_half_open_sa(ladder):
    link = ladder()
    link.initiate()
    link.deliver()
    link.deliver()
    request = link.drop()
    frame = link.read(request)
    hasty = link.seal(type(frame)(frame.spi_i, frame.spi_r, ExchangeType.INFORMATIONAL, True, False, 1, ()))
    link.inject(link.b, hasty, natt=True)
    assert link.flight == []
    assert link.b.states() == ["half-open"]
    link.hand_over(request)
    link.settle()
    link.check_established()


@pytest.mark.parametrize("seed", range(12))
def test_bad_network(ladder, seed):
    # A third of everything is lost, a third comes twice, and the order is any; traffic keys agree in the end.
    link = ladder(config(connection("a@x", "b@x", dpd_delay=10)), seed=seed).establish()
    fates = ["deliver", LOSE, "twice"]
    link.fate = lambda packet: link.chance.choice(fates)
    for round_ in range(4):
        side = link.sides[round_ % 2]
        if side.states() == ["established"] and len(side.sas) == 1 and side.status().children[0].state == "installed":
            link.call(side, "rekey_child", side.child().child_id)
        for _ in range(4):
            link.chance.shuffle(link.flight)
            link.advance(0.7)
    link.fate = lambda packet: "deliver"
    link.advance(130)
    link.check_established()
    assert link.a.happened(IkeClosed) == []


def test_ignored_messages_are_counted_and_nothing_else(ladder):
    link = ladder().establish()
    events = [len(side.events) for side in link.sides]
    answer = link.say(link.a, [Notify(NotifyType.SET_WINDOW_SIZE, b"\x00\x00\x00\x10"), Notify(40000, b"x")])
    assert answer.payloads == ()
    assert [len(side.events) for side in link.sides] == events
    assert not any(isinstance(event, StateChanged) for event in link.b.events[events[1] :])


def test_spi_of_another_ike_sa(ladder):
    # The responder's SPI leads to the SA; the initiator's has to be its own as well.
    link = ladder().establish()
    before = picture(link.b)
    sealed = bytearray(link.forge(link.a, (), message_id=2))
    sealed[0] ^= 1
    link.inject(link.b, bytes(sealed), natt=True)
    assert link.flight == []
    assert link.b.count("wrong-spi") == 1
    assert link.b.count("integrity-check-failed") == 0
    assert picture(link.b) == before
