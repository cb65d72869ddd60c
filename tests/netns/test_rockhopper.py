"""A node and a Rockhopper over real sockets: either begins, ESP travels in UDP, and the node answers on the cable."""

import socket
import struct
import time

import pytest
from ladder_rockhopper import IKE_SUITE, MAC, Rockhopper

from rhp._fast.esp import EspOpener, EspSealer
from rhp.lab.nodeconf import psk
from rhp.lab.pair import CHILD, CONNECTION, INNER, SECRET, TAP
from rhp.lab.rhpnode import RhpNode
from rhp.lab.topology import cable, outer
from rhp.wire.iana import ExchangeType
from rhp.wire.message import parse_message

pytestmark = pytest.mark.netns

MARKER = bytes(4)
AES_CBC, ETHERIP, NO_NEXT_HEADER = 12, 97, 59
OWN = "10.77.0.9"


class Post:
    """The Rockhopper's two ports, in a namespace of its own."""

    def __init__(self, namespace, here, there):
        self._there, self.esp, self.pair, self._heard = there, [], None, set()
        self.ports = {port: namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) for port in (500, 4500)}
        for port, one in self.ports.items():
            one.bind((here, port))
        self.other = Rockhopper(self.send, SECRET.encode(), "b.example.org", "a.example.org")

    def close(self):
        for one in self.ports.values():
            one.close()

    def send(self, datagram):
        if parse_message(datagram).exchange == ExchangeType.IKE_SA_INIT:
            self.ports[500].sendto(datagram, (self._there, 500))
        else:
            self.ports[4500].sendto(MARKER + datagram, (self._there, 4500))

    def hear(self, port=4500):
        """The next IKE message, and not one that was sent again; ESP that comes before it is put aside."""
        self.ports[port].settimeout(30)
        found = self._next(port, lambda one: (port == 500 or one[:4] == MARKER) and one not in self._heard)
        self._heard.add(found)
        return found[0 if port == 500 else 4 :]

    def keys(self):
        self.pair = pair = self.other.child
        own, peers = (pair.keys.encr_i, pair.keys.integ_i), (pair.keys.encr_r, pair.keys.integ_r)
        if not pair.began:
            own, peers = peers, own
        out, back = ([key.expose() for key in keys] for keys in (own, peers))
        mac = pair.suite.integrity.id
        self._sealer = EspSealer(AES_CBC, out[0], mac, out[1], int.from_bytes(pair.spi_out), True)
        self._opener = EspOpener(AES_CBC, back[0], mac, back[1], int.from_bytes(pair.spi_in), True, 64)
        self._sequence = 0

    def ask(self, frame, wanted):
        """Send a frame until one comes back that is wanted."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            self._sequence += 1
            packet = self._sealer.seal(self._sequence, ETHERIP, b"\x30\x00" + frame)
            self.ports[4500].sendto(packet, (self._there, 4500))
            self.ports[4500].settimeout(1)
            for found in self._frames():
                if wanted(found):
                    return found
        raise AssertionError("no such frame came back")

    def _frames(self):
        try:
            while True:
                # What was sealed with an older pair is none of these.
                packet = self._next(4500, lambda datagram: datagram[:4] == self.pair.spi_in)
                next_header, payload = self._opener.open(packet)
                if next_header == NO_NEXT_HEADER:
                    continue  # A dummy packet, with which the node tries the path.
                assert (next_header, payload[:2]) == (ETHERIP, b"\x30\x00")
                yield payload[2:]
        except TimeoutError:
            return

    def _next(self, port, wanted):
        while True:
            datagram = self.ports[port].recv(65535)
            if wanted(datagram):
                return datagram


@pytest.fixture
def start(lab):
    hosts = cable(lab)
    post = Post(hosts[1], outer(2, 4), outer(1, 4))

    def make(*, calls):
        connection = psk("a.example.org", "b.example.org", SECRET)
        if calls:
            # All that has to be said: a Rockhopper does not answer an IKE_SA_INIT with our default in it.
            connection = {**connection, "remote_addrs": [outer(2, 4)], "proposals": IKE_SUITE}
        child = {"mode": "ethernet"}
        table = {
            "interface": {"name": TAP, "addresses": [f"{INNER[0]}/24"]},
            "connections": {CONNECTION: {**connection, "children": {CHILD: child}}},
        }
        return lab.keep(RhpNode(hosts[0], lab.path("node"), table)), post

    yield make
    post.close()


def arp():
    sender, target = socket.inet_aton(OWN), socket.inet_aton(INNER[0])
    return bytes((255,)) * 6 + MAC + struct.pack("!HHHBBH", 0x806, 1, 0x800, 6, 4, 1) + MAC + sender + bytes(6) + target


def echo(station):
    body = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"are you there?" * 2
    body = body[:2] + checksum(body) + body[4:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 1, 0)
    head += socket.inet_aton(OWN) + socket.inet_aton(INNER[0])
    return station + MAC + b"\x08\x00" + head[:10] + checksum(head) + head[12:] + body


def checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def talk(node, post):
    """Who has the node's address? And does it answer a ping?"""
    node.wait_established(CONNECTION)
    if post.other.child is not post.pair:
        post.keys()
    answer = post.ask(arp(), lambda frame: frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x02")
    station = answer[6:12]
    assert answer[28:32] == socket.inet_aton(INNER[0])
    pong = post.ask(echo(station), lambda frame: frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] == 0)
    assert (pong[:6], pong[6:12]) == (MAC, station)
    assert b"are you there?" in pong
    assert "Traceback" not in node.process.text()


def test_it_calls(start):
    node, post = start(calls=False)
    post.other.begin()
    post.other.authenticate(post.hear(500))
    post.other.established(post.hear())
    assert post.other.open(post.hear()).payloads == ()
    talk(node, post)
    # A new pair carries frames both ways, and what is still sealed with the old one is not missed.
    post.other.rekey_child()
    old = post.other.child_rekeyed(post.hear())
    talk(node, post)
    post.other.delete(old)
    post.other.open(post.hear())


def test_the_node_calls(start):
    node, post = start(calls=True)
    post.other.answer_init(post.hear(500))
    post.other.answer_auth(post.hear())
    post.other.acknowledge(post.hear())
    talk(node, post)
