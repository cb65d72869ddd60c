"""A peer that holds the keys and does not keep the rules."""

import pytest
from ladder_world import config, connection, tunnel

from rhp.ike.effects import InstallSA
from rhp.ike.events import AuthenticationFailed, ChildFailed, IkeClosed, InitiationFailed
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.identity import IDi
from rhp.wire.message import Message
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.ts import TSi, TSr


def answer_of(link, side):
    """Have `side` answer what is in flight to it, and lose the answer: the packet and the message."""
    link.deliver()
    packet = link.drop()
    assert packet.sender == side.name
    return packet, link.read(packet)


def frame_of(message):
    return Message(
        message.spi_i, message.spi_r, message.exchange, message.initiator, True, message.message_id, message.payloads
    )


def test_after_an_unreadable_ike_auth_answer_the_last_word_has_a_message_id_of_its_own(ladder):
    link = ladder()
    link.initiate()
    link.deliver(), link.deliver()
    packet, message = answer_of(link, link.b)
    rubbish = link.seal_raw(frame_of(message), 41, b"\x00\x00\x00\x03")
    link.inject(link.a, rubbish, packet.source, natt=packet.natt)
    (failed,) = link.a.happened(InitiationFailed)
    assert failed.reason == "bad-payload-length"
    last_word = link.read(link.flight[0])
    assert (last_word.exchange, last_word.message_id) == (ExchangeType.INFORMATIONAL, message.message_id + 1)
    link.settle()
    # The responder heard it, and nobody repeats anything.
    assert link.a.states() == link.b.states() == []
    assert link.a.count("retransmitted") == 0
    link.advance(100)
    link.check_empty()


@pytest.mark.parametrize("kind", [TSi, TSr])
def test_an_answer_without_selectors_makes_no_child(ladder, kind):
    children_a = (tunnel(), tunnel("more", ("10.3.0.0/16",), ("10.4.0.0/16",)))
    children_b = (tunnel("net", ("10.2.0.0/16",), ("10.1.0.0/16",)), tunnel("more", ("10.4.0.0/16",), ("10.3.0.0/16",)))
    link = ladder(
        config(connection("a@x", "b@x", children=children_a)), config(connection("b@x", "a@x", children=children_b))
    ).establish()
    link.call(link.a, "create_child", link.a.status().ike_id, "more")
    packet, message = answer_of(link, link.b)
    payloads = tuple(kind(()) if isinstance(one, kind) else one for one in message.payloads)
    forged = Message(
        message.spi_i, message.spi_r, message.exchange, message.initiator, True, message.message_id, payloads
    )
    link.inject(link.a, link.seal(forged), packet.source, natt=packet.natt)
    (failed,) = link.a.happened(ChildFailed)
    assert failed.reason == "selectors-not-offered"
    assert len(link.a.sas) == 1
    # The responder is told that its pair is not wanted.
    link.settle()
    link.check_established()


def limited(most):
    kids = tuple(tunnel(f"n{i}", (f"10.1.{i}.0/24",), (f"10.2.{i}.0/24",)) for i in range(most))
    mirror = tuple(tunnel(f"n{i}", (f"10.2.{i}.0/24",), (f"10.1.{i}.0/24",)) for i in range(most))
    return (
        config(connection("a@x", "b@x", children=kids)),
        config(connection("b@x", "a@x", children=mirror), max_children=most),
    )


def test_a_full_ike_sa_can_still_replace_its_children(ladder):
    link = ladder(*limited(2)).establish()
    link.call(link.a, "create_child", link.a.status().ike_id, "n1")
    link.settle()
    link.check_established(children=2)
    for child in link.a.status().children:
        link.call(link.a, "rekey_child", child.child_id)
        link.settle()
    assert link.b.count("child-rekeyed") == 2
    link.check_established(children=2)
    link.call(link.a, "create_child", link.a.status().ike_id, "n0")
    link.settle()
    (failed,) = link.a.happened(ChildFailed)
    assert failed.reason == "peer-said-no-additional-sas"
    link.check_established(children=2)


def test_replacing_without_deleting_comes_to_an_end(ladder):
    """A peer that rekeys over and over and keeps the old pairs gets a bounded number of them."""
    link = ladder(*limited(2)).establish()
    refused = None
    for _ in range(20):
        newest = [sa for sa in link.b.sas.values() if isinstance(sa, InstallSA)][-1]
        template = rekey_request(link, newest.spi_out)
        answer = link.say(link.a, template, ExchangeType.CREATE_CHILD_SA)
        refused = answer.notify(NotifyType.NO_ADDITIONAL_SAS)
        if refused is not None:
            break
    assert refused is not None
    assert len(link.b.sas) <= 4


def rekey_request(link, spi):
    """What a would ask to replace the pair of which it receives on `spi`."""
    from rhp.ike.negotiation import ChildOffer
    from rhp.ike.turn import Turn

    sa = link.a.sa()
    offer = ChildOffer(sa.config.children[0])
    payloads = offer.payloads(Turn(sa, ExchangeType.CREATE_CHILD_SA, ours=True))
    return [Notify(NotifyType.REKEY_SA, b"", Protocol.ESP, spi.to_bytes(4)), *payloads]


def test_a_request_answered_by_invalid_syntax_ends_the_ike_sa_on_both_sides(ladder):
    """RFC 7296 section 2.21.3: that answer is fatal to both, and no DELETE follows it."""
    link = ladder().establish()
    bare = [one for one in rekey_request(link, link.b.child().spi_out) if not isinstance(one, Nonce)]
    answer = link.say(link.a, bare, ExchangeType.CREATE_CHILD_SA)
    assert answer.notify(NotifyType.INVALID_SYNTAX) is not None
    assert link.b.states() == []
    assert link.b.sas == {}
    (closed,) = link.b.happened(IkeClosed)
    assert closed.reason == "incomplete-child"


@pytest.mark.parametrize(("id_type", "data"), [(2, b""), (11, b""), (13, b""), (9, bytes(5000)), (11, bytes(60000))])
def test_an_empty_or_endless_identity_is_none(ladder, id_type, data):
    """A key that any identity may have is no reason to let nobody in; and each connection looks at the identity."""
    link = ladder(b=config(connection("b@x", "%any")))
    link.initiate()
    link.deliver(), link.deliver()
    packet = link.drop()
    message = link.read(packet)
    payloads = tuple(IDi(id_type, data) if isinstance(one, IDi) else one for one in message.payloads)
    forged = Message(message.spi_i, message.spi_r, message.exchange, True, False, message.message_id, payloads)
    link.inject(link.b, link.seal(forged), packet.source, natt=packet.natt)
    assert link.b.states() == []
    (told,) = link.b.happened(AuthenticationFailed)
    assert told.reason == "no-identity"
