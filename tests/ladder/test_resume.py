"""Session resumption (RFC 5723): a ticket begins the next IKE SA where the last one was lost."""

import random
from dataclasses import replace

import pytest
from ladder_mutate import mutate
from ladder_net import LOSE, TWICE
from ladder_tickets import RESUME, crash, exchanges, resumed, settles_in_full, sides
from ladder_world import child, config, connection, pubkey_side

from rhp.ike.events import IkeClosed, InitiationFailed
from rhp.wire.auth import AUTH
from rhp.wire.cert import CERT
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.ke import KE
from rhp.wire.message import Message, build_message, parse_message
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.sa import SA


def test_a_lost_ike_sa_is_resumed(resuming):
    # a --- IKE_AUTH: .. N(TICKET_REQUEST) --->     <--- .. N(TICKET_LT_OPAQUE) --- b
    link = resuming().establish()
    given = link.read(link.sent[3]).notify(NotifyType.TICKET_LT_OPAQUE)
    assert link.read(link.sent[2]).notify(NotifyType.TICKET_REQUEST).data == b""
    assert int.from_bytes(given.data[:4]) == 15840
    suite = link.a.status().suite
    crash(link)

    # a --- IKE_SESSION_RESUME: Ni, N(TICKET_OPAQUE), N(NAT_DETECTION_*) ---> b
    before = len(link.sent)
    link.initiate()
    request = parse_message(link.deliver().datagram)
    assert (request.exchange, request.message_id, request.spi_r) == (RESUME, 0, bytes(8))
    assert request.first(SA) is request.first(KE) is None
    assert request.notify(NotifyType.TICKET_OPAQUE).data == given.data[4:]
    assert request.notify(NotifyType.NAT_DETECTION_SOURCE_IP) is not None
    assert link.b.states() == ["half-open"]
    # a <--- Nr, N(NAT_DETECTION_*) --- b
    answer = parse_message(link.deliver().datagram)
    assert (answer.exchange, answer.first(SA), answer.first(KE)) == (RESUME, None, None)
    assert len(answer.first(Nonce).data) == 32
    # a --- IKE_AUTH: IDi, IDr, AUTH, SA, TSi, TSr, N(TICKET_REQUEST) ---> b, and nobody asks a guard.
    link.a.guard = link.b.guard = None
    auth = link.read(link.deliver())
    assert auth.first(AUTH).method == 2
    link.settle()
    link.check_established()
    assert exchanges(link, before) == [RESUME, ExchangeType.IKE_AUTH]
    assert resumed(link.a) == [False, True]
    assert resumed(link.b) == [False, True]
    assert (link.a.status().suite, str(link.a.status().peer.data)) == (suite, "b'b@x'")
    assert link.b.count("ike-resumed") == 1


def test_it_can_be_resumed_again_and_again(resuming):
    link = resuming().establish()
    shown = set()
    for _ in range(4):
        crash(link).establish()
        shown |= {
            packet.datagram for packet in link.sent if packet.header.exchange == RESUME and not packet.header.response
        }
    assert resumed(link.a) == [False] + [True] * 4
    tickets = {parse_message(one).notify(NotifyType.TICKET_OPAQUE).data for one in shown}
    assert len(tickets) == 4
    link.check_established()


def test_the_path_was_lost(resuming):
    # Nobody restarts: a gives b up, b still believes in the old IKE SA until the resumed one replaces it.
    link = resuming().establish()
    old = link.b.status().ike_id
    link.lost = lambda packet: True
    link.call(link.a, "rekey_child", link.a.status().children[0].child_id)
    link.advance(40)
    link.flight.clear()
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-unresponsive"]
    link.lost = lambda packet: False
    link.establish()
    assert resumed(link.a) == [False, True]
    assert [(event.ike_id, event.reason) for event in link.b.happened(IkeClosed)] == [(old, "initial-contact")]
    link.check_established()


def test_certificates_are_not_needed_again(ladder):
    (a, policy_a), (b, policy_b) = pubkey_side("a.x", "b.x"), pubkey_side("b.x", "a.x")
    link = ladder(config(replace(a, resumption=True)), config(replace(b, resumption=True)), policy_a, policy_b)
    for side in link.sides:
        side.keep_vault()
    crash(link.establish())
    before = len(link.sent)
    link.establish()
    assert resumed(link.a) == [False, True]
    assert not any(link.read(packet).all(CERT) for packet in link.sent[before:])
    link.check_established()


@pytest.mark.parametrize("fate", [LOSE, TWICE])
@pytest.mark.parametrize("number", range(4))
def test_loss_and_duplication(resuming, fate, number):
    link = crash(resuming().establish())
    first = len(link.sent)
    link.fate = lambda packet: fate if packet.number == first + number else "deliver"
    link.initiate()
    link.settle()
    link.advance(3)
    assert resumed(link.a) == resumed(link.b) == [False, True]
    link.check_established()
    assert link.b.count("ike-resumed") == 1


def test_cookie(resuming):
    b = config(connection("b@x", "a@x", resumption=True), cookie_threshold=0)
    link = crash(resuming(b=b).establish())
    link.initiate()
    first = parse_message(link.deliver().datagram)
    # a <--- N(COOKIE) --- b, which keeps nothing
    assert link.b.states() == []
    asked = parse_message(link.deliver().datagram)
    assert (asked.exchange, asked.spi_r) == (RESUME, bytes(8))
    again = parse_message(link.flight[0].datagram)
    assert again.payloads == (asked.notify(NotifyType.COOKIE), *first.payloads[:2], *again.payloads[3:])
    link.settle()
    assert resumed(link.a) == [False, True]
    link.check_established()


def test_half_open_limit(resuming):
    link = crash(resuming().establish())
    link.b.engine.set_config(config(connection("b@x", "a@x", resumption=True), half_open_limit=0))
    link.initiate()
    link.deliver()
    assert link.b.states() == []
    assert link.b.count("half-open-limit") == 1


def test_forged_refusal_costs_no_more_than_the_ticket(resuming):
    link = crash(resuming().establish())
    link.initiate()
    asked = parse_message(link.flight[0].datagram)
    nack = Message(asked.spi_i, bytes(8), RESUME, False, True, 0, (Notify(NotifyType.TICKET_NACK),))
    link.inject(link.a, build_message(nack))
    link.settle()
    # b answered the ticket too, and forgets what became of that.
    assert link.b.states() == ["half-open", "established"]
    link.advance(40)
    settles_in_full(link)


@pytest.mark.parametrize("kind", [NotifyType.INVALID_SYNTAX, NotifyType.INVALID_MAJOR_VERSION])
def test_forged_error_is_outlived(resuming, kind):
    link = crash(resuming().establish())
    link.initiate()
    asked = parse_message(link.flight[0].datagram)
    link.inject(link.a, build_message(Message(asked.spi_i, bytes(8), RESUME, False, True, 0, (Notify(kind),))))
    link.settle()
    assert resumed(link.a) == [False, True]
    link.check_established()


def test_error_is_believed_when_nothing_better_comes(resuming):
    link = crash(resuming().establish())
    link.fate = lambda packet: LOSE if packet.header.exchange == RESUME else "deliver"
    link.initiate()
    asked = parse_message(link.flight[0].datagram)
    error = Message(asked.spi_i, bytes(8), RESUME, False, True, 0, (Notify(NotifyType.INVALID_SYNTAX),))
    link.inject(link.a, build_message(error))
    link.advance(1.9)
    assert link.a.states() == ["connecting"]
    link.advance(0.2)
    settles_in_full(link)


def test_gateway_that_ignores_tickets(resuming):
    # It may be another program by now: after 3.5 seconds a full handshake goes out, and the ticket is dropped with it.
    link = crash(resuming().establish())
    link.fate = lambda packet: LOSE if packet.header.exchange == RESUME else "deliver"
    link.initiate()
    link.advance(3.4)
    assert link.a.states() == ["connecting"]
    link.advance(0.2)
    settles_in_full(link)
    assert link.a.count("resumption-in-vain") == 1


def test_gateway_that_is_not_back_yet(resuming):
    link = crash(resuming().establish())
    link.lost = lambda packet: True
    link.initiate()
    link.advance(60)
    assert [event.reason for event in link.a.happened(InitiationFailed)] == ["no-answer"]
    assert link.a.states() == []
    link.flight.clear()
    link.lost = lambda packet: False
    # Nobody saw the ticket, so it is good for the next try.
    link.establish()
    assert resumed(link.a) == [False, True]
    link.check_established()


def test_ticket_that_was_taken_is_not_shown_again(resuming):
    link = crash(resuming().establish())
    link.initiate()
    link.deliver()
    link.deliver()
    link.lost = lambda packet: True
    link.advance(60)
    link.flight.clear()
    link.lost = lambda packet: False
    assert link.a.engine._ctx.held == {}
    before = len(link.sent)
    link.establish()
    assert RESUME not in exchanges(link, before)
    link.check_established()


@pytest.mark.parametrize("begins", ["a", "b"])
def test_rekey_brings_another_ticket(resuming, begins):
    link = resuming().establish()
    first = link.a.engine._ctx.held["t"]
    old = first.octets
    side = link.a if begins == "a" else link.b
    link.call(side, "rekey_ike", side.status().ike_id)
    # a --- N(TICKET_REQUEST) ---> b   a <--- N(TICKET_LT_OPAQUE) --- b, on the new IKE SA
    link.settle()
    held = link.a.engine._ctx.held["t"]
    assert held.octets != old
    assert held.sk_d == link.a.sa().sk_d
    assert link.b.count("ticket-issued") == 2
    # The first one is used up by that.
    assert len(link.b.engine._ctx.spent) == 1
    crash(link).establish()
    assert resumed(link.a) == [False, True]
    link.check_established()


@pytest.mark.parametrize("fate", [LOSE, TWICE])
@pytest.mark.parametrize("response", [False, True])
def test_ticket_by_itself_over_a_bad_network(resuming, fate, response):
    link = resuming().establish()
    seen = []

    def once(packet):
        message = link.read(packet)
        kinds = {NotifyType.TICKET_LT_OPAQUE} if response else {NotifyType.TICKET_REQUEST}
        if not seen and kinds & {one.type for one in message.all(Notify)}:
            seen.append(packet)
            return fate
        return "deliver"

    link.fate = once
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    link.settle()
    link.advance(5)
    assert len(seen) == 1
    assert link.b.count("ticket-issued") == 2
    crash(link).establish()
    assert resumed(link.a) == [False, True]


def test_peer_that_has_no_ticket_at_the_moment(resuming):
    link = resuming()
    link.initiate()
    for _ in range(3):
        link.deliver()
    answer = link.drop()
    message = link.read(answer)
    kept = [one for one in message.payloads if getattr(one, "type", None) != NotifyType.TICKET_LT_OPAQUE]
    later = link.seal(replace(message, payloads=(*kept, Notify(NotifyType.TICKET_ACK))))
    link.inject(link.a, later, answer.source, natt=True)
    assert link.a.engine._ctx.held == {}
    # a --- INFORMATIONAL: N(TICKET_REQUEST) ---> b, a moment later
    link.advance(10)
    assert link.a.engine._ctx.held["t"].octets
    crash(link).establish()
    assert resumed(link.a) == [False, True]


def test_nobody_asks_and_nobody_gives(ladder):
    link = ladder()
    for side in link.sides:
        side.keep_vault()
    link.establish()
    kinds = {one.type for packet in link.sent for one in link.read(packet).all(Notify)}
    assert not kinds & set(range(NotifyType.TICKET_LT_OPAQUE, NotifyType.TICKET_OPAQUE + 1))


def test_resumed_ike_sa_soon_has_keys_of_its_own(resuming):
    link = crash(resuming().establish()).establish()
    resumed_at, spi = link.now, link.a.status().spi_i
    assert 150 <= link.a.status().rekey_at - resumed_at <= 300
    before = len(link.sent)
    link.advance(300)
    assert link.a.status().spi_i != spi
    # One key exchange, and not from both sides.
    assert [link.read(p).first(KE) is not None for p in link.sent[before:]].count(True) == 2
    link.check_established()
    assert link.b.status().rekey_at > link.now + 3600


def test_childless_and_several_children(ladder):
    kids = (child("one"), child("two"))
    link = ladder(**sides(children=kids, childless="prefer"))
    for side in link.sides:
        side.keep_vault()
    link.establish()
    link.call(link.a, "create_child", link.a.status().ike_id, "one")
    link.settle()
    crash(link).establish()
    assert resumed(link.a) == [False, True]
    assert link.a.sas == link.b.sas == {}
    link.call(link.a, "create_child", link.a.status().ike_id, "two")
    link.settle()
    link.check_established()


def test_everything_goes_in_the_end(resuming):
    link = crash(resuming().establish()).establish()
    link.call(link.a, "close", link.a.status().ike_id)
    link.settle()
    link.advance(40)
    link.check_empty()
    assert link.a.engine._ctx.held == {}


@pytest.mark.parametrize("seed", range(6))
def test_damaged_messages(resuming, seed):
    # Whatever becomes of the first two messages: no fault, nothing left behind, and a way back in.
    link, chance = crash(resuming(seed=seed).establish()), random.Random(seed)
    for _ in range(15):
        link.initiate()
        for side in (link.b, link.a):
            packet = link.flight[0]
            kept = list(link.flight)
            for _ in range(20):
                link.inject(side, mutate(chance, packet.datagram), packet.source, natt=packet.natt)
            link.flight = kept
            link.deliver()
        link.settle()
        link.advance(70)
        if not link.a.states():
            link.establish()
        link.check_established()
        crash(link)
    link.advance(100)
    link.check_empty()


def test_after_additional_key_exchanges(resuming):
    # With ML-KEM on top, as two rhp nodes do by default: what a ticket stands for had it, and so has what replaces it.
    ike = ("aes128gcm16-prfsha256-x25519-ke1_mlkem768",)
    link = resuming(**sides(ike=ike)).establish()
    suite = link.a.status().suite
    assert "mlkem768" in suite
    old = link.a.engine._ctx.held["t"].octets
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.settle()
    assert link.a.engine._ctx.held["t"].octets != old
    before = len(link.sent)
    crash(link).establish()
    assert resumed(link.a) == [False, True]
    assert link.a.status().suite == suite
    assert ExchangeType.IKE_INTERMEDIATE not in exchanges(link, before)
    link.check_established()
    # The key exchange that follows soon has it again.
    link.advance(300)
    assert ExchangeType.IKE_FOLLOWUP_KE in exchanges(link, before)
    link.check_established()


def test_ticket_when_rekeys_cross(resuming):
    link = resuming().establish()
    for side in link.sides:
        link.call(side, "rekey_ike", side.status().ike_id)
    link.settle()
    link.advance(5)
    assert link.a.engine._ctx.held["t"].sk_d == link.a.sa().sk_d
    crash(link).establish()
    assert resumed(link.a) == [False, True]
    link.check_established()
