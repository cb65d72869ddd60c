"""Redirect (RFC 5685): b sends a to c, in each exchange that it can be said in; a follows, but not in circles."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from ladder_net import LOSE, TWICE
from ladder_world import config, connection

from rhp.ike.errors import Fault, LocalError
from rhp.ike.events import AuthenticationFailed, ChildFailed, IkeClosed, IkeEstablished, InitiationFailed, Redirected
from rhp.ike.redirection import Gateway, parse
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import Message, build_message, parse_message
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.sa import SA

C = Gateway(ip_address("192.0.2.3"))
NO_GATEWAYS = (
    "127.0.0.1",
    str(ip_address(0)),
    "224.0.0.1",
    "255.255.255.255",
    "169.254.1.1",
    "::1",
    "::",
    "ff02::1",
    "fe80::1",
    "::ffff:127.0.0.1",
    "::ffff:192.0.2.3",
)
NOWHERE = [
    (b"\x01\x04" if "." in text and ":" not in text else b"\x02\x10") + ip_address(text).packed for text in NO_GATEWAYS
]
SUPPORTED, REDIRECT, FROM = NotifyType.REDIRECT_SUPPORTED, NotifyType.REDIRECT, NotifyType.REDIRECTED_FROM


@pytest.fixture
def gateways(ladder):
    """A client a and two gateways, b and c, that are the same to it."""

    def make(c="b@x", **more):
        client = config(connection("a@x", "b@x", follow_redirects=True, **more))
        return ladder(client, config(connection("b@x", "a@x")), c=config(connection(c, "a@x")))

    return make


def go_on(link, events=1):
    """What the node of a does when it is sent away: it calls the other gateway."""
    event = link.a.happened(Redirected)[-1]
    assert len(link.a.happened(Redirected)) == events
    side = next(one for one in link.sides if one.address == event.target)
    link.a.engine.initiate("t", link.now, link.a.path_to(side), event.gateway)
    link.collect(link.a)
    return event


def check_at_c(link):
    assert link.a.states() == link.c.states() == ["established"]
    assert link.a.status().path.remote.ip == link.c.address
    assert len(link.a.sas) == len(link.c.sas) == 1


def test_redirected_in_ike_sa_init(gateways):
    link = gateways()
    link.b.engine.redirect_callers("t", C)
    # a --- IKE_SA_INIT: .. N(REDIRECT_SUPPORTED) ---> b
    link.initiate()
    asked = parse_message(link.deliver().datagram)
    assert asked.notify(SUPPORTED).data == b""
    # a <--- N(REDIRECT, c, Ni) --- b, which keeps nothing
    assert link.b.states() == []
    assert link.b.engine.next_deadline() is None
    answer = parse_message(link.deliver().datagram)
    (notify,) = answer.payloads
    assert (notify.type, notify.data) == (REDIRECT, b"\x01\x04\xc0\x00\x02\x03" + asked.first(Nonce).data)
    assert (answer.spi_r, link.b.count("redirected")) == (bytes(8), 1)
    # It is no failure.
    (ended,) = link.a.happened(InitiationFailed)
    assert (ended.reason, ended.fault) == ("redirected", Fault.NONE)
    event = go_on(link)
    assert (event.target, event.gateway) == (C.place, link.b.address)
    # a --- IKE_SA_INIT: .. N(REDIRECTED_FROM, b) ---> c
    message = parse_message(link.flight[0].datagram)
    assert message.notify(FROM).data == b"\x01\x04\xc0\x00\x02\x02"
    assert message.notify(SUPPORTED) is None
    link.settle()
    check_at_c(link)


def test_redirected_in_ike_auth(gateways):
    # b has two connections for this path and sends the callers of one away: it has to know who calls.
    link = gateways()
    other = connection("b@x", "d@x", name="other")
    link.b.config = config(connection("b@x", "a@x"), other)
    link.b.restart()
    link.b.engine.redirect_callers("t", C)
    link.initiate()
    link.deliver()
    link.deliver()
    # a --- IKE_AUTH: .. SA, TSi, TSr ---> b
    assert link.read(link.deliver()).first(SA) is not None
    # a <--- IKE_AUTH: IDr, AUTH, N(REDIRECT, c), and no child --- b
    answer = link.read(link.deliver())
    assert answer.notify(REDIRECT).data == b"\x01\x04\xc0\x00\x02\x03"
    assert answer.first(SA) is None
    # a --- D(IKE) ---> b
    assert link.read(link.flight[0]).first(Delete) is not None
    link.settle()
    assert link.a.states() == link.b.states() == []
    assert link.a.happened(ChildFailed) == link.b.happened(ChildFailed) == []
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["redirected"]
    go_on(link)
    link.settle()
    check_at_c(link)
    link.advance(60)
    check_at_c(link)


def test_redirected_later(gateways):
    link = gateways().establish()
    link.advance(100)
    # a <--- INFORMATIONAL: N(REDIRECT, c) --- b
    link.call(link.b, "redirect", link.b.status().ike_id, C)
    assert link.read(link.deliver()).notify(REDIRECT).data == C.build()
    # a --- empty response ---> b, and a --- D(IKE) ---> b
    assert link.read(link.flight[0]).payloads == ()
    link.settle()
    assert link.a.states() == link.b.states() == []
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["redirected"]
    go_on(link)
    link.settle()
    check_at_c(link)


def test_redirected_after_a_rekey(gateways):
    link = gateways().establish()
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.settle()
    link.call(link.b, "redirect", link.b.status().ike_id, C)
    link.settle()
    go_on(link)
    link.settle()
    check_at_c(link)


@pytest.mark.parametrize("fate", [LOSE, TWICE])
@pytest.mark.parametrize("number", range(2))
def test_loss_and_duplication_in_ike_sa_init(gateways, fate, number):
    link = gateways()
    link.b.engine.redirect_callers("t", C)
    link.fate = lambda packet: fate if packet.number == number else "deliver"
    link.initiate()
    link.settle()
    link.advance(1)
    go_on(link)
    link.settle()
    check_at_c(link)


@pytest.mark.parametrize("fate", [LOSE, TWICE])
@pytest.mark.parametrize("number", range(4))
def test_loss_and_duplication_later(gateways, fate, number):
    # Each of: N(REDIRECT), its answer, D, its answer.
    link = gateways().establish()
    first = len(link.sent)
    link.fate = lambda packet: fate if packet.number == first + number else "deliver"
    link.call(link.b, "redirect", link.b.status().ike_id, C)
    link.settle()
    link.advance(3)
    assert link.a.states() == link.b.states() == []
    go_on(link)
    link.settle()
    check_at_c(link)


@pytest.mark.parametrize("fate", [LOSE, TWICE])
@pytest.mark.parametrize("number", range(2, 6))
def test_loss_and_duplication_in_ike_auth(gateways, fate, number):
    link = gateways()
    link.b.config = config(connection("b@x", "a@x"), connection("b@x", "d@x", name="other"))
    link.b.restart()
    link.b.engine.redirect_callers("t", C)
    link.fate = lambda packet: fate if packet.number == number else "deliver"
    link.initiate()
    link.settle()
    link.advance(3)
    assert link.a.states() == link.b.states() == []
    go_on(link)
    link.settle()
    check_at_c(link)


def test_client_that_does_not_leave(gateways):
    link = gateways().establish()
    link.a.engine.set_config(config())
    sa = link.a.sa()
    sa.connection = replace(sa.connection, follow_redirects=False)
    link.call(link.b, "redirect", link.b.status().ike_id, C)
    link.settle()
    assert link.a.count("redirect-unwanted") == 1
    assert link.a.states() == link.b.states() == ["established"]
    link.advance(9)
    assert link.b.states() == ["established"]
    link.advance(2)
    assert link.a.states() == link.b.states() == []
    assert link.b.count("redirect-ignored") == 1
    assert link.a.happened(Redirected) == []


def test_client_that_cannot_follow_is_not_sent_away(ladder):
    link = ladder()
    link.b.engine.redirect_callers("t", C)
    link.establish()
    link.check_established()
    assert parse_message(link.sent[0].datagram).notify(SUPPORTED) is None
    with pytest.raises(LocalError, match="cannot-be-redirected"):
        link.call(link.b, "redirect", link.b.status().ike_id, C)
    with pytest.raises(LocalError, match="cannot-be-redirected"):
        link.call(link.a, "redirect", link.a.status().ike_id, C)
    with pytest.raises(LocalError, match="unknown-connection"):
        link.b.engine.redirect_callers("nobody", C)


def test_nobody_is_sent_away_any_more(gateways):
    link = gateways()
    link.b.engine.redirect_callers("t", C)
    link.b.engine.redirect_callers("t", None)
    link.establish()
    assert link.a.states() == link.b.states() == ["established"]
    link.b.engine.redirect_callers("t", C)
    link.b.engine.set_config(config(connection("b@x", "a@x", name="u")))
    assert link.b.engine._ctx.redirects == {}


def test_gateway_does_not_follow_its_client(gateways):
    link = gateways().establish()
    answer = link.say(link.a, [Notify(REDIRECT, C.build())])
    assert answer.payloads == ()
    assert link.b.count("redirect-unwanted") == 1
    assert link.b.states() == ["established"]
    assert link.b.happened(Redirected) == []


def test_circle(gateways):
    # b and c send a to each other: after five times a gives up, and may be sent again five minutes later.
    link = gateways()
    link.b.engine.redirect_callers("t", C)
    link.c.engine.redirect_callers("t", Gateway(link.b.address))
    link.initiate()
    link.settle()
    for times in range(1, 6):
        go_on(link, events=times)
        link.settle()
    assert len(link.a.happened(Redirected)) == 5
    assert link.a.happened(InitiationFailed)[-1].reason == "redirect-loop"
    assert link.a.states() == []
    link.advance(301)
    link.initiate()
    link.settle()
    assert len(link.a.happened(Redirected)) == 6


def test_circle_of_established_ones(gateways):
    link = gateways().establish()
    sides = [link.b, link.c]
    for times in range(1, 6):
        here, there = sides
        link.call(here, "redirect", here.status().ike_id, Gateway(there.address))
        link.settle()
        go_on(link, events=times)
        link.settle()
        sides.reverse()
    here, there = sides
    # The sixth time a stays where it is.
    link.call(here, "redirect", here.status().ike_id, Gateway(there.address))
    link.settle()
    assert link.a.states() == ["established"]
    assert link.a.count("redirect-loop") == 1
    assert len(link.a.happened(Redirected)) == 5


def test_the_sixth_within_five_minutes_of_the_first_is_one_too_many(gateways):
    link = gateways().establish()
    began, sides = link.now, [link.b, link.c]

    def send_on(times):
        here, there = sides
        link.call(here, "redirect", here.status().ike_id, Gateway(there.address))
        link.settle()
        if len(link.a.happened(Redirected)) == times:
            go_on(link, events=times)
            link.settle()
            sides.reverse()

    for times in range(1, 6):
        send_on(times)
        link.advance(50)
    link.advance(began + 299 - link.now)
    send_on(6)
    assert len(link.a.happened(Redirected)) == 5
    assert link.a.count("redirect-loop") == 1
    assert link.a.states() == ["established"]
    link.advance(began + 301 - link.now)
    send_on(6)
    assert len(link.a.happened(Redirected)) == 6
    assert link.a.states() == ["established"]


def test_other_gateway_has_to_be_the_same_peer(gateways):
    link = gateways(c="c@x")
    link.b.engine.redirect_callers("t", C)
    link.initiate()
    link.settle()
    go_on(link)
    link.settle()
    link.advance(5)
    assert link.a.states() == []
    assert {event.reason for event in link.c.happened(AuthenticationFailed)} == {"unknown-identity"}
    assert link.a.happened(IkeEstablished) == []


def forged(request, data, *, more=()):
    asked = parse_message(request.datagram)
    return build_message(
        Message(asked.spi_i, bytes(8), ExchangeType.IKE_SA_INIT, False, True, 0, (Notify(REDIRECT, data), *more))
    )


@pytest.mark.parametrize(
    "data",
    [
        C.build(),
        C.build() + bytes(32),
        b"",
        b"\x01",
        b"\x01\x03\x01\x02\x03",
        b"\x01\x04\x01\x02",
        b"\x02\x04\x01\x02\x03\x04",
        b"\x03\x00",
        b"\x03\x05a b.c",
        b"\x03\x04\xff\xfe\xfd\xfc",
        b"\x03\x07127.0.1",
        b"\x03\xff" + b"a." * 127 + b"a",
        b"\x09\x04\x01\x02\x03\x04",
        *NOWHERE,
    ],
)
def test_forged_redirection_leads_nowhere(gateways, data):
    link = gateways()
    link.initiate()
    link.inject(link.a, forged(link.flight[0], data))
    assert link.a.states() == ["connecting"]
    link.settle()
    assert link.a.states() == link.b.states() == ["established"]
    assert link.a.happened(Redirected) == []


def test_unwanted_redirection(ladder):
    link = ladder()
    link.initiate()
    nonce = parse_message(link.flight[0].datagram).first(Nonce).data
    link.inject(link.a, forged(link.flight[0], C.build() + nonce))
    link.settle()
    link.check_established()
    assert link.a.happened(Redirected) == []


@pytest.mark.parametrize("data", [b"", b"\x01\x04\x01", b"\x03\x00", *NOWHERE])
def test_useless_redirection_of_an_established_one(gateways, data):
    link = gateways().establish()
    answer = link.say(link.b, [Notify(REDIRECT, data)])
    assert [notify.type for notify in answer.all(Notify)] == [NotifyType.INVALID_SYNTAX]
    assert link.a.happened(Redirected) == []
    assert link.a.count("bad-redirect") == 1


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("192.0.2.3", b"\x01\x04\xc0\x00\x02\x03"),
        ("2001:db8::3", b"\x02\x10" + ip_address("2001:db8::3").packed),
        ("Gate.Example.org", b"\x03\x10gate.example.org"),
        ("gate", b"\x03\x04gate"),
    ],
)
def test_gateways(text, octets):
    gateway = Gateway.named(text)
    assert gateway.build() == octets
    assert parse(octets + b"nonce") == (gateway, b"nonce")
    assert str(gateway) == text.lower()


@pytest.mark.parametrize("text", ["", "a b", "1.2.3", "-a.b", "a..b", "a." * 130 + "a", "ä.example", "fe80::1%eth0/64"])
def test_what_is_no_gateway(text):
    with pytest.raises(ValueError, match="neither an address nor a host name"):
        Gateway.named(text)


@pytest.mark.parametrize("text", NO_GATEWAYS)
def test_no_gateway_can_be_there(gateways, text):
    with pytest.raises(ValueError, match="no other gateway can be at"):
        Gateway.named(text)
    # Nor does the host name that reads as such an address help, in the answer to IKE_SA_INIT.
    link = gateways()
    link.initiate()
    nonce = parse_message(link.flight[0].datagram).first(Nonce).data
    link.inject(link.a, forged(link.flight[0], bytes((3, len(text))) + text.encode() + nonce))
    assert link.a.happened(Redirected) == []
    assert link.a.count("bad-redirect") == 1
    link.settle()
    link.check_established()


def test_a_host_name_is_for_the_node_to_look_up(gateways):
    link = gateways()
    link.b.engine.redirect_callers("t", Gateway.named("gate.example.org"))
    link.initiate()
    link.settle()
    (event,) = link.a.happened(Redirected)
    assert event.target == "gate.example.org"


def test_the_ticket_stays_behind(gateways):
    # An orderly end takes it along, and the other gateway could not read it.
    link = gateways(resumption=True)
    for side in (link.b, link.c):
        side.config = config(connection("b@x", "a@x", resumption=True))
        side.keep_vault()
    link.establish()
    assert link.a.engine._ctx.held
    link.call(link.b, "redirect", link.b.status().ike_id, C)
    link.settle()
    assert link.a.engine._ctx.held == {}
    go_on(link)
    link.settle()
    check_at_c(link)
    assert [event.resumed for event in link.a.happened(IkeEstablished)] == [False, False]


def test_everything_goes_in_the_end(gateways):
    link = gateways().establish()
    link.call(link.b, "redirect", link.b.status().ike_id, C)
    link.settle()
    link.advance(60)
    link.check_empty()
