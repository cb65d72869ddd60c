"""Sockets and TAPs: what comes out, and the one sentence when the machine does not allow it."""

import errno
import fcntl
import os
import socket

import pytest

from rhp.guard import sockets


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
        opened.settimeout(5)
        data, ancillary, _, _ = opened.recvmsg(100, 100)
        assert data == b"hello"
        assert ancillary[0][2][8:12] == bytes((127, 0, 0, 3))


def test_both_families_share_a_port(close):
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
def test_a_tap_with_queues(close, own_network):
    descriptors = [close(fd) for fd in sockets.open_tap("rhpt0", 3)]
    assert len(set(descriptors)) == 3
    for descriptor in descriptors:
        assert flags_of(descriptor) == (fcntl.FD_CLOEXEC, False)
        with pytest.raises(BlockingIOError):
            os.read(descriptor, 2000)
    assert socket.if_nametoindex("rhpt0")


@pytest.mark.netns
def test_a_tap_goes_with_its_descriptors(own_network):
    for descriptor in sockets.open_tap("rhpt0", 2):
        os.close(descriptor)
    with pytest.raises(OSError, match="no interface"):
        socket.if_nametoindex("rhpt0")


@pytest.mark.netns
def test_a_tap_that_exists_is_left_alone(close, own_network):
    close(sockets.open_tap("rhpt0", 1)[0])
    with pytest.raises(OSError, match="the interface rhpt0 exists already: is another node running"):
        sockets.open_tap("rhpt0", 1)
    with pytest.raises(OSError, match="exists already"):
        sockets.open_tap("lo", 1)


@pytest.mark.parametrize("name", ["", "a" * 16, "a/b", "a b", "ä"])
def test_names_that_no_interface_may_have(name):
    with pytest.raises(OSError, match="is not an interface name"):
        sockets.open_tap(name, 1)


@pytest.mark.parametrize("queues", [0, -1, 257])
def test_numbers_of_queues_that_are_none(queues):
    with pytest.raises(OSError, match="queues"):
        sockets.open_tap("rhpt0", queues)


def test_without_the_tun_device(monkeypatch, tmp_path):
    def missing(name, flags):
        raise sockets.pytun.Error(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(sockets.pytun, "TunTapDevice", missing)
    monkeypatch.setattr(sockets, "_TUN_DEVICE", tmp_path / "net" / "tun")
    with pytest.raises(OSError, match="is missing: load the tun module"):
        sockets.open_tap("rhpt0", 1)


@pytest.mark.netns
def test_without_root(as_nobody, own_network):
    def attempts():
        sentences = []
        for attempt in (
            lambda: sockets.open_tap("rhpt0", 1),
            lambda: sockets.open_udp("0.0.0.0", 500, reuse=False),  # noqa: S104
            lambda: sockets.open_raw_esp(4),
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
    ]


def test_without_privileges_the_buffers_are_what_the_system_grants(as_nobody):
    def grown():
        descriptor = sockets.open_udp("127.0.0.1", 0, reuse=False)
        with socket.socket(fileno=descriptor) as opened:
            return opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    assert as_nobody(grown) > 0
