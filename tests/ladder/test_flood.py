"""What anybody can send, and what it may cost: memory and time of the responder, before anybody is authenticated."""

from dataclasses import replace
from ipaddress import ip_address

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


def test_beyond_a_rate_every_first_message_needs_a_cookie(ladder):
    """Half-open SAs that come and go quickly are work as well, though there are never many of them."""
    link = ladder(b=config(connection("b@x", "a@x"), init_rate=5))
    for _ in range(8):
        link.initiate()
    for _ in range(8):
        link.deliver()
    assert half_open(link) == 5
    assert link.b.count("cookie-asked") == 3
    # Those who come back with their cookies get in, whatever the rate.
    link.settle()
    assert link.b.count("cookie-accepted") == 3
    assert link.b.states().count("established") >= 1
    # When it is quiet again, nobody is asked.
    asked = link.b.count("cookie-asked")
    link.advance(3.0)
    link.establish()
    assert link.b.count("cookie-asked") == asked


def test_a_network_of_ipv6_is_one_source(ladder):
    """One host may have a whole /64 to itself, so its addresses share what one source may have."""
    link = ladder(b=config(connection("b@x", "a@x"), cookie_threshold=0, half_open_limit=50))
    link.initiate()
    for number in range(1, 9):
        spi = bytes(7) + bytes((number,))
        here = Endpoint(ip_address(f"2001:db8::{number}"), 500)
        begin_with_cookie(link, spi, here)
    assert half_open(link) == 5
    begin_with_cookie(link, b"elsewher", Endpoint(ip_address("2001:db8:0:1::1"), 500))
    assert half_open(link) == 6


def begin_with_cookie(link, spi, here):
    """A stranger at `here` asks, is given a cookie and brings it back."""
    link.inject(link.b, first_message(link, spi=spi), here)
    cookie = parse_message(link.flight.pop().datagram).notify(NotifyType.COOKIE)
    message = parse_message(first_message(link, spi=spi))
    again = Message(message.spi_i, message.spi_r, message.exchange, True, False, 0, (cookie, *message.payloads))
    link.inject(link.b, build_message(again), here)
    if link.flight and link.flight[-1].sender == "b":
        link.flight.pop()


def test_a_hint_from_an_address_is_found_without_looking_at_all_sas(ladder):
    """Of a peer that has moved, hints are taken from where it is now, and no longer from where it was."""
    link = ladder()
    link.establish()
    table, sa = link.b.table, next(link.b.table.sas())
    assert table.by_remote(sa.path.remote) is sa
    assert table.by_remote(Endpoint(sa.path.remote.ip, 1)) is sa
    old, new = sa.path.remote, Endpoint(C, 4500)
    sa.path = replace(sa.path, remote=new)
    assert table.by_remote(old) is None
    assert table.by_remote(new) is sa
    table.remove(sa)
    assert table.by_remote(new) is None


def test_ike_sas_have_an_end(ladder):
    """Whoever need not prove anything could make them without end, and pass every other limit."""
    link = ladder(b=config(connection("b@x", "a@x"), ike_sa_limit=1)).establish()
    link.inject(link.b, first_message(link, spi=b"another."))
    assert half_open(link) == 0
    assert link.b.count("ike-sa-limit") == 1
    assert link.flight == []
    # Who is in is not disturbed.
    link.check_established()
