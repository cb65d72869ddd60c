"""The UDP edge on loopback: addresses in both directions, bounded reads, errors that are counted and never raised."""

import asyncio
import socket
import struct
from ipaddress import ip_address

import pytest

from rhp.ike.path import Endpoint
from rhp.net.udp import READS_PER_WAKEUP, FakeUdp, UdpSocket

ANY = "0.0.0.0"  # noqa: S104
WAYS = [(ANY, "127.0.0.9", "127.0.0.1"), ("::", "::1", "::1")]
SECONDS = 30.0
SO_MEMINFO = 55


def bound(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind((address, 0))
    return made


@pytest.fixture
def peer():
    opened = []

    def make(address):
        opened.append(bound(address))
        opened[-1].settimeout(SECONDS)
        return opened[-1]

    yield make
    for one in opened:
        one.close()


async def gather(edge, expected):
    got = []
    done = asyncio.Event()

    def deliver(*arrival):
        got.append(arrival)
        if len(got) >= expected:
            done.set()

    edge.listen(asyncio.get_running_loop(), deliver)
    await asyncio.wait_for(done.wait(), SECONDS)
    return got


def held(edge):
    """The memory of what waits to be read."""
    return struct.unpack("9I", edge._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))[0]


async def until(condition):
    async with asyncio.timeout(SECONDS):
        while not (found := condition()):
            await asyncio.sleep(0.001)
    return found


@pytest.mark.parametrize(("everywhere", "ours", "theirs"), WAYS)
def test_an_answer_leaves_from_the_address_that_was_asked(peer, everywhere, ours, theirs):
    async def exchange():
        edge = UdpSocket(bound(everywhere).detach())
        port = edge._port
        client = peer(theirs)
        client.sendto(b"question", (ours, port))
        ((data, local, remote),) = await gather(edge, 1)
        assert data == b"question"
        assert local == Endpoint(ip_address(ours), port)
        assert remote == Endpoint(ip_address(theirs), client.getsockname()[1])
        assert edge.send(b"answer", local, remote)
        answer, source = client.recvfrom(100)
        assert answer == b"answer"
        assert source[:2] == (ours, port)
        assert edge.counters == {"datagrams-in": 1, "datagrams-out": 1}
        edge.close()
        edge.close()

    asyncio.run(exchange())


def test_reads_are_bounded_per_wake_up(peer):
    async def flood():
        edge = UdpSocket(bound("127.0.0.1").detach())
        client = peer("127.0.0.1")
        client.sendto(b"x", ("127.0.0.1", edge._port))
        one = await until(lambda: held(edge))
        for _ in range(READS_PER_WAKEUP + 9):
            client.sendto(b"x", ("127.0.0.1", edge._port))
        await until(lambda: held(edge) == (READS_PER_WAKEUP + 10) * one)
        got = []
        edge._deliver = lambda *arrival: got.append(arrival)
        edge._read()
        assert len(got) == READS_PER_WAKEUP
        edge._read()
        assert len(got) == READS_PER_WAKEUP + 10
        edge.close()

    asyncio.run(flood())


def test_an_empty_datagram_arrives_as_one(peer):
    async def exchange():
        edge = UdpSocket(bound("127.0.0.1").detach())
        peer("127.0.0.1").sendto(b"", ("127.0.0.1", edge._port))
        ((data, _, _),) = await gather(edge, 1)
        assert data == b""
        edge.close()

    asyncio.run(exchange())


@pytest.mark.parametrize(
    ("datagram", "local", "remote", "counter"),
    [
        (b"x" * 70000, "127.0.0.1", "127.0.0.1", "send-emsgsize"),
        (b"x", "192.0.2.77", "127.0.0.1", "send-enetunreach"),
        (b"x", "127.0.0.1", "255.255.255.255", "send-eacces"),
    ],
)
def test_what_cannot_be_sent_is_counted(datagram, local, remote, counter):
    edge = UdpSocket(bound(ANY).detach())
    sent = edge.send(datagram, Endpoint(ip_address(local), 1), Endpoint(ip_address(remote), 9))
    edge.close()
    assert not sent
    assert edge.counters == {counter: 1}


def test_a_refused_port_does_not_end_the_reading(peer):
    async def exchange():
        edge = UdpSocket(bound("127.0.0.1").detach())
        gone = bound("127.0.0.1")
        dead = Endpoint(ip_address("127.0.0.1"), gone.getsockname()[1])
        gone.close()
        us = Endpoint(ip_address("127.0.0.1"), edge._port)
        edge.send(b"x", us, dead)
        await asyncio.sleep(0.05)
        peer("127.0.0.1").sendto(b"still here", ("127.0.0.1", edge._port))
        ((data, _, _),) = await gather(edge, 1)
        assert data == b"still here"
        edge.close()

    asyncio.run(exchange())


def test_the_fake_keeps_and_plays_datagrams():
    got = []
    fake = FakeUdp(lambda *arrival: got.append(arrival))
    ours, theirs = Endpoint(ip_address("192.0.2.1"), 500), Endpoint(ip_address("192.0.2.2"), 500)
    assert fake.send(b"a", ours, theirs)
    fake.arrive(b"b", ours, theirs)
    fake.close()
    assert fake.sent == [(b"a", ours, theirs)]
    assert got == [(b"b", ours, theirs)]
    assert fake.closed


@pytest.mark.parametrize(("ours", "theirs"), [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "fe80::1%2")])
def test_a_reader_may_do_the_reading(peer, ours, theirs):
    """What it gives is delivered with both endpoints; what it keeps to itself is nobody's business."""

    async def exchange():
        edge = UdpSocket(bound("127.0.0.1").detach())
        asked, got = [], []

        def read(fd, port):
            asked.append((fd, port))
            edge._socket.recv(100)
            return [(b"let in", ours, port, theirs, 4500)] * 2

        edge.listen(asyncio.get_running_loop(), lambda *arrival: got.append(arrival), read)
        peer("127.0.0.1").sendto(b"anything", ("127.0.0.1", edge._port))
        await until(lambda: got)
        assert asked == [(edge.fd, edge._port)]
        here, there = Endpoint(ip_address(ours), edge._port), Endpoint(ip_address(theirs), 4500)
        assert got == [(b"let in", here, there)] * 2
        assert edge.counters == {"datagrams-in": 2}
        edge.close()

    asyncio.run(exchange())
