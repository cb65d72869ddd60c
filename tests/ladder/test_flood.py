"""What anybody can send, and what it may cost: memory and time of the responder, before anybody is authenticated."""

from ladder_world import config, connection

from rhp.wire.message import Message, build_message, parse_message
from rhp.wire.vendor import Vendor


def first_message(link, padding=0, spi=None):
    """A good IKE_SA_INIT request, perhaps much longer than it need be."""
    message = parse_message(link.sent[0].datagram)
    payloads = (*message.payloads, *(Vendor(bytes(1000)) for _ in range(padding)))
    return build_message(
        Message(spi or message.spi_i, message.spi_r, message.exchange, True, False, 0, payloads),
    )


def half_open(link):
    return link.b.table.half_open


def test_a_first_message_as_long_as_a_generous_client_s_is_taken(ladder):
    link = ladder()
    link.initiate()
    link.inject(link.b, first_message(link, padding=3))
    assert half_open(link) == 1


def test_an_oversized_first_message_is_not_kept(ladder):
    """The responder keeps the message until AUTH has covered it, so its length is memory that anybody can take."""
    link = ladder()
    link.initiate()
    link.inject(link.b, first_message(link, padding=60))
    assert half_open(link) == 0
    assert len(link.flight) == 1  # The initiator's own message: there was no answer.
    assert link.b.count("oversized-init") == 1


def test_our_own_first_message_reflected_makes_no_half_open_sa(ladder):
    """With patterns that fit both ends, a node could otherwise be made to talk to itself."""
    link = ladder(config(connection("a@x", "%any")), config(connection("b@x", "%any")))
    link.initiate()
    request = link.flight.pop()
    link.inject(link.a, request.datagram, request.target)
    assert link.flight == []
    assert link.a.table.half_open == 0
    assert link.a.count("reflected-init") == 1
    assert link.a.states() == ["connecting"]


def test_failed_handshakes_leave_a_bounded_number_of_last_answers(ladder):
    """An SA that ended by an answer leaves that answer behind for a while; strangers decide how many there are."""
    link = ladder(
        config(connection("stranger@x", "b@x")),
        config(connection("b@x", "a@x"), half_open_limit=20, cookie_threshold=9),
    )
    for _ in range(50):
        link.establish()
    assert link.b.count("authentication-failed") == 50
    assert len(link.b.table.tombstones) <= 20
    # The newest are those whose answers may still be missed.
    last = [packet for packet in link.sent if packet.sender == "a"][-1]
    link.hand_over(last)
    assert link.b.count("request-repeated") == 1
    link.flight.clear()
    link.advance(40)
    link.check_empty()
