"""IKE_SA_INIT sent anew: COOKIE and INVALID_KE_PAYLOAD, and what an attacker can do with unprotected answers."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from ladder_net import LadderNet
from ladder_world import config, connection

from rhp.ike.errors import Fault
from rhp.ike.events import HandshakeRefused, InitiationFailed
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.ke import KE
from rhp.wire.message import Message, build_message, parse_message
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify

BOTH = "aes128gcm16-prfsha256-x25519-ecp256"


def notify_answer(request, *notifies, spi_r=bytes(8)):
    """An unprotected answer to an IKE_SA_INIT."""
    asked = parse_message(request.datagram)
    return build_message(Message(asked.spi_i, spi_r, ExchangeType.IKE_SA_INIT, False, True, 0, notifies))


def test_invalid_ke(ladder):
    a = config(connection("a@x", "b@x", ike=(BOTH,)))
    b = config(connection("b@x", "a@x", ike=("aes128gcm16-prfsha256-ecp256",)))
    link = ladder(a, b)

    # a --- SA, KE(x25519) ---> b
    link.initiate()
    first = parse_message(link.deliver().datagram)
    assert first.first(KE).method == 31
    assert link.b.states() == []

    # a <--- N(INVALID_KE_PAYLOAD, ecp256) --- b
    answer = parse_message(link.deliver().datagram)
    assert answer.notify(NotifyType.INVALID_KE_PAYLOAD).data == b"\x00\x13"
    assert answer.spi_r == bytes(8)

    # a --- SA, KE(ecp256) ---> b, with the same SPI, nonce and Message ID
    again = parse_message(link.flight[0].datagram)
    assert again.first(KE).method == 19
    assert (again.spi_i, again.message_id) == (first.spi_i, 0)
    assert again.first(Nonce) == first.first(Nonce)
    link.settle()
    assert link.a.states() == link.b.states() == ["established"]
    assert link.a.status().suite == "aes128gcm16-prfsha256-ecp256"
    assert link.b.happened(HandshakeRefused) == []
    link.check_pairs()


def test_invalid_ke_is_not_needed_where_the_method_is_acceptable(ladder):
    b = config(connection("b@x", "a@x", ike=("aes128gcm16-prfsha256-ecp256-x25519",)))
    link = ladder(config(connection("a@x", "b@x", ike=(BOTH,))), b).establish()
    assert link.a.status().suite == "aes128gcm16-prfsha256-x25519"
    assert link.b.engine.counters["invalid-ke"] == 0


def test_invalid_ke_for_a_method_that_was_not_offered(ladder):
    link = ladder()
    link.initiate()
    request = link.drop()
    link.inject(link.a, notify_answer(request, Notify(NotifyType.INVALID_KE_PAYLOAD, b"\x00\x02")))
    assert link.a.states() == ["connecting"]
    assert link.flight == []
    link.advance(0.5)
    link.settle()
    # The true responder was faster than the grace: its answer counts.
    assert link.a.states() == ["established"]


def test_invalid_ke_for_ever(ladder):
    link = ladder(a=config(connection("a@x", "b@x", ike=(BOTH,))))
    link.initiate()
    for method in [19, 31] * 4:
        if link.flight:
            request = link.drop()
        link.inject(link.a, notify_answer(request, Notify(NotifyType.INVALID_KE_PAYLOAD, method.to_bytes(2))))
    assert link.a.engine.counters["init-restarted"] == 5
    link.lost = lambda packet: True
    link.advance(3)
    (failed,) = link.a.happened(InitiationFailed)
    assert failed.reason == "too-many-restarts"


def test_cookie(ladder):
    link = ladder(b=config(connection("b@x", "a@x"), cookie_threshold=0))

    # a --- SA, KE, Ni ---> b
    link.initiate()
    first = parse_message(link.deliver().datagram)

    # a <--- N(COOKIE) --- b, which keeps nothing
    assert link.b.states() == []
    assert link.b.engine.next_deadline() is None
    cookie = parse_message(link.deliver().datagram).notify(NotifyType.COOKIE)
    assert 1 <= len(cookie.data) <= 64

    # a --- N(COOKIE), SA, KE, Ni ---> b
    again = parse_message(link.flight[0].datagram)
    assert again.payloads[0] == cookie
    assert again.payloads[1:3] == first.payloads[:2]
    link.settle()
    assert link.a.states() == link.b.states() == ["established"]
    assert link.b.engine.counters["cookie-accepted"] == 1


def test_cookie_with_a_responder_s_spi(ladder):
    # a <--- HDR(A, B), N(COOKIE): B should be zero here, but is no reason not to come back (RFC 7296 section 2.6)
    link = ladder(b=config(connection("b@x", "a@x"), cookie_threshold=0))
    link.initiate()
    link.deliver()
    answer = parse_message(link.drop().datagram)
    link.inject(link.a, build_message(replace(answer, spi_r=b"\x01" * 8)))
    link.settle()
    assert link.a.states() == link.b.states() == ["established"]
    assert link.b.engine.counters["cookie-accepted"] == 1


def test_cookie_and_invalid_ke(ladder):
    a = config(connection("a@x", "b@x", ike=(BOTH,)))
    b = config(connection("b@x", "a@x", ike=("aes128gcm16-prfsha256-ecp256",)), cookie_threshold=0)
    link = ladder(a, b).establish()
    assert link.a.states() == link.b.states() == ["established"]
    # The cookie is kept for the next start, so it is asked for once (section 2.6.1).
    assert link.b.engine.counters["cookie-asked"] == 1
    assert link.b.engine.counters["cookie-accepted"] == 2


def test_cookies_begin_at_the_threshold(ladder):
    link = ladder(b=config(connection("b@x", "%any"), cookie_threshold=3))
    strangers = LadderNet(seed=7)
    for _ in range(5):
        strangers.initiate()
        link.inject(link.b, strangers.drop().datagram)
    assert link.b.states() == ["half-open"] * 3
    assert link.b.engine.counters["cookie-asked"] == 2
    link.flight.clear()
    # With a cookie somebody who can be reached still gets in.
    link.establish()
    assert link.a.states() == ["established"]
    # Once the half-open ones are forgotten, nobody needs a cookie.
    link.advance(40)
    assert link.b.states() == ["established"]


def test_cookie_of_somebody_else(ladder):
    link = ladder(b=config(connection("b@x", "a@x"), cookie_threshold=0))
    link.initiate()
    link.deliver()
    answer = link.deliver()
    request = link.drop()
    link.inject(link.b, request.datagram, source=replace(answer.target, ip=ip_address("203.0.113.9")))
    assert link.b.states() == []
    assert link.b.engine.counters["cookie-wrong"] == 1


def test_cookie_for_ever(ladder):
    link = ladder()
    link.initiate()
    for number in range(9):
        if link.flight:
            request = link.drop()
        link.inject(link.a, notify_answer(request, Notify(NotifyType.COOKIE, bytes((number,)) * 8)))
    link.lost = lambda packet: True
    link.advance(3)
    assert link.a.happened(InitiationFailed)[0].reason == "too-many-restarts"
    assert link.a.states() == []


@pytest.mark.parametrize("size", [0, 65])
def test_cookie_of_a_wrong_size(ladder, size):
    link = ladder()
    link.initiate()
    request = link.flight[0]
    link.inject(link.a, notify_answer(request, Notify(NotifyType.COOKIE, bytes(size))))
    link.settle()
    assert link.a.states() == ["established"]
    assert link.a.engine.counters["init-restarted"] == 0


def test_half_open_limit(ladder):
    link = ladder(b=config(connection("b@x", "%any"), half_open_limit=2))
    strangers = LadderNet(seed=7)
    for _ in range(4):
        strangers.initiate()
        link.inject(link.b, strangers.drop().datagram)
    assert link.b.states() == ["half-open"] * 2
    assert link.b.engine.counters["half-open-limit"] == 2


def test_forged_refusal_does_not_stop_a_handshake(ladder):
    link = ladder()
    link.initiate()
    request = link.flight[0]
    for kind in (NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_SYNTAX, NotifyType.AUTHENTICATION_FAILED):
        link.inject(link.a, notify_answer(request, Notify(kind)))
    assert link.a.engine.counters["unprotected-error"] == 3
    link.settle()
    assert link.a.states() == ["established"]
    assert link.a.happened(InitiationFailed) == []
    link.advance(10)
    assert link.a.states() == ["established"]


def test_refusal_is_believed_when_nothing_else_comes(ladder):
    link = ladder()
    link.initiate()
    request = link.drop()
    link.lost = lambda packet: True
    link.inject(link.a, notify_answer(request, Notify(NotifyType.INVALID_SYNTAX)))
    link.advance(1.9)
    assert link.a.states() == ["connecting"]
    link.advance(0.2)
    (failed,) = link.a.happened(InitiationFailed)
    assert (failed.reason, failed.fault) == ("peer-said-invalid-syntax", Fault.PEER)


def test_answer_with_a_suite_that_was_not_offered(ladder):
    link = ladder()
    link.initiate()
    request = link.deliver()
    answer = link.drop()
    told = parse_message(answer.datagram)
    (proposal,) = told.payloads[0].proposals
    weaker = tuple(replace(one, id=2) if one.type == 2 else one for one in proposal.transforms)
    forged = replace(told.payloads[0], proposals=(replace(proposal, transforms=weaker),))
    link.inject(link.a, build_message(replace(told, payloads=(forged, *told.payloads[1:]))))
    assert link.a.states() == ["connecting"]
    link.hand_over(answer)
    link.settle()
    assert link.a.states() == ["established"]
    assert request.header.message_id == 0


def test_bad_public_value(ladder):
    link = ladder()
    link.initiate()
    request = link.drop()
    asked = parse_message(request.datagram)
    zero = tuple(KE(one.method, bytes(32)) if isinstance(one, KE) else one for one in asked.payloads)
    link.inject(link.b, build_message(replace(asked, payloads=zero)))
    assert link.b.states() == []
    assert link.b.happened(HandshakeRefused)[0].reason == "bad-public-value"
