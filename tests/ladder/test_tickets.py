"""Tickets that are good for nothing (RFC 5723): forged, foreign, expired, used, stolen, or of another policy."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from ladder_tickets import RESUME, crash, crash_by_silence, exchanges, refused, resumed, settles_in_full
from ladder_world import config, connection, pubkey_side

from rhp.crypto.proposal import parse_ike_proposal
from rhp.ike import resumption
from rhp.ike.events import AuthenticationFailed
from rhp.ike.path import Endpoint
from rhp.wire.auth import AUTH
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.identity import IDi
from rhp.wire.message import Message, build_message, parse_message
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify

SERVED = (ip_network("192.0.2.0/24"),)


def test_the_gateway_has_lost_its_keys(resuming):
    link = resuming().establish()
    crash(link)
    link.b.keep_vault(2)
    refused(link, "ticket-unreadable")
    settles_in_full(link)


def test_the_gateway_keeps_no_keys_any_more(resuming):
    link = crash(resuming().establish())
    link.b.vault = None
    link.b.restart()
    refused(link, "ticket-unreadable")
    settles_in_full(link)
    assert link.a.count("ticket-denied-by-peer") == 1
    crash_by_silence(link)
    link.establish()
    assert resumed(link.a) == [False, False, False]


def test_key_rotation(resuming):
    link = crash(resuming().establish())
    old = link.b.vault
    link.b.keep_vault(2)
    new = replace(link.b.vault, crash=old.crash, tickets=(link.b.vault.tickets[0], old.tickets[0]))
    link.b.vault = new
    link.b.restart()
    # The key before the newest still opens; the new ticket is sealed by the newest.
    link.establish()
    assert resumed(link.a) == [False, True]
    crash(link)
    link.b.vault = replace(new, tickets=new.tickets[:1])
    link.b.restart()
    link.establish()
    assert resumed(link.a) == [False, True, True]


def test_ticket_expires(resuming):
    link = crash(resuming().establish())
    # The gateway's date decides; the client's clock stood still.
    link.b.years = timedelta(hours=13)
    refused(link, "ticket-expired")
    settles_in_full(link)


def test_client_does_not_show_what_is_over(resuming):
    link = crash(resuming().establish())
    link.advance(15840)
    before = len(link.sent)
    link.establish()
    assert RESUME not in exchanges(link, before)
    link.check_established()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "other"}, "ticket-connection-gone"),
        ({"resumption": False}, "ticket-connection-gone"),
        ({"remote_addrs": ("203.0.113.0/24",)}, "ticket-connection-gone"),
        ({"proposals": "aes256gcm16-prfsha256-x25519"}, "ticket-suite-refused"),
        ({"remote": "a@y"}, "ticket-policy-changed"),
        ({"local": "c@x"}, "ticket-policy-changed"),
    ],
)
def test_policy_has_changed(resuming, change, reason):
    link = crash(resuming().establish())
    made = connection(change.get("local", "b@x"), change.get("remote", "a@x"), resumption=True)
    more = {key: change[key] for key in ("name", "resumption") if key in change}
    if "remote_addrs" in change:
        more["remote_addrs"] = tuple(map(ip_network, change["remote_addrs"]))
    if "proposals" in change:
        more["proposals"] = (parse_ike_proposal(change["proposals"]),)
    link.b.config = config(replace(made, **more))
    link.b.restart()
    refused(link, reason)


def test_another_connection_knows_the_peer_better_by_now(resuming):
    wide, narrow = (connection("b@x", "*@x", resumption=True), connection("b@x", "a@x", name="a", resumption=True))
    link = crash(resuming(b=config(wide)).establish())
    link.b.config = config(wide, narrow)
    link.b.restart()
    refused(link, "ticket-policy-changed")


def test_other_credentials_are_another_policy(ladder):
    (a, policy_a), (b, policy_b) = pubkey_side("a.x", "b.x"), pubkey_side("b.x", "a.x")
    link = ladder(config(replace(a, resumption=True)), config(replace(b, resumption=True)), policy_a, policy_b)
    for side in link.sides:
        side.keep_vault()
    crash(link.establish())
    # Whoever vouched for a is no longer believed.
    other, _ = pubkey_side("b.x", "a.x", trusts="another CA")
    link.b.config = config(replace(other, resumption=True))
    link.b.restart()
    refused(link, "ticket-policy-changed")
    link.settle()
    assert link.b.happened(AuthenticationFailed)[0].reason == "certificate-rejected"


def test_ticket_of_another_realm(resuming):
    link = crash(resuming().establish())
    foreign = resuming(seed=9).establish()
    ticket = foreign.read(foreign.sent[3]).notify(NotifyType.TICKET_LT_OPAQUE).data[4:]
    link.a.engine._ctx.held["t"].octets = ticket
    refused(link, "ticket-unreadable")
    settles_in_full(link)


@pytest.mark.parametrize("kind", ["empty", "short", "long", "head", "name", "id", "body", "tag"])
def test_forged_tickets(resuming, kind):
    link = crash(resuming().establish())
    held = link.a.engine._ctx.held["t"]
    true = held.octets

    def flipped(at):
        return true[:at] + bytes((true[at] ^ 1,)) + true[at + 1 :]

    held.octets = {
        "empty": b"\0",
        "short": true[:30],
        "long": true + bytes(3000),
        "head": flipped(0),
        "name": flipped(3),
        "id": flipped(12),
        "body": flipped(40),
        "tag": flipped(len(true) - 1),
    }[kind]
    refused(link, "ticket-unreadable")
    settles_in_full(link)


def test_request_without_ticket_or_nonce(resuming):
    link = crash(resuming().establish())
    link.initiate()
    message = parse_message(link.drop().datagram)
    for missing in (Nonce, Notify):
        left = tuple(one for one in message.payloads if not isinstance(one, missing))
        link.inject(link.b, build_message(replace(message, payloads=left)))
    assert link.b.states() == []
    assert link.b.count("incomplete-resume") == 2


def test_replayed_request(resuming):
    # An eavesdropper sends the client's message again: while the IKE SA is half-open it gets the same answer,
    # afterwards the ticket is spent.
    link = crash(resuming().establish())
    link.initiate()
    request = link.deliver()
    answer = link.flight[0]
    link.hand_over(request)
    assert link.flight[1].datagram == answer.datagram
    assert link.b.states() == ["half-open"]
    link.settle()
    link.check_established()
    # From elsewhere, and with another SPI, as a thief would.
    replayed = replace(parse_message(request.datagram), spi_i=b"thief!!!")
    link.inject(link.b, build_message(replayed), Endpoint(ip_address("203.0.113.9"), 500))
    assert parse_message(link.drop().datagram).notify(NotifyType.TICKET_NACK) is not None
    assert link.b.count("ticket-spent") == 1
    link.check_established()


def test_stolen_ticket_leads_nowhere_and_harms_nobody(resuming):
    # The thief is first, but has no SK_d. The client's own use of the ticket is not disturbed.
    link = crash(resuming().establish())
    link.initiate()
    request = link.flight[0]
    stolen = replace(parse_message(request.datagram), spi_i=b"thief!!!")
    thief = Endpoint(ip_address("203.0.113.9"), 500)
    link.inject(link.b, build_message(stolen), thief)
    answer = parse_message(link.flight.pop().datagram)
    assert link.b.states() == ["half-open"]
    frame = Message(b"thief!!!", answer.spi_r, ExchangeType.IKE_AUTH, True, False, 1, (IDi(2, b"a@x"),))
    link.inject(link.b, build_message(frame), thief)
    assert link.b.states() == ["half-open"]
    link.settle()
    assert resumed(link.a) == [False, True]
    link.advance(60)
    assert link.b.states() == ["established"]
    link.check_established()


def test_ticket_used_twice_at_once(resuming):
    # A client that holds the keys and is not honest: two handshakes with one ticket, one IKE SA.
    link = crash(resuming().establish())
    held = link.a.engine._ctx.held["t"]
    copy = replace(held, sk_d=type(held.sk_d)(held.sk_d.expose()))
    link.initiate()
    link.a.engine._ctx.held["t"] = copy
    link.initiate()
    for _ in range(4):
        link.deliver()
    assert link.b.states() == ["half-open"] * 2
    link.settle()
    assert resumed(link.b) == [False, True]
    assert link.b.count("ticket-spent") == 1
    assert len(link.b.happened(AuthenticationFailed)) == 1
    link.advance(40)
    assert link.b.states() == ["established"]


def test_ticket_is_bound_to_the_identity(resuming):
    # a's own ticket, but another name in IKE_AUTH: whoever holds a ticket cannot become somebody else.
    b = config(connection("b@x", "*@x", resumption=True))
    link = crash(resuming(b=b).establish())
    link.initiate()
    link.deliver()
    link.deliver()
    request = link.drop()
    message = link.read(request)
    payloads = tuple(IDi(one.id_type, b"c@x") if isinstance(one, IDi) else one for one in message.payloads)
    link.inject(link.b, link.seal(replace(message, payloads=payloads)), request.source, natt=True)
    assert [event.reason for event in link.b.happened(AuthenticationFailed)] == ["wrong-identity"]
    assert link.b.states() == []


def test_wrong_proof(resuming):
    link = crash(resuming().establish())
    link.initiate()
    link.deliver()
    link.deliver()
    request = link.drop()
    message = link.read(request)
    for payload in (AUTH(2, bytes(32)), AUTH(1, message.first(AUTH).data)):
        payloads = tuple(payload if isinstance(one, AUTH) else one for one in message.payloads)
        forged = link.seal(replace(message, payloads=payloads))
    link.inject(link.b, forged, request.source, natt=True)
    assert [event.reason for event in link.b.happened(AuthenticationFailed)] == ["wrong-key"]
    # The ticket is not spent by that.
    assert len(link.b.engine._ctx.spent) == 0


@pytest.mark.parametrize(("source", "served"), [("192.0.2.77", True), ("203.0.113.9", False)])
def test_the_proof_comes_from_an_address_that_is_not_served(resuming, source, served):
    link = crash(resuming(b=config(connection("b@x", "a@x", resumption=True, remote_addrs=SERVED))).establish())
    # a --- IKE_SESSION_RESUME ---> b, which serves a's address, and back
    link.initiate()
    link.deliver()
    link.deliver()
    # a --- IKE_AUTH ---> b, but from elsewhere: the connection's addresses hold here as in any handshake
    proof = link.flight.pop(0)
    assert proof.header.exchange == ExchangeType.IKE_AUTH
    link.inject(link.b, proof.datagram, Endpoint(ip_address(source), 4500), natt=True)
    assert link.b.states() == (["established"] if served else [])
    assert [event.reason for event in link.b.happened(AuthenticationFailed)] == [] if served else ["address-not-served"]
    assert len(link.b.sas) == served
    assert len(link.b.engine._ctx.spent) == served, "a ticket that opened nothing is not used up"


@pytest.mark.parametrize("ends", ["a", "b"])
def test_orderly_end_takes_the_ticket_along(resuming, ends):
    link = resuming().establish()
    side = link.a if ends == "a" else link.b
    held = link.a.engine._ctx.held["t"]
    octets, copy = held.octets, replace(held, sk_d=type(held.sk_d)(held.sk_d.expose()))
    link.call(side, "close", side.status().ike_id)
    link.settle()
    link.advance(40)
    link.check_empty()
    assert link.a.engine._ctx.held == {}
    # Not even a client that kept it can use it: who was sent away has to prove itself anew.
    link.a.engine._ctx.held["t"] = copy
    assert copy.octets == octets
    refused(link, "ticket-spent")


def test_other_gateway_does_not_see_the_ticket(ladder):
    a = config(connection("a@x", "%any", resumption=True))
    b, c = (config(connection(name, "a@x", resumption=True)) for name in ("b@x", "c@x"))
    link = ladder(a, b, c=c)
    for side in link.sides:
        side.keep_vault()
    crash(link.establish())
    before = len(link.sent)
    link.initiate(link.a, to=link.c)
    link.settle()
    assert RESUME not in exchanges(link, before)
    assert link.c.states() == ["established"]


@pytest.mark.parametrize("data", [b"", b"\0\0\0\1", bytes(4) + b"ticket", b"\0\0\1\0" + bytes(5000)])
def test_useless_tickets_are_not_kept(resuming, data):
    link = resuming()
    link.b.vault = None
    link.b.restart()
    link.establish()
    resumption.hold(link.a.sa(), Notify(NotifyType.TICKET_LT_OPAQUE, data), link.now)
    assert link.a.engine._ctx.held == {}
    assert link.a.count("bad-ticket") == 1


def test_names_too_long_for_a_ticket(ladder):
    long = "a" * 900 + "@x"
    link = ladder(config(connection(long, "b@x", resumption=True)), config(connection("b@x", "*@x", resumption=True)))
    for side in link.sides:
        side.keep_vault()
    link.establish()
    assert link.b.count("ticket-too-long") == link.a.count("ticket-denied-by-peer") == 1
    link.check_established()


def test_no_secret_is_shown(resuming):
    link = resuming().establish()
    held = link.a.engine._ctx.held["t"]
    assert held.sk_d.expose().hex() not in repr(held)
    assert held.octets.hex() not in repr(held)
    ticket = held.octets
    assert held.sk_d.expose() not in ticket
    assert b"a@x" not in ticket
