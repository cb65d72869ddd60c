"""Lifetimes in packets and octets on a running data plane (RFC 7296 section 2.8): the warning, and the end."""

import pytest
from planes import BROADCAST, frame, mac

HOST, ONE = mac(0x100), mac(1)
SENT = frame(BROADCAST, HOST)
BACK = frame(BROADCAST, ONE)


def test_an_sa_says_when_it_nears_its_end_and_stops_hard(rig):
    peer = rig.peer()
    first = (peer.spi_in, peer.spi_out)
    peer.rekey(packet_limit=100)
    for _ in range(130):
        rig.tap.send(SENT)
    rig.wait_count("drop-sequence-exhausted", 30)
    packets = [peer.sock.recv(70000) for _ in range(100)]
    assert [int.from_bytes(packet[4:8], "big") for packet in packets] == list(range(1, 101))
    rig.settle()
    assert peer.pending() == []
    assert rig.events() == [("sa-limit", peer.spi_in, "near"), ("sa-limit", peer.spi_in, "over")]
    rig.plane.retire(peer.spi_in)
    rig.tap.send(SENT)
    assert int.from_bytes(peer.sock.recv(70000)[:4], "big") == first[1]


def test_octets_sent_have_a_limit(rig):
    peer = rig.peer()
    size = len(SENT) + 2
    peer.rekey(octet_warn=5 * size, octet_limit=10 * size)
    for _ in range(5):
        rig.tap.send(SENT)
    rig.settle()
    assert rig.events() == []
    rig.tap.send(SENT)
    rig.settle()
    assert rig.events() == [("sa-limit", peer.spi_in, "near")]
    for _ in range(10):
        rig.tap.send(SENT)
    rig.wait_count("drop-lifetime-over", 6)
    rig.settle()
    assert len(peer.pending()) == 10
    assert peer.counters()["bytes_out"] == 10 * size
    assert rig.events() == [("sa-limit", peer.spi_in, "over")]
    # A new pair has a lifetime of its own.
    peer.rekey(octet_limit=10 * size)
    rig.tap.send(SENT)
    assert peer.recv_frame() == SENT


@pytest.mark.parametrize("kind", ["octet", "packet"])
def test_what_comes_in_has_the_same_limit(rig, kind):
    peer = rig.peer()
    unit = len(BACK) + 2 if kind == "octet" else 1
    peer.rekey(**{f"{kind}_warn": 3 * unit, f"{kind}_limit": 6 * unit})
    for _ in range(3):
        peer.send_frame(BACK)
        assert rig.tap.recv() == BACK
    assert rig.events() == [("first-inbound", peer.spi_in)]
    for _ in range(3):
        peer.send_frame(BACK)
        assert rig.tap.recv() == BACK
    assert rig.events() == [("sa-limit", peer.spi_in, "near")]
    for _ in range(4):
        peer.send_frame(BACK)
    rig.wait_count("drop-lifetime-over", 4)
    assert peer.counters()["packets_in"] == 6
    assert rig.events() == [("sa-limit", peer.spi_in, "over")]


def test_what_is_not_authentic_uses_up_no_lifetime(rig):
    peer = rig.peer()
    peer.rekey(packet_limit=2)
    for _ in range(10):
        peer.send_raw(peer.spi_in.to_bytes(4) + (5).to_bytes(4) + bytes(96))
    rig.wait_count("drop-esp-bad-icv", 10)
    for _ in range(2):
        peer.send_frame(BACK)
        assert rig.tap.recv() == BACK


@pytest.mark.parametrize("limit", [-1, 1 << 64])
@pytest.mark.parametrize("name", ["packet_limit", "packet_warn", "octet_limit", "octet_warn"])
def test_a_limit_is_a_number_of_64_bits(rig, name, limit):
    peer = rig.peer()
    with pytest.raises(ValueError):
        peer.rekey(**{name: limit})
