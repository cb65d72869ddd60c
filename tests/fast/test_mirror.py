"""Copies of what the tunnels carry: which frames, of which port, how long, and that nobody waits for who takes them."""

import select
import time

import pytest
from planes import ANY4, BROADCAST, SECONDS, Rig, frame, mac, wait_for

HOST, ONE = mac(0x100), mac(1)


@pytest.fixture
def rig():
    with Rig() as made:
        yield made


def frames(rig, count):
    """That many captured frames; the event descriptor tells of them."""
    found = []
    while len(found) < count:
        ready, _, _ = select.select([rig.plane.event_fd], [], [], SECONDS)
        assert ready
        rig.plane.poll_events()
        found += rig.plane.poll_frames()
    return found


def test_what_enters_and_what_leaves(rig):
    peer = rig.peer()
    rig.plane.capture(65550)
    before = time.monotonic_ns()
    out, back = frame(BROADCAST, HOST, payload=b"out" * 20), frame(BROADCAST, ONE, payload=b"back" * 20)
    rig.tap.send(out)
    peer.recv_frame()
    peer.send_frame(back)
    rig.tap.recv()
    first, second = frames(rig, 2)
    assert (first[0], first[1], first[3], first[4]) == (peer.port, True, len(out), out)
    assert (second[0], second[1], second[3], second[4]) == (peer.port, False, len(back), back)
    assert before - 1e9 < first[2] <= second[2] <= time.monotonic_ns()


def test_nothing_before_and_after(rig):
    peer = rig.peer()
    rig.tap.send(frame(BROADCAST, HOST))
    peer.recv_frame()
    rig.plane.capture(100)
    rig.plane.capture(0)
    rig.tap.send(frame(BROADCAST, HOST))
    peer.recv_frame()
    rig.settle()
    assert rig.plane.poll_frames() == []


def test_cut_and_of_one_port(rig):
    one, two = rig.peer(), rig.peer()
    rig.plane.capture(20, two.port)
    whole = frame(BROADCAST, HOST, payload=bytes(range(100)))
    rig.tap.send(whole)
    one.recv_frame()
    two.recv_frame()
    (only,) = frames(rig, 1)
    assert (only[0], only[3], only[4]) == (two.port, len(whole), whole[:20])


def test_a_tunnel_of_ip_shows_its_ethernet_header(rig):
    ip = rig.peer("ip", pseudo_mac=mac(50), local_ts=(ANY4,), remote_ts=(ANY4,))
    rig.plane.capture(65550)
    packet = bytes.fromhex("45000014000000004001") + b"\0\0" + bytes([10, 2, 0, 1, 10, 1, 0, 1])
    ip.send(packet, next_header=4)
    rig.tap.recv()
    (only,) = frames(rig, 1)
    assert only[:2] == (ip.port, False)
    assert only[4][6:14] == mac(50) + b"\x08\x00"
    assert only[4][14:] == packet


def test_who_does_not_take_them_loses_copies_and_no_frame(rig):
    peer = rig.peer()
    rig.plane.capture(65550)
    big = frame(BROADCAST, HOST, payload=bytes(1400))
    for _ in range(1500):
        rig.tap.send(big)
        assert len(peer.recv_frame()) == len(big)
    wait_for(lambda: rig.plane.frames_lost() > 0)
    kept = 0
    while found := rig.plane.poll_frames():
        kept += len(found)
    assert kept + rig.plane.frames_lost() == 1500


@pytest.mark.parametrize("octets", [-1, 65551])
def test_lengths_that_are_none(rig, octets):
    with pytest.raises(ValueError, match="cannot be kept"):
        rig.plane.capture(octets)
    with pytest.raises(KeyError):
        rig.plane.capture(10, 7)
