"""Sockets: what comes out, and the one sentence when the machine does not allow it."""

import errno
import fcntl
import os
import select
import socket
import struct
import subprocess

import pytest

from rhp.guard import sockets, taps


@pytest.fixture
def close():
    opened = []

    def remember(descriptor):
        opened.append(descriptor)
        return descriptor

    yield remember
    for descriptor in opened:
        os.close(descriptor)


def flags_of(descriptor):
    return fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC, os.get_blocking(descriptor)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_udp_socket_is_ready_for_the_data_plane(close, address):
    descriptor = close(sockets.open_udp(address, 0, reuse=False))
    assert flags_of(descriptor) == (fcntl.FD_CLOEXEC, False)
    with socket.socket(fileno=os.dup(descriptor)) as opened:
        assert opened.type == socket.SOCK_DGRAM
        assert opened.getsockname()[0] == address
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 4 << 20
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
        if ":" in address:
            assert opened.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
            assert opened.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO) == 1
        else:
            assert opened.getsockopt(socket.IPPROTO_IP, 8) == 1


def test_the_local_address_of_a_datagram_is_told(close):
    descriptor = close(sockets.open_udp("0.0.0.0", 0, reuse=False))  # noqa: S104
    with socket.socket(fileno=os.dup(descriptor)) as opened, socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", ("127.0.0.3", opened.getsockname()[1]))
        opened.settimeout(30)
        data, ancillary, _, _ = opened.recvmsg(100, 100)
        assert data == b"hello"
        assert ancillary[0][2][8:12] == bytes((127, 0, 0, 3))


def test_both_families_share_a_port(close, own_network):
    four = close(sockets.open_udp("0.0.0.0", 0, reuse=False))  # noqa: S104
    with socket.socket(fileno=os.dup(four)) as opened:
        port = opened.getsockname()[1]
    close(sockets.open_udp("::", port, reuse=False))


def test_a_port_in_use_is_one_sentence(close):
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="is another IKE daemon running") as caught:
            sockets.open_udp("127.0.0.1", port, reuse=False)
        assert caught.value.errno == errno.EADDRINUSE
        assert f"UDP port {port} on 127.0.0.1" in caught.value.strerror
        with pytest.raises(OSError, match="in use already"):
            sockets.open_udp("127.0.0.1", port, reuse=True)


def test_a_shared_port_has_a_socket_for_each_lane(close):
    first = close(sockets.open_udp("127.0.0.1", 0, reuse=True))
    with socket.socket(fileno=os.dup(first)) as opened:
        port = opened.getsockname()[1]
    close(sockets.open_udp("127.0.0.1", port, reuse=True))
    with pytest.raises(OSError, match="in use already"):
        sockets.open_udp("127.0.0.1", port, reuse=False)


def test_an_address_that_is_not_here():
    with pytest.raises(OSError, match=r"192.0.2.1 is not an address of this machine"):
        sockets.open_udp("192.0.2.1", 0, reuse=False)


@pytest.mark.parametrize("address", ["", "localhost", "1.2.3", "10.0.0.1/24"])
def test_an_address_that_is_none(address):
    with pytest.raises(ValueError, match="address"):
        sockets.open_udp(address, 0, reuse=False)


@pytest.mark.netns
@pytest.mark.parametrize("family", [4, 6])
def test_raw_sockets(close, family):
    descriptor = close(sockets.open_raw_esp(family))
    assert flags_of(descriptor) == (fcntl.FD_CLOEXEC, False)
    with socket.socket(fileno=os.dup(descriptor)) as opened:
        assert opened.proto == 50
        assert opened.type == socket.SOCK_RAW
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 4 << 20


@pytest.mark.netns
@pytest.mark.parametrize(("address", "option", "value"), [("127.0.0.1", (0, 10), 5), ("::1", (41, 23), 1)])
def test_datagrams_may_be_fragmented(close, address, option, value):
    """IP_PMTUDISC_OMIT over IPv4, IPV6_PMTUDISC_WANT over IPv6."""
    for descriptor in (sockets.open_udp(address, 0, reuse=False), sockets.open_raw_esp(6 if ":" in address else 4)):
        with socket.socket(fileno=os.dup(close(descriptor))) as opened:
            assert opened.getsockopt(*option) == value


@pytest.mark.netns
@pytest.mark.parametrize("family", [4, 6])
def test_an_icmp_socket_hears_of_long_packets_and_nothing_else(close, own_network, family):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    descriptor = close(sockets.open_icmp(family))
    assert flags_of(descriptor) == (fcntl.FD_CLOEXEC, False)
    inside, protocol, address = ((2, 1, "127.0.0.1"), (10, 58, "::1"))[family == 6]
    wanted, other = ((3, 11), (2, 3))[family == 6]
    with socket.socket(inside, socket.SOCK_RAW, protocol) as sender:
        for kind in (other, wanted, 129 if family == 6 else 0):
            # Type, code 4, and a checksum that makes the twelve octets add up; the kernel itself sees to ICMPv6's.
            sender.sendto(struct.pack("!BBHII", kind, 4, 0xFFFF - (kind << 8 | 4), 0, 0), (address, 0))
    # A kernel that is busy hands packets on in a thread of its own, when that has its turn.
    assert select.select([descriptor], [], [], 30)[0]
    heard = os.read(descriptor, 2000)
    assert heard[20 if family == 4 else 0] == wanted
    with pytest.raises(BlockingIOError):
        os.read(descriptor, 2000)


@pytest.mark.netns
@pytest.mark.parametrize("family", [4, 6])
def test_an_icmp_socket_is_not_made_to_hear_more(close, own_network, family):
    """By who has it, whatever it has been turned into."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    protocol, address, (level, all_of_them) = (
        (1, "127.0.0.1", (255, bytes(4))),
        (58, "::1", (58, bytes(32))),
    )[family == 6]
    descriptor = close(sockets.open_icmp(family))
    with socket.socket(fileno=os.dup(descriptor)) as opened:
        for option in (26, 27):  # SO_ATTACH_FILTER, SO_DETACH_FILTER.
            with pytest.raises(PermissionError):
                opened.setsockopt(socket.SOL_SOCKET, option, struct.pack("@HxxxxxxP", 0, 0))
        opened.setsockopt(level, 1, all_of_them)
        # A host that another one is not reached from: "unreachable" of another code, and an echo.
        with socket.socket(opened.family, socket.SOCK_RAW, protocol) as sender:
            for kind, code in ((3, 1), (1, 4), (8, 0), (128, 0), (5, 1)):
                sender.sendto(struct.pack("!BBHII", kind, code, 0xFFFF - (kind << 8 | code), 0, 0), (address, 0))
        with pytest.raises(BlockingIOError):
            opened.recv(2000)


@pytest.mark.netns
def test_without_root(as_nobody, own_network):
    def attempts():
        sentences = []
        for attempt in (
            lambda: taps.open_tap("rhpt0", 1, offload=True),
            lambda: sockets.open_udp("0.0.0.0", 500, reuse=False),  # noqa: S104
            lambda: sockets.open_raw_esp(4),
            lambda: sockets.open_icmp(4),
        ):
            try:
                attempt()
            except OSError as error:
                sentences.append(error.strerror)
            else:
                sentences.append("it worked")
        return sentences

    assert as_nobody(attempts) == [
        "creating the interface rhpt0 needs root (CAP_NET_ADMIN)",
        "opening UDP port 500 needs root (CAP_NET_BIND_SERVICE)",
        "opening a raw socket for ESP needs root (CAP_NET_RAW)",
        "opening a raw socket for ICMP needs root (CAP_NET_RAW)",
    ]


def test_without_privileges_the_buffers_are_what_the_system_grants(as_nobody):
    def grown():
        descriptor = sockets.open_udp("127.0.0.1", 0, reuse=False)
        with socket.socket(fileno=descriptor) as opened:
            return opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    assert as_nobody(grown) > 0
