"""What the lanes tell the control thread: IKE datagrams, rate limits, a full ring, a lost TAP."""

import errno
import os
import select
import socket
import time

import pytest
from planes import BROADCAST, SECONDS, Rig, Tap, frame, mac, wait_for

MARKER = bytes(4)
ONE = mac(1)
HOST = mac(0xFE)
OF_AN_SA = b"\x01" * 16 + bytes(12)
BEGINNING = b"\x01" * 8 + bytes(20)


def readable(fd, seconds=0.0):
    return bool(select.select([fd], [], [], seconds)[0])


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_ike_comes_with_both_addresses(family):
    with Rig(family=family) as rig:
        peer = rig.peer()
        # A lane that has taken a descriptor over wakes us for that, with nothing to tell.
        rig.settle()
        assert rig.events() == []
        peer.send_raw(MARKER + b"an IKE message")
        assert readable(rig.plane.event_fd, SECONDS)
        port = peer.sock.getsockname()[1]
        assert rig.events() == [("ike", rig.ip, port, rig.ip, rig.port, b"an IKE message")]
        assert not readable(rig.plane.event_fd)
        assert rig.count("ike-datagrams-in") == 1


def test_the_address_is_the_one_that_was_meant():
    with Rig(start=False) as rig, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wide:
        wide.bind(("", 0))
        rig.plane.attach_udp(0, wide.fileno(), socket.AF_INET)
        rig.plane.start()
        rig.peer().sock.sendto(MARKER + b"x", ("127.0.0.9", wide.getsockname()[1]))
        assert rig.wait_event("ike")[3:5] == ("127.0.0.9", wide.getsockname()[1])


def test_sizes_up_to_the_largest(rig):
    peer = rig.peer()
    for size in (0, 1, 27, 28, 65000):
        data = os.urandom(size)
        peer.send_raw(MARKER + data)
        assert rig.wait_event("ike")[5] == data


def test_keepalives_are_swallowed(rig):
    peer = rig.peer()
    rig.settle()
    rig.events()
    before = rig.count("keepalives-in")
    for _ in range(3):
        peer.send_raw(b"\xff")
    rig.wait_count("keepalives-in", before + 3)
    assert rig.events() == []
    assert not readable(rig.plane.event_fd)


def test_events_wait_for_their_turn(rig):
    peer = rig.peer()
    for number in range(100):
        peer.send_raw(MARKER + bytes((number,)))
    rig.wait_count("ike-datagrams-in", 100)
    rig.settle_sockets()
    assert [event[5] for event in rig.plane.poll_events(30)] == [bytes((number,)) for number in range(30)]
    # There are more, and the descriptor says so.
    assert readable(rig.plane.event_fd)
    assert len(rig.plane.poll_events(1000)) == 70
    assert rig.plane.poll_events() == []
    assert not readable(rig.plane.event_fd)


def test_a_full_ring_loses_datagrams_by_counting_them_and_keeps_room_for_the_lane(rig):
    peer = rig.peer()
    rig.pour(peer, MARKER + OF_AN_SA + bytes(1000 - len(OF_AN_SA)), 3000)
    lost = rig.count("drop-event-full")
    kept = rig.count("ike-datagrams-in") - lost
    assert lost > 0
    assert kept * 1000 > 800_000
    # The lane's own words still fit.
    peer.send_frame(frame(BROADCAST, ONE))
    rig.tap.recv()
    events = wait_for(lambda: rig.plane.poll_events(10_000))
    while more := rig.plane.poll_events(10_000):
        events += more
    assert events[-1] == ("first-inbound", peer.spi_in)
    assert len(events) == kept + 1
    # And afterwards there is room again, over the ring's end.
    for _ in range(3000):
        peer.send_raw(MARKER + os.urandom(777))
        assert len(rig.wait_event("ike")[5]) == 777
    assert rig.count("drop-event-full") == lost


@pytest.mark.parametrize(
    ("junk", "count"),
    [(BEGINNING + bytes(1000), 3000), (b"\x01" * 27, 9000)],
    ids=["beginnings", "scraps"],
)
def test_a_flood_of_strangers_leaves_room_for_messages_of_sas(rig, junk, count):
    peer = rig.peer()
    rig.pour(peer, MARKER + junk, count)
    lost = rig.count("drop-event-full")
    assert lost > 0
    for number in range(100):
        peer.send_raw(MARKER + OF_AN_SA + bytes((number,)))
    rig.settle()
    assert rig.count("drop-event-full") == lost
    events = [event[5] for event in rig.plane.poll_events(100_000)]
    assert events[-100:] == [OF_AN_SA + bytes((number,)) for number in range(100)]


def fill(rig, peer):
    """Leave no room in the ring, for many ports without an SA fill even the reserve; how many events that has cost."""
    rig.plane.poll_events()
    rig.pour(peer, MARKER + OF_AN_SA + bytes(1000 - len(OF_AN_SA)), 3000)
    for _ in range(1500):
        rig.plane.add_port("ethernet")
    rig.settle()
    rig.tap.send(frame(BROADCAST, ONE))
    rig.settle()
    return rig.count("drop-event-full")


def test_what_found_no_room_is_told_with_a_later_packet(rig):
    """Neither a first packet nor a used-up SA may be lost by that."""
    peer, used = rig.peer(), rig.peer()
    used.rekey(packet_limit=8)
    lost = fill(rig, peer)
    for _ in range(20):
        rig.tap.send(frame(BROADCAST, ONE))
    peer.send_frame(frame(BROADCAST, mac(2)))
    rig.tap.recv()
    rig.settle()
    assert rig.count("drop-event-full") > lost
    told = rig.plane.poll_events(100_000)
    assert not [event for event in told if event[0] in ("first-inbound", "sa-limit")]
    peer.send_frame(frame(BROADCAST, mac(2)))
    rig.tap.recv()
    rig.tap.send(frame(BROADCAST, ONE))
    rig.settle()
    told = rig.plane.poll_events(100_000)
    assert [event for event in told if event[0] in ("first-inbound", "sa-limit")] == [
        ("first-inbound", peer.spi_in),
        ("sa-limit", used.spi_in, "over"),
    ]


def test_a_lost_tap_that_found_no_room_is_told_with_a_later_frame(rig):
    """Nothing but this one event has the interface made again."""
    peer = rig.peer()
    lost = fill(rig, peer)
    rig.tap.host.close()
    wait_for(lambda: rig.count("drop-event-full") > lost)
    assert not [event for event in rig.plane.poll_events(100_000) if event[0] == "tap-lost"]
    peer.send_frame(frame(BROADCAST, mac(2)))
    assert rig.wait_event("tap-lost") == ("tap-lost", 0, errno.ENODEV, 0)
    for _ in range(5):
        peer.send_frame(frame(BROADCAST, mac(2)))
    rig.settle_sockets()
    assert rig.events("tap-lost") == []


def test_who_let_go_of_keys_says_so(rig):
    """The lanes wipe no keys: the control thread does, and sleeps until it hears that no lane has them."""
    peer = rig.peer()
    rig.settle()
    while rig.plane.poll_events():
        pass
    rig.plane.retire(peer.spi_in)
    assert readable(rig.plane.event_fd, SECONDS)


def test_unknown_spis_are_told_at_a_bounded_rate(rig):
    peer = rig.peer()
    began = time.monotonic()
    rig.pour(peer, b"\x12\x34\x56\x78" + bytes(40), 500)
    assert rig.count("drop-unknown-spi") == 500
    events = rig.events("unknown-spi")
    # A burst, and ten a second.
    assert 1 <= len(events) <= 17 + 10 * (time.monotonic() - began)
    assert events[0] == ("unknown-spi", 0x12345678, rig.ip, peer.sock.getsockname()[1], rig.ip, rig.port)


def test_a_tap_whose_other_end_is_gone_is_told_and_survived(rig):
    peer = rig.peer()
    rig.tap.host.close()
    assert rig.wait_event("tap-lost")[:2] == ("tap-lost", 0)
    peer.send_frame(frame(BROADCAST, ONE))
    rig.wait_count("drop-tap-lost")
    peer.send_raw(MARKER + b"still here")
    assert rig.wait_event("ike")[5] == b"still here"


@pytest.mark.parametrize("running", [True, False])
def test_a_new_tap_can_be_given_while_the_lanes_run_and_while_they_rest(rig, running):
    peer = rig.peer()
    rig.tap.host.close()
    assert rig.wait_event("tap-lost") == ("tap-lost", 0, errno.ENODEV, 0)
    if not running:
        rig.plane.stop()
    rig.taps[0].close()
    rig.taps[0] = rig.tap = Tap()
    rig.plane.attach_tap(0, rig.tap.queue.fileno(), mac(0xFEFE))
    if not running:
        rig.plane.start()
    peer.send_frame(frame(BROADCAST, ONE))
    assert rig.tap.recv() == frame(BROADCAST, ONE)
    rig.tap.send(frame(BROADCAST, HOST))
    assert peer.recv_frame() == frame(BROADCAST, HOST)


def test_a_tap_in_error_is_given_up_and_does_not_spin():
    with Rig(start=False) as rig:
        rig.taps.append(Tap(socket.SOCK_DGRAM))
        rig.plane.attach_tap(0, rig.taps[1].queue.fileno(), mac(0xFEFE))
        rig.plane.start()
        # Reported as hung up for ever, while reading it only says "try again".
        rig.taps[1].queue.shutdown(socket.SHUT_RDWR)
        assert rig.wait_event("tap-lost")[:2] == ("tap-lost", 0)
        before = rig.count("wakeups")
        time.sleep(0.1)
        assert rig.count("wakeups") - before < 10


def test_a_tap_without_room_costs_frames_and_nothing_else(rig):
    peer = rig.peer()
    for _ in range(2000):
        peer.send_frame(frame(BROADCAST, ONE, bytes(1400)))
    rig.settle_sockets()
    assert rig.count("drop-tap-full") > 0
    rig.tap.pending()
    peer.send_frame(frame(BROADCAST, ONE))
    assert rig.tap.recv() == frame(BROADCAST, ONE)


def test_what_the_kernel_drops_in_front_of_a_socket_is_counted():
    with Rig(start=False) as rig:
        rig.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        peer = rig.peer()
        for _ in range(200):
            peer.send_frame(frame(BROADCAST, mac(1), bytes(1000)))
        missed = rig.count("drop-socket-full")
        rig.plane.start()
        assert 0 < missed < 200
        wait_for(lambda: rig.count("esp-packets-in") == 200 - missed)
        assert rig.count("drop-socket-full") == missed
        assert rig.plane.lane_counters(0)["drop-socket-full"] == missed


def test_a_peer_that_refuses_costs_packets_and_nothing_else(rig):
    peer, gone = rig.peer(), rig.peer()
    gone.sock.close()
    for _ in range(20):
        rig.tap.send(frame(BROADCAST, ONE))
        peer.recv_frame()
    peer.send_frame(frame(BROADCAST, mac(2)))
    rig.tap.recv()
