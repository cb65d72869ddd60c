"""Does the peer live? Checks when it is silent, its death, and requests that are sent again until they are given up."""

import pytest
from ladder_net import LOSE
from ladder_world import config, connection

from rhp.ike.config import Retransmit
from rhp.ike.errors import Fault
from rhp.ike.events import ChildClosed, IkeClosed
from rhp.wire.iana import ExchangeType


def link_with(ladder, a=None, b=None):
    return ladder(
        config(connection("a@x", "b@x", **{"dpd_delay": 30, **(a or {})})),
        config(connection("b@x", "a@x", **{"dpd_delay": 0, **(b or {})})),
    )


def cut(link):
    link.fate = lambda packet: LOSE


def test_life(ladder):
    link = link_with(ladder).establish()
    link.advance(29.9)
    assert len(link.sent) == 4
    # a --- INFORMATIONAL, empty ---> b, and its empty answer
    link.advance(0.2)
    check, answer = link.sent[4:]
    assert check.header.exchange == answer.header.exchange == ExchangeType.INFORMATIONAL
    assert link.read(check).payloads == link.read(answer).payloads == ()
    assert link.a.status().last_seen == pytest.approx(1030, abs=0.2)
    link.advance(300)
    assert link.a.count("liveness-checked") == 11
    link.check_established()
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []


def test_death(ladder):
    link = link_with(ladder).establish()
    cut(link)
    link.advance(30 + 31.4)
    assert link.a.states() == ["established"]
    link.advance(0.2)
    (closed,) = link.a.happened(IkeClosed)
    assert (closed.reason, closed.fault) == ("peer-unresponsive", Fault.NETWORK)
    (closed,) = link.a.happened(ChildClosed)
    assert closed.fault is Fault.NETWORK
    link.a.check_empty()
    # b does not check: it keeps the SA until it needs it.
    assert link.b.states() == ["established"]


def test_both_find_out(ladder):
    link = link_with(ladder, b={"dpd_delay": 50}).establish()
    cut(link)
    link.advance(100)
    link.check_empty()
    assert len(link.a.happened(IkeClosed)) == len(link.b.happened(IkeClosed)) == 1


def test_traffic_makes_checks_superfluous(ladder):
    link = link_with(ladder).establish()
    for _ in range(20):
        link.advance(20)
        link.call(link.a, "seen_alive", link.a.child().spi_in)
    assert link.a.count("liveness-checked") == 0
    link.call(link.a, "seen_alive", 99)
    link.advance(31)
    assert link.a.count("liveness-checked") == 1


def test_traffic_in_one_direction_only_is_no_life(ladder):
    # Section 2.4: who only sends, and hears nothing, has to ask.
    link = link_with(ladder).establish()
    cut(link)
    for _ in range(4):
        link.advance(10)
        link.call(link.a, "seen_sending", link.a.child().spi_in)
    assert link.a.count("liveness-checked") == 1
    link.advance(30)
    assert link.a.states() == []


def test_messages_of_the_peer_make_checks_superfluous(ladder):
    link = link_with(ladder, b={"dpd_delay": 20}).establish()
    link.advance(200)
    assert link.b.count("liveness-checked") == 10
    assert link.a.count("liveness-checked") == 0


def test_old_messages_are_no_sign_of_life(ladder):
    link = link_with(ladder).establish()
    old = [packet for packet in link.sent if packet.sender == "b"]
    cut(link)
    for _ in range(12):
        link.advance(5)
        for packet in old:
            link.hand_over(packet, "replayed")
    link.advance(10)
    assert link.a.states() == []


def test_forged_messages_are_no_sign_of_life(ladder):
    link = link_with(ladder).establish()
    cut(link)
    for _ in range(12):
        link.advance(5)
        forged = bytearray(link.forge(link.b, ()))
        forged[-3] ^= 0x40
        link.inject(link.a, bytes(forged), natt=True)
    link.advance(10)
    assert link.a.states() == []


def test_checks_are_off(ladder):
    link = link_with(ladder, a={"dpd_delay": 0}).establish()
    cut(link)
    link.advance(3000)
    assert link.a.states() == ["established"]
    assert len(link.sent) == 4


def test_who_wakes_asks_at_once(ladder):
    """A suspended machine's clock stands still, so by that there was life a moment ago."""
    link = link_with(ladder).establish()
    link.advance(1)
    # a --- INFORMATIONAL, empty ---> b, and its empty answer
    link.call(link.a, "awoken")
    link.settle()
    assert [link.read(packet).payloads for packet in link.sent[4:]] == [(), ()]
    assert link.a.count("liveness-checked") == 1
    cut(link)
    link.call(link.a, "awoken")
    link.call(link.a, "awoken")
    assert len(link.sent) == 7
    link.settle()
    link.advance(31.6)
    (closed,) = link.a.happened(IkeClosed)
    assert closed.reason == "peer-unresponsive"
    link.call(link.a, "awoken")
    link.a.check_empty()


def test_who_wakes_and_does_not_check_asks_nothing(ladder):
    link = link_with(ladder).establish()
    link.call(link.b, "awoken")
    link.advance(1)
    assert len(link.sent) == 4


def test_short_loss_is_survived(ladder):
    link = link_with(ladder).establish()
    cut(link)
    link.advance(30 + 20)
    assert link.a.count("retransmitted") == 5
    link.fate = lambda packet: "deliver"
    link.flight = link.sent[-1:]
    link.settle()
    link.check_established()
    link.advance(20)
    assert link.a.states() == ["established"]
    # The checks go on as before.
    link.advance(300)
    assert link.a.count("liveness-checked") == 11
    assert link.a.count("retransmitted") == 5


def test_schedule_of_retransmission(ladder):
    link = link_with(ladder).establish()
    cut(link)
    link.call(link.a, "rekey_child", link.a.child().child_id)
    start, times, seen = link.now, [], len(link.sent)
    while link.a.states() == ["established"]:
        assert link.now - start < 40
        link.advance(0.25)
        times += [link.now - start] * (len(link.sent) - seen)
        seen = len(link.sent)
    assert times == [0.5, 1.5, 3.5, 7.5, 15.5]
    assert link.now - start == 31.5
    requests = link.sent[4:]
    assert len({packet.datagram for packet in requests}) == 1, "sent again octet by octet"
    assert len(requests) == 6
    link.a.check_empty()


def test_other_schedule(ladder):
    policy = Retransmit(tries=3, base=1.0, longest=1.5)
    link = link_with(ladder, a={"retransmit": policy}).establish()
    cut(link)
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.advance(3.9)
    assert link.a.states() == ["established"]
    assert len(link.sent[4:]) == 3
    link.advance(0.2)
    assert link.a.states() == []


def test_first_contact_is_given_up(ladder):
    link = link_with(ladder)
    link.initiate()
    cut(link)
    link.advance(32)
    link.check_empty()
    assert len(link.sent) == 6


def test_no_check_while_a_request_is_out(ladder):
    # Its answer, or the want of one, says as much as a check would.
    link = link_with(ladder, a={"dpd_delay": 5}).establish()
    cut(link)
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.advance(31)
    assert link.a.count("liveness-checked") == 0
    assert link.a.states() == ["established"]
    link.advance(1)
    link.a.check_empty()
