"""Several hubs in one plane: what has the same MAC and the same address in two of them never meets."""

import contextlib
import os
import select
import socket
import threading
from pathlib import Path

import pytest
from asked import asked_in_time
from planes import ANY4, BROADCAST, ETHERIP, SECONDS, TAP_MAC, Rig, Tap, frame, mac, wait_for
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from rhp._fast.dataplane import DataPlane, Selector

ONE, TWO, PSEUDO = mac(1), mac(2), mac(0x50)
SITE = Selector("10.2.0.0", "10.2.0.255")
FREED = 30
ROUNDS = 1500


@pytest.fixture
def pair(rig):
    """Two hubs beside hub 0, each with two peers."""
    hubs = rig.hub(), rig.hub()
    for hub in hubs:
        hub.peers = [hub.peer(), hub.peer()]
    return hubs


def settle(rig, *hubs):
    rig.settle()
    for hub in hubs:
        hub.settle()


def silent(*ends):
    """Nothing waits at any of them, peers or TAPs."""
    return not any(end.pending() for end in ends)


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def closed(rig, tap):
    """Waits until the plane has let go of a TAP, of which it is told by the event descriptor alone."""
    # What nobody has read breaks the pair, instead of ending it.
    with contextlib.suppress(ConnectionResetError):
        while not select.select([tap.host], [], [], 0)[0] or tap.recv():
            assert select.select([rig.plane.event_fd, tap.host], [], [], SECONDS)[0]
            rig.plane.poll_events()
    return True


def request(target, source, sender="10.1.0.1"):
    arp = ARP(op=1, hwsrc=source.hex(":"), psrc=sender, pdst=target)
    return bytes(Ether(dst=BROADCAST.hex(":"), src=source.hex(":")) / arp)


# A hub keeps to itself.


def test_a_broadcast_reaches_its_own_hub_alone(rig, pair):
    red, blue = pair
    bystander = rig.peer()
    red.tap.send(frame(BROADCAST, ONE))
    for peer in red.peers:
        assert peer.recv_frame() == frame(BROADCAST, ONE)
    red.peers[0].send_frame(frame(BROADCAST, TWO))
    assert red.tap.recv() == red.peers[1].recv_frame() == frame(BROADCAST, TWO)
    settle(rig, *pair)
    assert silent(rig.tap, bystander, blue.tap, *blue.peers, red.peers[0])


def test_an_unknown_station_is_searched_in_its_own_hub_alone(rig, pair):
    red, blue = pair
    # It is known there, which is nobody's business here.
    blue.peers[0].send_frame(frame(BROADCAST, TWO))
    assert blue.tap.recv() == blue.peers[1].recv_frame()
    red.peers[0].send_frame(frame(TWO, ONE))
    assert red.tap.recv() == red.peers[1].recv_frame() == frame(TWO, ONE)
    settle(rig, *pair)
    assert silent(blue.tap, *blue.peers)


def test_one_station_lives_in_two_hubs_and_gets_the_frames_of_each(rig, pair):
    for hub in pair:
        hub.peers[0].send_frame(frame(BROADCAST, ONE))
        hub.tap.recv()
        hub.peers[1].recv_frame()
    for number, hub in enumerate(pair):
        letter = frame(ONE, TWO, b"letter %d" % number * 9)
        hub.tap.send(letter)
        assert hub.peers[0].recv_frame() == letter
    # It moves in one of them, and the other does not notice.
    pair[0].peers[1].send_frame(frame(TWO, ONE))
    assert pair[0].tap.recv() == frame(TWO, ONE)
    for hub, home in zip(pair, (1, 0), strict=True):
        hub.tap.send(frame(ONE, TWO))
        assert hub.peers[home].recv_frame() == frame(ONE, TWO)
    settle(rig, *pair)
    assert silent(*(peer for hub in pair for peer in hub.peers))
    assert [{port for station, port, _ in rig.plane.macs(hub.number) if station == ONE} for hub in pair] == [
        {pair[0].peers[1].port},
        {pair[1].peers[0].port},
    ]
    assert [entry[:2] for entry in rig.plane.macs()] == [(TAP_MAC, 0)]


def test_the_taps_have_one_mac_and_each_gets_its_own_frames(rig, pair):
    for number, hub in enumerate(pair):
        hub.peers[0].send_frame(frame(TAP_MAC, ONE, b"%d" % number * 50))
        assert hub.tap.recv() == frame(TAP_MAC, ONE, b"%d" % number * 50)
    settle(rig, *pair)
    assert silent(rig.tap, *(hub.tap for hub in pair))


def test_two_sites_with_one_range_and_one_pseudo_mac(rig, pair):
    sites = [hub.peer("ip", pseudo_mac=PSEUDO, local_ts=[ANY4], remote_ts=[SITE]) for hub in pair]
    out, back = (IP(src=one, dst=other) / UDP() for one, other in (("10.1.0.1", "10.2.0.9"), ("10.2.0.9", "10.1.0.1")))
    for number, (hub, site) in enumerate(zip(pair, sites, strict=True)):
        host = mac(0x100 + number)
        # The hub answers in the site's name, sends there, and sends back to whom it saw asking.
        hub.tap.send(request("10.2.0.9", host))
        assert hub.tap.recv()[:12] == host + PSEUDO
        hub.tap.send(PSEUDO + host + b"\x08\x00" + bytes(out))
        assert site.recv() == (4, bytes(out))
        site.send(bytes(back), 4)
        assert hub.tap.recv()[:12] == host + PSEUDO
    settle(rig, *pair)
    assert silent(rig.tap, *sites, *(end for hub in pair for end in (hub.tap, *hub.peers)))


def test_an_address_behind_another_hub_is_not_answered_for(rig, pair):
    red, blue = pair
    red.peer("ip", pseudo_mac=PSEUDO, local_ts=[ANY4], remote_ts=[SITE])
    question = request("10.2.0.9", ONE)
    blue.tap.send(question)
    assert [peer.recv_frame() for peer in blue.peers] == [question] * 2
    settle(rig, *pair)
    assert silent(blue.tap, red.tap)


def test_neighbours_are_of_one_hub(rig, pair):
    red, blue = pair
    for hub, address in ((red, "10.9.0.1"), (blue, "10.9.0.1")):
        rig.plane.add_neighbour(address, mac(hub.number), hub.peers[0].port)
    for hub in pair:
        hub.tap.send(request("10.9.0.1", ONE))
        assert hub.tap.recv()[6:12] == mac(hub.number)
    with pytest.raises(KeyError, match="neighbour"):
        rig.plane.remove_neighbour("10.9.0.1")
    rig.plane.remove_neighbour("10.9.0.1", red.number)
    red.tap.send(request("10.9.0.1", ONE))
    assert red.peers[0].recv_frame() == request("10.9.0.1", ONE)
    blue.tap.send(request("10.9.0.1", ONE))
    assert blue.tap.recv()[6:12] == mac(blue.number)
    settle(rig, *pair)
    assert silent(*blue.peers)


# Settings are a hub's own.


def test_isolation_is_of_one_hub(rig, pair):
    red, blue = pair
    rig.plane.set_hub(isolate=True, hub=red.number)
    for hub in pair:
        hub.peers[0].send_frame(frame(BROADCAST, ONE))
        assert hub.tap.recv() == frame(BROADCAST, ONE)
        hub.peers[1].send_frame(frame(ONE, TWO))
    assert blue.peers[1].recv_frame() == frame(BROADCAST, ONE)
    assert blue.peers[0].recv_frame() == frame(ONE, TWO)
    settle(rig, *pair)
    assert silent(*red.peers)
    assert (red.count("drop-hub-isolated"), blue.count("drop-hub-isolated")) == (1, 0)


def test_order_is_kept_in_one_hub(rig, pair):
    red = pair[0]
    rig.plane.set_hub(ordering="drop", hub=red.number)
    for hub in pair:
        for sequence in (2, 1, 3):
            hub.peers[0].send_raw(hub.peers[0].seal(ETHERIP + frame(TAP_MAC, ONE, b"%d" % sequence * 50), 97, sequence))
        numbers = [hub.tap.recv()[14:15] for _ in range(2 if hub is red else 3)]
        assert numbers == ([b"2", b"3"] if hub is red else [b"2", b"1", b"3"])
    assert rig.count("drop-overtaken") == 1


def test_static_entries_are_of_one_hub(rig, pair):
    red, blue = pair
    rig.plane.set_hub(static=[(ONE, red.peers[0].port)], hub=red.number)
    for hub in pair:
        hub.peers[1].send_frame(frame(BROADCAST, ONE))
    assert blue.tap.recv() == blue.peers[0].recv_frame()
    settle(rig, *pair)
    assert silent(red.tap, *red.peers)
    assert (red.count("drop-hub-spoofed-mac"), blue.count("drop-hub-spoofed-mac")) == (1, 0)
    with pytest.raises(KeyError, match=f"in hub {blue.number}"):
        rig.plane.set_hub(static=[(TWO, red.peers[0].port)], hub=blue.number)


def test_a_flood_of_stations_fills_its_own_hub_alone():
    with Rig() as rig:
        small, other = rig.hub(stations=256), rig.hub(stations=256)
        flooder, neighbour = small.peer(), other.peer()
        for number in range(200):
            flooder.send_frame(frame(TAP_MAC, mac(0x1000 + number)))
            small.tap.recv()
        # An eighth of the table at once, and one more every 12 seconds or so.
        assert FREED <= len(rig.plane.macs(small.number)) - 1 <= FREED + 5
        assert small.count("mac-table-full") + small.count("macs-learned") == 200
        neighbour.send_frame(frame(TAP_MAC, ONE))
        assert other.tap.recv() == frame(TAP_MAC, ONE)
        assert (ONE, neighbour.port) in [entry[:2] for entry in rig.plane.macs(other.number)]


# Counters.


def test_each_hub_counts_and_the_plane_counts_all(rig, pair):
    red, blue = pair
    red.tap.send(frame(BROADCAST, ONE))
    red.peers[0].recv_frame()
    blue.peers[0].send_frame(frame(TAP_MAC, TWO))
    blue.tap.recv()
    assert (red.count("tap-frames-in"), red.count("tap-frames-out"), red.count("frames-flooded")) == (1, 0, 1)
    wait_for(lambda: blue.count("tap-frames-out") == 1)
    assert blue.count("tap-frames-in") == 0
    assert rig.plane.hub_counters(0)["tap-frames-in"] == 0
    assert (rig.count("tap-frames-in"), rig.count("tap-frames-out")) == (1, 1)
    assert rig.plane.hub_counters(red.number, 0) == rig.plane.hub_counters(red.number)


def test_what_a_hub_has_counted_outlives_it():
    with Rig() as rig:
        red = rig.hub()
        for _ in range(3):
            red.tap.send(frame(BROADCAST, ONE))
        wait_for(lambda: red.count("tap-frames-in") == 3)
        rig.plane.remove_hub(red.number)
        assert rig.count("tap-frames-in") == 3
        assert closed(rig, red.tap)
        assert rig.count("tap-frames-in") == rig.plane.lane_counters(0)["tap-frames-in"] == 3


# Coming and going.


def test_hubs_have_numbers_and_hub_0_stays(rig):
    plane = rig.plane
    assert plane.hubs() == [0]
    first, second = plane.add_hub(), plane.add_hub()
    assert plane.hubs() == [0, first, second]
    plane.remove_hub(first)
    # A number rests before it is used again.
    assert plane.add_hub() not in (first, second)
    with pytest.raises(ValueError, match="hub 0"):
        plane.remove_hub(0)
    for call in (plane.remove_hub, plane.macs, plane.hub_counters):
        with pytest.raises(KeyError, match=f"no hub {first}"):
            call(first)
    for call in (plane.set_hub, lambda hub: plane.add_port("ethernet", hub=hub)):
        with pytest.raises(KeyError, match=f"no hub {first}"):
            call(hub=first)


@pytest.mark.parametrize("stations", [0, 255, 32769])
def test_how_many_stations_a_hub_may_have(rig, stations):
    with pytest.raises(ValueError, match="stations"):
        rig.plane.add_hub(stations=stations)


def test_a_hub_with_ports_stays(rig):
    hub = rig.hub()
    peer = hub.peer()
    with pytest.raises(ValueError, match="still has ports"):
        rig.plane.remove_hub(hub.number)
    rig.plane.remove_port(peer.port)
    rig.plane.remove_hub(hub.number)
    assert rig.plane.hubs() == [0]


def test_the_plane_takes_no_more_hubs_than_there_are_numbers():
    with DataPlane() as plane:
        numbers = {plane.add_hub(stations=256) for _ in range(4095)}
        assert numbers == set(range(1, 4096))
        with pytest.raises(ValueError, match="every hub"):
            plane.add_hub()
        plane.remove_hub(77)
        assert plane.add_hub() == 77


def test_a_hubs_descriptors_are_closed_with_it(rig):
    before = descriptors()
    hub = rig.hub()
    rig.plane.remove_hub(hub.number)
    assert closed(rig, hub.tap)
    assert descriptors() <= before + 1


def test_of_two_queues_in_a_row_the_second_is_served(rig):
    """A lane that has just read of the first must be awake for the second, which it gets while it still clears up."""
    red = rig.hub()
    peer = red.peer()
    wanted = frame(BROADCAST, ONE)
    for number in range(ROUNDS):
        with contextlib.closing(Tap()) as first, contextlib.closing(Tap()) as second:
            rig.plane.attach_tap(0, first.queue.fileno(), TAP_MAC, hub=red.number)
            # A little later each time, for the moment to be met.
            for _ in range(number % 300):
                pass
            rig.plane.attach_tap(0, second.queue.fileno(), TAP_MAC, hub=red.number)
            second.send(wanted)
            assert peer.recv_frame() == wanted
        rig.plane.poll_events()


def test_a_lost_tap_is_one_hubs_own(rig, pair):
    red, blue = pair
    red.tap.host.close()
    assert rig.wait_event("tap-lost")[::3] == ("tap-lost", red.number)
    red.peers[0].send_frame(frame(BROADCAST, ONE))
    assert red.peers[1].recv_frame() == frame(BROADCAST, ONE)
    wait_for(lambda: red.count("drop-tap-lost") == 1)
    blue.tap.send(frame(BROADCAST, ONE))
    assert blue.peers[0].recv_frame() == frame(BROADCAST, ONE)
    red.tap.close()
    red.taps[0] = red.tap = Tap()
    rig.plane.attach_tap(0, red.tap.queue.fileno(), TAP_MAC, hub=red.number)
    red.peers[0].send_frame(frame(TAP_MAC, ONE))
    assert red.tap.recv() == frame(TAP_MAC, ONE)


def test_what_the_host_asked_early_is_repeated_in_its_hub(rig):
    red, blue = rig.hub(), rig.hub()
    question = request("10.2.0.9", ONE)
    other, asked = asked_in_time(rig, [question], blue, red)
    assert asked.recv_frame() == question
    assert other.recv_frame() == question
    settle(rig, red, blue)
    assert silent(asked, other)


def test_hubs_survive_a_stop_and_a_start(rig, pair):
    red, blue = pair
    rig.plane.stop()
    green = rig.hub()
    rig.plane.remove_port(blue.peers[1].port)
    rig.plane.start()
    peer = green.peer()
    for hub, end in ((red, red.peers[1]), (green, peer), (blue, blue.peers[0])):
        hub.tap.send(frame(BROADCAST, ONE))
        assert end.recv_frame() == frame(BROADCAST, ONE)


def test_hubs_come_and_go_while_two_lanes_carry():
    """Nothing of the traffic of a hub that stays is lost, and nothing of the others' is left."""
    with Rig(2) as rig:
        red = rig.hub()
        near, far = red.peer(), red.peer()
        near.send_frame(frame(BROADCAST, ONE))
        far.recv_frame()
        before = descriptors()
        stop = threading.Event()
        failures = []

        def traffic():
            number = 0
            while not stop.is_set():
                number += 1
                far.send_frame(frame(ONE, TWO, b"%050d" % number))
                got = near.recv_frame()
                if got[14:] != b"%050d" % number:
                    failures.append(got)

        thread = threading.Thread(target=traffic)
        thread.start()
        try:
            for _ in range(60):
                coming_and_going(rig)
        finally:
            stop.set()
            thread.join()
        assert failures == []
        assert rig.plane.hubs() == [0, red.number]
        assert descriptors() <= before


def coming_and_going(rig):
    """A hub with a peer at work is taken away in the middle of it."""
    hub = rig.hub(stations=256)
    peer = hub.peer()
    for tap in hub.taps:
        for _ in range(5):
            tap.send(frame(BROADCAST, ONE))
    peer.send_frame(frame(BROADCAST, TWO))
    peer.recv_frame()
    rig.plane.remove_port(peer.port)
    rig.plane.remove_hub(hub.number)
    for tap in hub.taps:
        closed(rig, tap)
    rig.hubs.remove(hub)
    rig.peers.remove(peer)
    hub.close()
    peer.close()


def test_a_lane_that_is_added_serves_every_hub():
    with Rig(spare=1) as rig:
        red = rig.hub()
        peer = red.peer()
        extra = Tap()
        rig.plane.attach_tap(1, extra.queue.fileno(), TAP_MAC)
        with socket.socket(rig.family, socket.SOCK_DGRAM) as group:
            group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            group.bind((rig.ip, rig.port))
            rig.plane.attach_udp(1, group.fileno(), rig.family)
        assert rig.plane.add_lane() == 1
        for tap in red.taps:
            tap.send(frame(BROADCAST, ONE))
            assert peer.recv_frame() == frame(BROADCAST, ONE)
        assert rig.plane.hub_counters(red.number, 1)["tap-frames-in"] == 1
        extra.close()


def test_two_hundred_hubs_each_keep_to_themselves():
    with Rig() as rig:
        hubs = [rig.hub(stations=256) for _ in range(200)]
        peers = [hub.peer() for hub in hubs]
        for number, (hub, peer) in enumerate(zip(hubs, peers, strict=True)):
            letter = frame(BROADCAST, ONE, b"%050d" % number)
            hub.tap.send(letter)
            assert peer.recv_frame() == letter
            peer.send_frame(letter)
            # The station is known behind the TAP until now, and moves.
            assert hub.tap.recv() == letter
        rig.settle()
        assert silent(rig.tap, *peers, *(hub.tap for hub in hubs))
        assert all(hub.count("tap-frames-out") == 1 for hub in hubs)


def test_a_descriptor_that_cannot_be_waited_for_is_told_as_lost(rig):
    hub = rig.hub()
    plain = os.open(__file__, os.O_RDONLY)
    rig.plane.attach_tap(0, plain, TAP_MAC, hub=hub.number)
    os.close(plain)
    assert rig.wait_event("tap-lost")[3] == hub.number
