"""Whatever arrives, the lane counts it and goes on: after each of these the tunnel still works."""

import os
import random
import socket
from pathlib import Path

import pytest
from planes import BROADCAST, ETHERIP, frame, mac

ONE = mac(1)
GOOD = frame(BROADCAST, ONE)


@pytest.fixture
def peer(rig):
    peer = rig.peer()
    yield peer
    rig.tap.pending()
    peer.send_frame(GOOD)
    assert rig.tap.recv() == GOOD


def memory():
    """Resident octets of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("data", [b"\x01", b"\xff\xff", b"abc"])
def test_short_datagrams(rig, peer, data):
    peer.send_raw(data)
    rig.wait_count("drop-datagram-short")


def test_an_empty_datagram(rig, peer):
    peer.send_raw(b"")
    rig.wait_count("drop-datagram-short")


@pytest.mark.parametrize("spi", [1, 255, 256, 0xFFFFFFFF])
def test_unknown_spis(rig, peer, spi):
    peer.send_raw(spi.to_bytes(4, "big") + bytes(60))
    rig.wait_count("drop-unknown-spi")
    rig.settle_sockets()
    told = [event[1] for event in rig.events("unknown-spi")]
    assert told == ([spi] if spi >= 256 else [])


@pytest.mark.parametrize("size", range(4, 40))
def test_truncated_packets(rig, peer, size):
    peer.send_raw(peer.seal(ETHERIP + GOOD)[:size])
    rig.wait_count("drop-esp-truncated" if size < 34 else "drop-esp-bad-icv")


def test_every_flipped_octet(rig, peer):
    packet = peer.seal(ETHERIP + GOOD)
    for index in range(4, len(packet)):
        peer.send_raw(packet[:index] + bytes((packet[index] ^ 0x40,)) + packet[index + 1 :])
    rig.settle()
    assert rig.tap.pending() == []
    assert rig.count("drop-esp-bad-icv") == len(packet) - 4


@pytest.mark.parametrize(
    ("payload", "next_header", "name"),
    [
        (ETHERIP + GOOD, 4, "wrong-next-header"),
        (ETHERIP + GOOD, 41, "wrong-next-header"),
        (ETHERIP + GOOD, 255, "wrong-next-header"),
        (b"\x40\x00" + GOOD, 97, "etherip-header"),
        (b"\x30\x01" + GOOD, 97, "etherip-header"),
        (b"\x31\x00" + GOOD, 97, "etherip-header"),
        (b"\x30", 97, "etherip-header"),
        (b"", 97, "etherip-header"),
        (ETHERIP, 97, "frame-runt"),
        (ETHERIP + GOOD[:13], 97, "frame-runt"),
        (b"noise", 59, "dummy-packet"),
    ],
)
def test_authentic_packets_with_a_wrong_inside(rig, peer, payload, next_header, name):
    peer.send(payload, next_header)
    rig.wait_count(f"drop-{name}")
    rig.settle()
    assert rig.tap.pending() == []


def test_the_largest_datagram(rig, peer):
    peer.send_raw(peer.spi_in.to_bytes(4, "big") + os.urandom(65503))
    rig.wait_count("drop-esp-bad-icv")


def test_frames_too_large_for_a_datagram(rig, peer):
    rig.tap.host.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    for size in (65505, 66000, 67100):
        rig.tap.send(GOOD[:14] + bytes(size - 14))
    rig.wait_count("drop-esp-oversized", 2)
    rig.wait_count("drop-frame-oversized")
    largest = GOOD[:14] + os.urandom(65400)
    rig.tap.send(largest)
    assert peer.recv_frame() == largest
    peer.send_frame(largest[:6] + ONE + largest[12:])
    assert len(rig.tap.recv()) == len(largest)


def test_ten_thousand_random_datagrams_and_frames(rig, peer):
    rng = random.Random(4)
    before = memory()
    packet = peer.seal(ETHERIP + GOOD, sequence=900)
    for turn in range(5000):
        start = rng.choice([b"", bytes(4), packet[:4], packet[: rng.randrange(len(packet))]])
        peer.send_raw(start + rng.randbytes(rng.choice([0, 1, 3, 20, 100, 1400])))
        rig.tap.send(rng.choice([b"", GOOD[:12], GOOD[:12] + b"\x08\x06"]) + rng.randbytes(rng.randint(1, 100)))
        if turn % 100 == 0:
            peer.pending()
            rig.plane.poll_events()
    rig.settle()
    peer.pending()
    assert memory() - before < 10 << 20


def test_one_peer_cannot_fill_the_table(rig, peer):
    other = rig.peer()
    for turn in range(6000):
        peer.send_frame(frame(BROADCAST, b"\x02\x01" + turn.to_bytes(4, "big")))
        if turn % 50 == 0:
            rig.settle()
            other.pending()
            rig.tap.pending()
    rig.settle()
    assert 4000 < len([port for _, port, _ in rig.plane.macs() if port == peer.port]) < 5000
    assert rig.count("mac-table-full") > 1000
    # Everybody else is learned as before, the host's network too.
    other.send_frame(frame(BROADCAST, mac(2)))
    rig.tap.send(frame(BROADCAST, mac(3)))
    rig.settle()
    assert {(mac(2), other.port), (mac(3), 0)} <= {(station, port) for station, port, _ in rig.plane.macs()}


def test_a_forwarding_storm_of_spoofed_senders(rig, peer):
    """Random sources fill the table and no further; the lane keeps its pace."""
    other = rig.peer()
    for _ in range(3000):
        peer.send_frame(frame(BROADCAST, b"\x02" + os.urandom(5)))
        other.pending()
        rig.tap.pending()
    rig.settle()
    assert len(rig.plane.macs()) <= 32768 + 16
