"""Messages of strangers: what is answered without an SA, how often, and what an unprotected message can do."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from ladder_wishes import SIDES, sides
from ladder_world import config, connection

from rhp.ike.events import ChildClosed, IkeClosed
from rhp.ike.path import Endpoint
from rhp.wire.header import Header
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import Message, build_message, parse_message
from rhp.wire.notify import Notify

STRANGER = Endpoint(ip_address("203.0.113.66"), 500)
INFORMATIONAL = ExchangeType.INFORMATIONAL


def unknown(*, response=False, initiator=True, exchange=INFORMATIONAL, spi=b"unknown!"):
    """An unprotected message for an IKE SA that is not there."""
    return build_message(Message(b"whatever", spi, exchange, initiator, response, 7, ()))


def version(major, *, response=False, extra=b"", initiator=True):
    header = Header(
        b"whatever", bytes(8), 0, major, 0, ExchangeType.IKE_SA_INIT, initiator, response, 0, 28 + len(extra)
    )
    return header.build() + extra


def answers(link):
    """What has been sent, which is taken out of the network."""
    found, link.flight = link.flight, []
    return [parse_message(packet.datagram) for packet in found]


def test_unknown_ike_spi(ladder):
    link = ladder()
    # stranger --- INFORMATIONAL ---> b, stranger <--- N(INVALID_IKE_SPI) --- b
    link.inject(link.b, unknown(), STRANGER)
    assert link.flight[0].target == STRANGER
    (answer,) = answers(link)
    assert answer.payloads == (Notify(NotifyType.INVALID_IKE_SPI),)
    assert (answer.spi_i, answer.spi_r, answer.message_id) == (b"whatever", b"unknown!", 7)
    assert answer.response and not answer.initiator
    link.b.check_empty()


def test_responses_are_not_answered(ladder):
    # Else two engines could keep telling each other for ever.
    link = ladder()
    link.inject(link.b, unknown(response=True), STRANGER)
    link.inject(link.b, unknown(response=True, initiator=False), STRANGER)
    link.inject(link.b, version(3, response=True), STRANGER)
    assert link.flight == []
    assert link.b.count("unknown-ike-spi") == 2


def test_our_refusals_do_not_answer_each_other(ladder):
    link = ladder()
    for side in link.sides:
        for datagram in (unknown(), version(4), unknown(exchange=ExchangeType.IKE_AUTH)):
            link.inject(side, datagram)
    assert len(link.flight) == 6
    link.settle(limit=20)
    link.check_empty()


def test_higher_major_version(ladder):
    link = ladder()
    link.inject(link.b, version(3, extra=b"whatever it means"), STRANGER)
    (packet,) = link.flight
    (answer,) = answers(link)
    assert answer.payloads == (Notify(NotifyType.INVALID_MAJOR_VERSION),)
    assert answer.response
    assert packet.header.major == 2


def test_lower_major_version(ladder):
    link = ladder()
    link.inject(link.b, version(1), STRANGER)
    assert link.flight == []
    assert link.b.count("bad-version") == 1


def test_higher_version_for_an_sa_that_lives(ladder):
    link = ladder().establish()
    datagram = bytearray(link.forge(link.a, ()))
    datagram[17] = 0x30
    link.inject(link.b, bytes(datagram), natt=True)
    assert [answer.payloads for answer in answers(link)] == [(Notify(NotifyType.INVALID_MAJOR_VERSION),)]
    link.check_established()


def test_minor_version_and_reserved_bits_are_not_looked_at(ladder):
    link = ladder()
    link.initiate()
    datagram = bytearray(link.drop().datagram)
    datagram[17] |= 0x07
    datagram[19] |= 0x17
    link.inject(link.b, bytes(datagram))
    assert link.b.states() == ["half-open"]


@pytest.mark.parametrize("rate", [3, 20])
def test_rate_of_answers(ladder, rate):
    link = ladder(b=config(connection("b@x", "a@x"), answer_rate=rate))
    for number in range(100):
        link.inject(link.b, (unknown(), version(5))[number % 2], STRANGER)
    assert len(answers(link)) == rate
    assert link.b.count("answer-withheld") == 100 - rate
    link.advance(1)
    for _ in range(100):
        link.inject(link.b, unknown(), STRANGER)
    assert len(answers(link)) == rate
    # The rate is for strangers: who shakes hands is served.
    link.establish()
    link.check_established()


def test_refused_handshakes_are_rationed(ladder):
    link = ladder(b=config(connection("b@x", "a@x", ike=("aes256gcm16-prfsha384-ecp384",)), answer_rate=2))
    for number in range(10):
        link.initiate()
        link.inject(link.b, link.drop(-1).datagram, replace(STRANGER, port=number + 1))
    assert len(answers(link)) == 2
    assert link.b.count("no-proposal-chosen") == 10
    link.b.check_empty()


def test_garbage(ladder):
    link = ladder().establish()
    seen = link.chance
    for length in [*range(60), 100, 1000, 65000]:
        link.inject(link.b, seen.randbytes(length), STRANGER)
        link.inject(link.b, bytes(length), STRANGER)
    assert link.b.count("short-header") == 56
    link.flight.clear()
    link.check_established()


# What an unprotected message does to an SA that lives: it makes us ask, and no more (section 2.21.4).


def refusals(link):
    """Unprotected errors for b's IKE SA, as an attacker would forge them who has seen its SPIs."""
    sa = link.b.sa()
    for kind in (NotifyType.INVALID_IKE_SPI, NotifyType.INVALID_SYNTAX, NotifyType.AUTHENTICATION_FAILED):
        for response in (True, False):
            for message_id in (sa.requests.next_id, sa.responses.next_id, 77):
                yield build_message(
                    Message(sa.spi_i, sa.spi_r, INFORMATIONAL, True, response, message_id, (Notify(kind),))
                )


def test_unprotected_errors_are_hints(ladder):
    link = ladder().establish()
    link.advance(20)
    for datagram in refusals(link):
        link.inject(link.b, datagram, natt=True)
    # b --- INFORMATIONAL, empty ---> a: one question, however many hints
    assert [packet.sender for packet in link.flight] == ["b"]
    assert link.read(link.flight[0]).payloads == ()
    assert link.b.count("checked-after-hint") == 1
    link.settle()
    link.check_established()
    assert link.b.happened(IkeClosed, ChildClosed) == []


def test_hints_right_after_a_sign_of_life_are_ignored(ladder):
    link = ladder().establish()
    for datagram in refusals(link):
        link.inject(link.b, datagram, natt=True)
    assert link.flight == []
    assert link.b.count("unprotected-message") > 0


def test_hints_do_not_make_a_storm(ladder):
    link = ladder().establish()
    for _ in range(200):
        link.advance(0.1)
        for datagram in refusals(link):
            link.inject(link.b, datagram, natt=True)
        link.settle()
    assert link.b.count("checked-after-hint") <= 7
    link.check_established()


def test_dead_peer_is_found_sooner_by_a_hint(ladder):
    # a has started anew and tells so: b asks, gets no authentic answer, and gives up.
    link = ladder().establish()
    link.advance(20)
    link.a.restart()
    link.call(link.b, "rekey_child", link.b.child().child_id)
    link.advance(40)
    assert link.b.states() == []
    assert link.a.count("unknown-ike-spi") > 0
    assert len(link.b.happened(IkeClosed)) == 1


def test_unprotected_answer_does_not_end_an_exchange(ladder):
    link = ladder().establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    request = link.drop()
    header = request.header
    for kind in (NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_IKE_SPI, NotifyType.TEMPORARY_FAILURE):
        forged = Message(header.spi_i, header.spi_r, header.exchange, False, True, header.message_id, (Notify(kind),))
        link.inject(link.a, build_message(forged), request.target, natt=True)
    assert link.a.sa().requests.outstanding
    link.advance(0.6)
    link.check_established()
    assert link.a.count("child-rekeyed") == 1


def test_unprotected_answer_to_ike_auth(ladder):
    link = ladder()
    link.initiate()
    link.deliver()
    link.deliver()
    request = link.flight[0]
    header = request.header
    refusal = (Notify(NotifyType.AUTHENTICATION_FAILED),)
    forged = Message(header.spi_i, header.spi_r, header.exchange, False, True, header.message_id, refusal)
    link.inject(link.a, build_message(forged), request.target, natt=True)
    assert link.a.states() == ["authenticating"]
    link.settle()
    link.check_established()


# ESP for an SPI that nobody knows (section 1.5).


def test_unknown_esp_of_a_stranger(ladder):
    link = ladder()
    path = replace(link.b.path_to(link.a), remote=STRANGER)
    link.call(link.b, "unknown_spi", 0xDEADBEEF, path)
    assert link.flight[0].target == STRANGER
    (report,) = answers(link)
    assert report.payloads == (Notify(NotifyType.INVALID_SPI, b"\xde\xad\xbe\xef"),)
    assert not report.response
    for _ in range(100):
        link.call(link.b, "unknown_spi", 0xDEADBEEF, path)
    assert len(link.flight) <= 20
    link.flight.clear()
    link.b.check_empty()


def test_unknown_esp_of_a_peer(ladder):
    # b --- INFORMATIONAL, protected: N(INVALID_SPI) ---> a; one report at a time is enough
    link = ladder().establish()
    for _ in range(5):
        link.call(link.b, "unknown_spi", 0xDEADBEEF, link.b.status().path)
    (packet,) = link.flight
    assert link.read(packet).notify(NotifyType.INVALID_SPI).data == b"\xde\xad\xbe\xef"
    link.settle()
    # a has sent nothing there, and keeps what it has.
    assert link.a.count("spi-lost-by-peer") == 1
    link.check_established()
    assert link.a.happened(ChildClosed) == []


def test_a_pair_that_the_peer_has_lost(ladder):
    # a <--- INFORMATIONAL, protected: N(INVALID_SPI) --- b; a --- its answer, then D(that pair) ---> b
    link = ladder().establish()
    lost = link.a.child()
    link.inject(link.a, link.forge(link.b, (Notify(NotifyType.INVALID_SPI, lost.spi_out.to_bytes(4)),)))
    assert link.a.count("spi-lost-by-peer") == 1
    assert link.a.status().children[0].state == "deleting"
    link.settle()
    link.check_established(children=0)
    assert [event.reason for event in link.a.happened(ChildClosed)] == ["lost-by-peer"]


@SIDES
def test_esp_that_comes_a_moment_before_its_sa_is_there_is_no_reason_to_report_it(ladder, who):
    # one: ESP for an SPI that nobody knows ...   one <--- and then what made it; the lanes' word comes last
    link = ladder().establish()
    one, other = sides(link, who)
    for _ in range(5):
        link.call(one, "unknown_spi", one.child().spi_in, one.status().path)
    assert link.flight == []
    assert one.count("early-esp") == 5 and one.count("unknown-esp-spi") == 0
    link.settle()
    link.check_established()
    assert other.count("spi-lost-by-peer") == 0
    assert [side.happened(ChildClosed) for side in link.sides] == [[], []]


def test_report_of_a_pair_that_is_being_replaced(ladder):
    # Stray packets on the old pair are no surprise then.
    link = ladder().establish()
    old = link.a.child()
    link.call(link.a, "rekey_child", old.child_id)
    link.inject(link.a, link.forge(link.b, (Notify(NotifyType.INVALID_SPI, old.spi_out.to_bytes(4)),)))
    link.settle()
    link.check_established()
    assert link.a.count("spi-lost-by-peer") == 1
    assert link.a.happened(ChildClosed) == []


def test_a_pair_that_is_reported_again_and_again_is_deleted_once(ladder):
    # a has a request out that b does not answer;   a <--- N(INVALID_SPI), fifty times --- b
    link = ladder().establish()
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    assert link.drop().sender == "a"
    report = (Notify(NotifyType.INVALID_SPI, link.a.child().spi_out.to_bytes(4)),)
    for _ in range(50):
        link.inject(link.a, link.forge(link.b, report))
    assert link.a.count("spi-lost-by-peer") == 50
    assert len(link.a.sa().queue) == 1


def test_report_of_a_pair_that_is_no_longer_ours_changes_nothing(ladder):
    link = ladder().establish()
    answer = link.say(link.a, [Notify(NotifyType.INVALID_SPI, b"\xde\xad\xbe\xef")])
    assert answer.payloads == ()
    answer = link.say(link.a, [Notify(NotifyType.INVALID_SPI, b"\xde\xad")])
    assert answer.payloads == ()
    link.check_established()


def test_report_from_outside_is_a_hint(ladder):
    # A peer that has started anew cannot seal any more: its INVALID_SPI makes us ask.
    link = ladder().establish()
    link.advance(20)
    report = build_message(
        Message(bytes(8), bytes(8), INFORMATIONAL, True, False, 0, (Notify(NotifyType.INVALID_SPI, b"1234"),))
    )
    link.inject(link.b, report, STRANGER)
    assert link.flight == []
    path = link.b.status().path
    link.inject(link.b, report, path.remote, natt=True)
    assert [packet.target for packet in link.flight] == [path.remote]
    assert link.b.count("checked-after-hint") == 1
    link.settle()
    link.check_established()
