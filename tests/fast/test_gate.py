"""The gate on loopback sockets: who enters, who is asked for a cookie, and who is not heard.

Its rule is the engine's, so its cookies are held against the engine's jar and its reading against the engine's.
"""

import os
import random
import select
import socket
import struct
import time
from ipaddress import ip_address

import pytest
from planes import SECONDS, wait_for

from rhp._fast.gate import Gate, steer
from rhp.ike.admission import SpiMint
from rhp.ike.cookies import CookieJar
from rhp.lab.flood import first_message, message_within
from rhp.wire.iana import NotifyType
from rhp.wire.message import Message, build_message, parse_message
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.sk import SK
from rhp.wire.vendor import Vendor

HOSTS = ["127.0.0.1", "::1"]
MARKER = bytes(4)
SILENCE = 0.2
NOT_DATAGRAMS = ("cookies-sent", "cookies-unsent", "receive-errors")
SO_MEMINFO = 55


class Door:
    """A gate, the socket it reads, and a peer's socket; `natt` puts the marker in front."""

    def __init__(self, host="127.0.0.1", natt=False):
        self.host, self.natt = host, natt
        self.jar, self.mint = CookieJar(os.urandom, 60.0), SpiMint(os.urandom)
        self.gate = Gate()
        self.inside, self.peer = self._bound(), self._bound()
        self.sent = 0
        self.inside.setblocking(False)
        self.inside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        if ":" in host:
            self.inside.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self.inside.setsockopt(socket.IPPROTO_IP, 8, 1)

    def _bound(self):
        made = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((self.host, 0))
        return made

    def close(self):
        self.inside.close()
        self.peer.close()

    def rule(self, always=False, rate=100, now=0.0):
        self.gate.set_rule(always, *self.jar.secrets(now), self.mint.key, rate)
        return self

    def send(self, *messages):
        for message in messages:
            self.send_raw((MARKER if self.natt else b"") + message)

    def send_raw(self, data, *, source=None, datagrams=1):
        (source or self.peer).sendto(data, self.inside.getsockname())
        self.sent += datagrams

    def turn(self):
        return self.gate.read(self.inside.fileno(), self.inside.getsockname()[1], self.natt)

    def read(self):
        """What enters of all that was sent; a busy kernel hands it on in a thread of its own, and so in parts."""
        arrivals = self.turn()
        end = time.monotonic() + SECONDS
        while self.judged() < self.sent:
            assert time.monotonic() < end, "not all of it arrived"
            select.select([self.inside], [], [], 0.1)
            arrivals += self.turn()
        return arrivals

    def judged(self):
        """How many datagrams were read: each is counted by one name."""
        return sum(count for name, count in self.gate.counters().items() if name not in NOT_DATAGRAMS)

    def queue(self, *messages):
        """Send some of one length; returns when all of them wait to be read."""
        self.send(messages[0])
        one = wait_for(self._held)
        self.send(*messages[1:])
        wait_for(lambda: self._held() == one * len(messages))

    def _held(self):
        """The memory of what waits to be read."""
        return struct.unpack("9I", self.inside.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))[0]

    def entered(self, *messages):
        """The octets of what enters of these."""
        self.send(*messages)
        return [arrival[0] for arrival in self.read()]

    def answer(self):
        """The message that the peer got."""
        self.peer.settimeout(SECONDS)
        got = self.peer.recv(2000)
        if self.natt:
            assert got[:4] == MARKER
            got = got[4:]
        return parse_message(got)

    def silent(self):
        """Whether the peer gets nothing."""
        return not select.select([self.peer], [], [], SILENCE)[0]


@pytest.fixture
def door():
    made = []

    def make(*args, **kwargs):
        made.append(Door(*args, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.close()


def with_cookie(first, cookie):
    message = parse_message(first)
    kept = [one for one in message.payloads if not isinstance(one, Notify)]
    payloads = (Notify(NotifyType.COOKIE, cookie), *kept)
    return build_message(Message(message.spi_i, bytes(8), message.exchange, True, False, 0, payloads))


def within(spi, *, initiator=True, response=False):
    """A sealed message of an IKE SA whose responder, or initiator, is us."""
    other = os.urandom(8)
    spis = (other, spi) if initiator else (spi, other)
    return build_message(Message(*spis, 37, initiator, response, 3, (SK(0, os.urandom(36)),)))


def with_ticket():
    """An IKE_SESSION_RESUME request (RFC 5723)."""
    payloads = (Nonce(os.urandom(32)), Notify(NotifyType.TICKET_OPAQUE, os.urandom(200)))
    return build_message(Message(os.urandom(8), bytes(8), 38, True, False, 0, payloads))


@pytest.mark.parametrize("natt", [False, True])
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("make", [first_message, with_ticket])
def test_who_has_to_bring_a_cookie_is_told_so_and_enters_with_it(door, host, natt, make):
    one = door(host, natt).rule(always=True)
    first = make()
    assert one.entered(first) == []
    asked = one.answer()
    assert asked.spi_i == parse_message(first).spi_i
    exchange = parse_message(first).exchange
    assert (asked.spi_r, asked.exchange, asked.response, asked.initiator) == (bytes(8), exchange, True, False)
    cookie = asked.notify(NotifyType.COOKIE).data
    # It is the one that the engine would have baked.
    message = parse_message(first)
    assert one.jar.check(cookie, message.first(Nonce).data, ip_address(host), message.spi_i, 1.0)
    again = with_cookie(first, cookie)
    one.send(again)
    ((data, local, port, remote, remote_port),) = one.read()
    assert data == again
    assert (local, port) == one.inside.getsockname()[:2]
    assert (remote, remote_port) == one.peer.getsockname()[:2]
    assert one.silent()
    assert one.gate.counters() == {"cookie-asked": 1, "cookies-sent": 1, "admitted-by-cookie": 1}


def test_below_the_rate_nobody_is_asked(door):
    one = door().rule(rate=5)
    one.queue(*(first_message() for _ in range(9)))
    assert len(one.turn()) == 5
    counters = one.gate.counters()
    assert (counters["admitted"], counters["cookie-asked"]) == (5, 4)


def test_a_cookie_outlives_one_change_of_the_secret_and_not_two(door):
    one = door().rule(always=True)
    first = first_message()
    one.entered(first)
    again = with_cookie(first, one.answer().notify(NotifyType.COOKIE).data)
    one.rule(always=True, now=61.0)
    assert one.entered(again) == [again]
    one.rule(always=True, now=122.0)
    assert one.entered(again) == []
    assert one.gate.counters()["cookie-wrong"] == 1


@pytest.mark.parametrize("index", range(17))
def test_every_octet_of_a_cookie_counts(door, index):
    one = door().rule(always=True)
    first = first_message()
    one.entered(first)
    cookie = bytearray(one.answer().notify(NotifyType.COOKIE).data)
    cookie[index] ^= 1
    assert one.entered(with_cookie(first, bytes(cookie))) == []
    assert one.answer().notify(NotifyType.COOKIE) is not None


def test_a_cookie_is_for_one_nonce_one_spi_and_one_address(door):
    one = door().rule(always=True)
    first = first_message()
    one.entered(first)
    cookie = one.answer().notify(NotifyType.COOKIE).data
    assert one.entered(with_cookie(first_message(), cookie)) == []
    message = parse_message(first)
    other = build_message(Message(os.urandom(8), bytes(8), 34, True, False, 0, message.payloads))
    assert one.entered(with_cookie(other, cookie)) == []
    elsewhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    elsewhere.bind(("127.0.0.2", 0))
    one.send_raw(with_cookie(first, cookie), source=elsewhere)
    elsewhere.close()
    assert one.read() == []


def test_one_source_may_not_have_everything_by_its_cookies(door):
    one = door().rule(always=True)
    first = first_message()
    one.entered(first)
    again = with_cookie(first, one.answer().notify(NotifyType.COOKIE).data)
    began = time.monotonic()
    entered = sum(len(one.entered(*[again] * 30)) for _ in range(10))
    # A burst, and fifty a second.
    assert 128 <= entered <= 129 + 50 * (time.monotonic() - began)
    assert one.gate.counters()["source-withheld"] == 300 - entered


def test_messages_of_sas_that_we_may_have_enter_whatever_the_load(door):
    one = door(natt=True).rule(always=True, rate=0)
    ours = [
        within(one.mint.strike()),
        within(one.mint.strike(), response=True),
        within(one.mint.strike(), initiator=False),
        within(one.mint.strike(), initiator=False, response=True),
        # Refusals and cookies that we are sent as an initiator have no responder's SPI.
        build_message(Message(one.mint.strike(), bytes(8), 34, False, True, 0, (Notify(NotifyType.COOKIE, b"c" * 8),))),
    ]
    assert one.entered(*ours) == ours


def test_made_up_spis_are_heard_rarely(door):
    """Enough for an answer where there is one to give, too little to keep the engine busy."""
    one = door().rule()
    began = time.monotonic()
    entered = sum(len(one.entered(*(message_within() for _ in range(30)))) for _ in range(10))
    # A burst, and a hundred a second.
    assert 64 <= entered <= 65 + 100 * (time.monotonic() - began)
    counters = one.gate.counters()
    assert (counters["admitted-odd"], counters["odd-withheld"]) == (entered, 300 - entered)


ODD = {
    "short": bytes(27),
    "empty": b"",
    "another version": first_message()[:17] + b"\x30" + first_message()[18:],
    "a wrong length": first_message() + b"x",
}


@pytest.mark.parametrize("what", sorted(ODD))
def test_what_the_engine_has_a_name_for_is_left_to_it(door, what):
    one = door().rule(always=True)
    assert one.entered(ODD[what]) == [ODD[what]]
    assert one.gate.counters() == {"admitted-odd": 1}


def changed(at, octets):
    first = first_message()
    return first[:at] + octets + first[at + len(octets) :]


def built(*payloads, spi_r=bytes(8), message_id=0):
    return build_message(Message(os.urandom(8), spi_r, 34, True, False, message_id, payloads))


BAD = {
    "no SPI": changed(0, bytes(8)),
    "a responder's SPI": built(Nonce(bytes(32)), spi_r=b"12345678"),
    "another message ID": built(Nonce(bytes(32)), message_id=1),
    "no nonce": built(Vendor(b"x")),
    "two nonces": built(Nonce(bytes(32)), Nonce(bytes(32))),
    "nothing in it": built(),
    "a payload too long": changed(30, b"\xff\xff"),
    "a payload too short": changed(30, b"\0\3"),
    "a chain that does not end": changed(len(first_message()) - 36, b"\x28"),
    "a chain that ends early": changed(16, b"\0"),
    "too long": built(Nonce(bytes(32)), *(Vendor(bytes(1000)) for _ in range(9))),
}


@pytest.mark.parametrize("what", sorted(BAD))
def test_a_first_message_that_is_none_is_not_answered_under_load(door, what):
    one = door().rule(always=True)
    assert one.entered(BAD[what]) == []
    assert one.silent()
    assert one.gate.counters() == {"bad-first-message": 1}
    # In peace the engine judges it, and counts it by its own name.
    one.rule(always=False)
    assert one.entered(BAD[what]) == [BAD[what]]


@pytest.mark.parametrize("size", [15, 16, 256, 257])
def test_nonces_of_every_length_that_may_be(door, size):
    one = door().rule(always=True)
    first = built(Vendor(bytes(3)), Nonce(os.urandom(size)))
    assert one.entered(first) == []
    if not 16 <= size <= 256:
        assert one.silent()
        return
    again = with_cookie(first, one.answer().notify(NotifyType.COOKIE).data)
    assert one.entered(again) == [again]


@pytest.mark.parametrize("data", [b"\xff", b"", b"\0\0\0", b"\0\0\0\1" + bytes(40)])
def test_what_is_no_ike_on_the_natt_port_goes_nowhere(door, data):
    one = door(natt=True).rule()
    one.send_raw(data)
    assert one.read() == []
    assert one.gate.counters() == ({"keepalives": 1} if data == b"\xff" else {"not-ike": 1})


def test_before_there_is_a_rule_nothing_enters(door):
    one = door()
    assert one.entered(first_message(), within(one.mint.strike())) == []


def test_a_turn_is_bounded(door):
    one = door().rule(always=True)
    ours = within(one.mint.strike())
    one.queue(*[ours] * 100)
    assert [len(one.turn()) for _ in range(4)] == [32, 32, 32, 4]
    one.queue(*(first_message() for _ in range(150)))
    assert one.turn() == []
    assert one.gate.counters()["cookie-asked"] == 150


def test_datagrams_that_the_kernel_joined_are_judged_one_by_one(door):
    one = door(natt=True).rule(always=True)
    one.gate.join(one.inside.fileno())
    firsts = [MARKER + first_message() for _ in range(7)]
    one.peer.setsockopt(17, 103, len(firsts[0]))  # UDP_SEGMENT
    one.send_raw(b"".join(firsts), datagrams=len(firsts))
    assert one.read() == []
    one.peer.setsockopt(17, 103, 0)
    asked = [one.answer() for _ in firsts]
    assert [answer.spi_i for answer in asked] == [first[4:12] for first in firsts]


def test_random_octets_do_no_harm(door):
    one = door(natt=True).rule()
    chance = random.Random(7)
    base = MARKER + first_message()
    for _ in range(40):
        for _ in range(20):
            data = bytearray(base if chance.random() < 0.7 else chance.randbytes(chance.randrange(300)))
            for _ in range(chance.randrange(5)):
                if data:
                    data[chance.randrange(len(data))] = chance.randrange(256)
            if len(data) >= 32 and chance.random() < 0.5:
                data[28:32] = struct.pack("!I", len(data) - 4)
            one.send_raw(bytes(data))
        one.read()
    counted = one.gate.counters()
    counted.pop("cookies-sent", None)
    assert sum(counted.values()) == 800


def test_a_rule_has_whole_secrets():
    with pytest.raises(ValueError, match="32 octets"):
        Gate().set_rule(True, 0, bytes(31), None, bytes(32), 1)
    with pytest.raises(ValueError, match="one octet"):
        Gate().set_rule(True, 256, bytes(32), None, bytes(32), 1)


def test_the_kernel_shares_a_port_out_between_two_sockets():
    """What begins an IKE SA fills a queue of its own."""
    sockets = []
    for _ in range(2):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(sockets[0].getsockname() if sockets else ("127.0.0.1", 0))
        made.settimeout(30)
        sockets.append(made)
    steer(sockets[0].fileno())
    mint = SpiMint(os.urandom)
    known = [within(mint.strike()), message_within(), b"x", b"", ODD["short"]]
    known.append(build_message(Message(mint.strike(), bytes(8), 34, False, True, 0, ())))
    begin = [first_message(), with_ticket(), ODD["another version"]]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for data in (*known, *begin):
            peer.sendto(data, sockets[0].getsockname())
    assert [sockets[0].recv(2000) for _ in known] == known
    assert [sockets[1].recv(2000) for _ in begin] == begin
    for one in sockets:
        one.close()
