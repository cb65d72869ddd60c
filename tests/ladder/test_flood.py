"""What anybody can send, and what it may cost: memory and time of the responder, before anybody is authenticated."""

from ladder_net import A, C
from ladder_world import config, connection

from rhp.ike.path import Endpoint
from rhp.wire.iana import ExchangeType, NotifyType
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


def test_one_address_cannot_take_all_the_room(ladder):
    """Cookies show that an address is true; they do not keep its owner from filling the table alone."""
    link = ladder(b=config(connection("b@x", "a@x"), cookie_threshold=2, half_open_limit=50))
    for _ in range(30):
        link.initiate()
    # Everybody gets a cookie and brings it back, and nobody goes on.
    while link.flight:
        if link.flight[0].header.exchange == ExchangeType.IKE_AUTH:
            link.drop()
        else:
            link.deliver()
    assert half_open(link) == 5
    assert link.b.count("half-open-address") > 0
    # Somebody else still comes through.
    stranger = Endpoint(C, 500)
    link.inject(link.b, first_message(link, spi=b"stranger"), stranger)
    asked = link.flight.pop()
    cookie = parse_message(asked.datagram).notify(NotifyType.COOKIE)
    message = parse_message(first_message(link, spi=b"stranger"))
    again = Message(message.spi_i, message.spi_r, message.exchange, True, False, 0, (cookie, *message.payloads))
    link.inject(link.b, build_message(again), stranger)
    assert half_open(link) == 6
    # And when the half-open SAs are forgotten, so is who had them.
    link.flight.clear()
    link.advance(200, settle=False)
    link.flight.clear()
    assert half_open(link) == 0
    assert link.b.table.half_open_of(A) == 0
