"""Quick crash detection (RFC 6290): a peer that lost its state proves it with the token that it gave before."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from ladder_net import LOSE, TWICE
from ladder_world import config, connection

from rhp.ike import crash
from rhp.ike.events import IkeClosed
from rhp.ike.path import Endpoint
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import Message, build_message, parse_message
from rhp.wire.notify import Notify

TOKEN = NotifyType.QUICK_CRASH_DETECTION


@pytest.fixture
def keeping(ladder):
    """Two nodes whose secrets outlive them."""

    def make(*args, **kwargs):
        link = ladder(*args, **kwargs)
        for side in link.sides:
            side.keep_vault()
        return link

    return make


def tokens(link):
    """Every token that went over the wire, by sender."""
    found = []
    for packet in link.sent:
        notify = link.read(packet).notify(TOKEN)
        if notify is not None:
            found.append((packet.sender, notify.data))
    return found


def proof(side, *data, kind=NotifyType.INVALID_IKE_SPI):
    """An unprotected answer that says the IKE SA of `side` is unknown, with these tokens."""
    sa = side.sa()
    payloads = (Notify(kind), *(Notify(TOKEN, one) for one in data))
    return build_message(
        Message(sa.spi_i, sa.spi_r, ExchangeType.INFORMATIONAL, not sa.is_initiator, True, 77, payloads)
    )


def test_tokens_are_given_in_ike_auth(keeping):
    # a --- IKE_AUTH: .. N(QUICK_CRASH_DETECTION) ---> b
    # a <--- IKE_AUTH: .. N(QUICK_CRASH_DETECTION) --- b
    link = keeping().establish()
    (first, mine), (second, yours) = tokens(link)
    assert (first, second) == ("a", "b")
    assert len(mine) == len(yours) == 32
    assert mine != yours
    assert (link.a.sa().peer_token, link.b.sa().peer_token) == (yours, mine)


def test_restarted_responder_is_found_out_at_once(keeping):
    link = keeping().establish()
    link.advance(60)
    old = link.a.status()
    link.b.restart()

    # a --- ESP ---> b, which knows no such SPI:   a <--- N(INVALID_SPI) --- b
    link.call(link.b, "unknown_spi", link.a.child().spi_out, link.b.path_to(link.a, natt=True))
    link.deliver()
    # a --- INFORMATIONAL ---> b
    assert link.a.states() == ["established"]
    link.deliver()
    # a <--- N(INVALID_IKE_SPI), N(QUICK_CRASH_DETECTION) --- b
    answer = link.read(link.flight[0])
    assert [notify.type for notify in answer.all(Notify)] == [NotifyType.INVALID_IKE_SPI, TOKEN]
    link.deliver()
    (closed,) = link.a.happened(IkeClosed)
    assert (closed.ike_id, closed.reason) == (old.ike_id, "peer-crashed")
    # It ends without a word to a peer that knows of nothing.
    link.check_empty()
    link.establish()
    link.check_established()


def test_restarted_initiator_is_found_out_at_once(keeping):
    link = keeping().establish()
    link.advance(60)
    link.a.restart()
    link.call(link.a, "unknown_spi", link.b.child().spi_out, link.a.path_to(link.b, natt=True))
    link.settle()
    assert [event.reason for event in link.b.happened(IkeClosed)] == ["peer-crashed"]
    link.check_empty()


@pytest.mark.parametrize("fate", [LOSE, TWICE])
@pytest.mark.parametrize("number", range(3))
def test_loss_and_duplication(keeping, fate, number):
    # Each of: N(INVALID_SPI), the question, the proof.
    link = keeping().establish()
    link.advance(60)
    link.b.restart()
    first = len(link.sent)
    link.fate = lambda packet: fate if packet.number == first + number else "deliver"
    for _ in range(3):
        spi = next((sa.spi_out for sa in link.a.sas.values()), None)
        if spi is not None:
            link.call(link.b, "unknown_spi", spi, link.b.path_to(link.a, natt=True))
            link.settle()
            link.advance(1)
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-crashed"]
    link.check_empty()


def test_forged_tokens_end_nothing(keeping):
    link = keeping().establish()
    (_, mine), (_, yours) = tokens(link)
    for wrong in (mine, yours[:-1], yours + b"\0", b"", bytes(32), bytes(len(yours) * 8)):
        link.inject(link.a, proof(link.a, wrong))
    link.inject(link.a, proof(link.a, *[bytes((number,)) * 32 for number in range(4)], yours))
    # The right token without the error that it belongs to proves nothing either.
    link.inject(link.a, proof(link.a, yours, kind=NotifyType.INVALID_SYNTAX))
    assert link.a.states() == ["established"]
    assert link.a.count("wrong-crash-token") == 7
    assert link.a.happened(IkeClosed) == []
    link.settle()
    link.check_established()


def test_one_of_two_secrets_is_enough(keeping):
    link = keeping().establish()
    (_, _), (_, yours) = tokens(link)
    link.inject(link.a, proof(link.a, bytes(64), yours))
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-crashed"]


def test_the_last_of_four_tokens_from_anywhere_is_enough(keeping):
    # Section 4.5: four in a message are looked at; section 3: wherever it comes from, for another machine may have
    # taken the place of the one that is gone.
    link = keeping().establish()
    (_, _), (_, yours) = tokens(link)
    others = (bytes((number,)) * 32 for number in range(3))
    link.inject(link.a, proof(link.a, *others, yours), Endpoint(ip_address("203.0.113.9"), 40000))
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-crashed"]


def test_living_ike_sa_never_shows_its_token(keeping):
    # Whoever knows the SPIs asks with every flag, and with the SPIs exchanged.
    link = keeping().establish()
    given = {data for _, data in tokens(link)}
    sa = link.a.sa()
    before = len(link.sent)
    for side in (link.a, link.b):
        for spi_i, spi_r in ((sa.spi_i, sa.spi_r), (sa.spi_r, sa.spi_i)):
            for initiator in (True, False):
                for response in (True, False):
                    forged = Message(spi_i, spi_r, ExchangeType.INFORMATIONAL, initiator, response, 9, ())
                    link.inject(side, build_message(forged))
    shown = [parse_message(packet.datagram).notify(TOKEN) for packet in link.sent[before:]]
    assert not {notify.data for notify in shown if notify is not None} & given
    assert link.a.states() == link.b.states() == ["established"]


def test_turned_round_flag_makes_another_token(keeping):
    # One of two SPIs that live here is enough to be silent; if neither does, the role is still part of the token.
    link = keeping().establish()
    given = {data for _, data in tokens(link)}
    sa = link.a.sa()
    frame = Message(sa.spi_i, sa.spi_r, ExchangeType.INFORMATIONAL, False, False, 9, ())
    link.b.restart()
    link.inject(link.b, build_message(frame))
    (packet,) = link.flight
    assert parse_message(packet.datagram).notify(TOKEN).data not in given
    link.flight.clear()
    link.inject(link.b, build_message(replace(frame, initiator=True)))
    assert parse_message(link.flight[0].datagram).notify(TOKEN).data in given


def test_proofs_are_rationed(keeping):
    link = keeping(b=config(connection("b@x", "a@x"), answer_rate=3)).establish()
    sa = link.a.sa()
    link.b.restart()
    for number in range(10):
        frame = Message(sa.spi_i, sa.spi_r, ExchangeType.INFORMATIONAL, True, False, number, ())
        link.inject(link.b, build_message(frame), Endpoint(link.a.address, 500))
    assert len(link.flight) == 3
    assert link.b.count("answer-withheld") == 7


def test_a_stream_of_lost_esp_does_not_silence_the_proof(keeping):
    # After a crash ESP comes in by the thousand, and the one question that matters among it.
    link = keeping(b=config(connection("b@x", "a@x"), answer_rate=3)).establish()
    link.advance(60)
    link.b.restart()
    for _ in range(50):
        link.call(link.b, "unknown_spi", link.a.child().spi_out, link.b.path_to(link.a, natt=True))
    assert link.b.count("answer-withheld") == 47
    link.settle()
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-crashed"]


@pytest.mark.parametrize("begins", ["a", "b"])
def test_rekeyed_ike_sa_has_new_tokens(keeping, begins):
    link = keeping().establish()
    side = link.a if begins == "a" else link.b
    link.call(side, "rekey_ike", side.status().ike_id)
    # --- SA, Ni, KE --->   <--- SA, Nr, KE ---
    # --- D(IKE) on the old one; N(QUICK_CRASH_DETECTION) on the new one, both ways
    link.settle()
    found = tokens(link)
    assert len({data for _, data in found}) == 4
    latest = dict(found)
    assert (link.a.sa().peer_token, link.b.sa().peer_token) == (latest["b"], latest["a"])
    link.advance(10)
    link.b.restart()
    link.call(link.b, "unknown_spi", link.a.child().spi_out, link.b.path_to(link.a, natt=True))
    link.settle()
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-crashed"]
    link.advance(40)
    link.check_empty()


@pytest.mark.parametrize("fate", [LOSE, TWICE])
def test_new_token_over_a_bad_network(keeping, fate):
    link = keeping().establish()
    seen = []

    def once(packet):
        message = link.read(packet)
        if message.exchange == ExchangeType.INFORMATIONAL and message.notify(TOKEN) and packet.datagram not in seen:
            seen.append(packet.datagram)
            return fate
        return "deliver"

    link.fate = once
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    link.settle()
    link.advance(5)
    assert len(seen) == 2
    latest = dict(tokens(link))
    assert (link.a.sa().peer_token, link.b.sa().peer_token) == (latest["b"], latest["a"])
    link.check_established()


def test_peer_without_tokens(ladder):
    # Only b has a vault: a takes the token and gives none.
    link = ladder()
    link.b.keep_vault()
    link.establish()
    assert link.b.sa().peer_token == b""
    assert [sender for sender, _ in tokens(link)] == ["b"]
    link.advance(60)
    link.a.restart()
    link.call(link.a, "unknown_spi", link.b.child().spi_out, link.a.path_to(link.b, natt=True))
    link.settle()
    # Without a proof the old way remains: a few questions without an answer.
    assert link.b.states() == ["established"]
    link.advance(10)
    assert [event.reason for event in link.b.happened(IkeClosed)] == ["peer-unresponsive"]


def test_token_of_rockhopper(ladder):
    # Its tokens have 64 octets, and it sends them by themselves as well.
    link = ladder().establish()
    token = bytes(range(64))
    answer = link.say(link.b, [Notify(TOKEN, token)])
    assert answer.payloads == ()
    assert link.a.sa().peer_token == token
    link.say(link.b, [Notify(TOKEN, bytes(15))])
    link.say(link.b, [Notify(TOKEN, bytes(129))])
    assert link.a.sa().peer_token == token
    assert link.a.count("bad-crash-token") == 2
    link.inject(link.a, proof(link.a, token))
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-crashed"]


def test_lost_secret_makes_tokens_that_nobody_believes(keeping):
    link = keeping().establish()
    link.advance(60)
    link.b.keep_vault()
    link.call(link.b, "unknown_spi", link.a.child().spi_out, link.b.path_to(link.a, natt=True))
    link.settle()
    assert link.a.count("wrong-crash-token") == 1
    assert link.a.states() == ["established"]
    link.advance(10)
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-unresponsive"]


def test_new_tokens_after_additional_key_exchanges(keeping):
    # The answer that makes the new IKE SA is that of the last IKE_FOLLOWUP_KE.
    ike = ("aes128gcm16-prfsha256-x25519-ke1_mlkem768",)
    link = keeping(config(connection("a@x", "b@x", ike=ike)), config(connection("b@x", "a@x", ike=ike))).establish()
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.settle()
    assert ExchangeType.IKE_FOLLOWUP_KE in [packet.header.exchange for packet in link.sent]
    for side, other in ((link.a, link.b), (link.b, link.a)):
        assert side.sa().peer_token == crash.own_token(other.sa()).data


def test_new_tokens_when_rekeys_cross(keeping):
    link = keeping().establish()
    for side in link.sides:
        link.call(side, "rekey_ike", side.status().ike_id)
    link.settle()
    link.advance(5)
    latest = dict(tokens(link))
    assert (link.a.sa().peer_token, link.b.sa().peer_token) == (latest["b"], latest["a"])
    link.check_established()
    link.b.restart()
    link.call(link.b, "unknown_spi", link.a.child().spi_out, link.b.path_to(link.a, natt=True))
    link.settle()
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-crashed"]


def test_token_in_the_answer_to_a_rekey(keeping):
    # A Rockhopper gives it there.
    link = keeping()
    link.b.vault = None
    link.b.restart()
    link.establish()
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    link.deliver()
    answer = link.drop()
    message = link.read(answer)
    token = Notify(TOKEN, bytes(range(64)))
    link.inject(link.a, link.seal(replace(message, payloads=(*message.payloads, token))), answer.source, natt=True)
    link.settle()
    assert link.a.sa().peer_token == token.data
