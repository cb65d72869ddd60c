"""The hub on a running data plane: who gets which frame, and who does not."""

import socket
import time

import pytest
from asked import asked_in_time
from planes import BROADCAST, TAP_MAC, Rig, frame, mac, wait_for
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Dot1Q, Ether

HOST, ONE, TWO, THREE = mac(0x100), mac(1), mac(2), mac(3)
MULTICAST = bytes.fromhex("01005e000001")


def learn(rig, peer, station):
    """Makes the hub know a station behind a peer; nobody else is left with a frame."""
    known = len(rig.plane.macs())
    peer.send_frame(frame(TAP_MAC, station))
    rig.tap.recv()
    assert len(rig.plane.macs()) == known + 1


def test_a_frame_crosses_unchanged_in_both_directions(rig):
    peer = rig.peer()
    for size in (0, 1, 46, 1486, 1500, 8986):
        there = frame(BROADCAST, HOST, bytes(range(256)) * 40)[: 14 + size]
        rig.tap.send(there)
        assert peer.recv_frame() == there
        back = frame(HOST, ONE, bytes(range(256)) * 40)[: 14 + size]
        peer.send_frame(back)
        assert rig.tap.recv() == back


def test_frames_keep_their_order(rig):
    peer = rig.peer()
    sent = [frame(BROADCAST, HOST, number.to_bytes(4, "big")) for number in range(200)]
    for one in sent:
        rig.tap.send(one)
    assert [peer.recv_frame() for _ in sent] == sent


@pytest.mark.parametrize("destination", [BROADCAST, MULTICAST, mac(77)], ids=["broadcast", "multicast", "unknown"])
def test_what_nobody_owns_goes_to_everybody_but_its_source(rig, destination):
    peers = [rig.peer() for _ in range(3)]
    sent = frame(destination, ONE)
    peers[0].send_frame(sent)
    assert rig.tap.recv() == sent
    assert peers[1].recv_frame() == sent
    assert peers[2].recv_frame() == sent
    from_host = frame(destination, HOST)
    rig.tap.send(from_host)
    assert [peer.recv_frame() for peer in peers] == [from_host] * 3
    rig.settle()
    assert rig.tap.pending() == []
    assert [peer.pending() for peer in peers] == [[], [], []]
    assert rig.count("frames-flooded") == 2


def test_a_learned_station_gets_its_frames_alone(rig):
    one, two = rig.peer(), rig.peer()
    learn(rig, one, ONE)
    sent = frame(ONE, HOST)
    rig.tap.send(sent)
    assert one.recv_frame() == sent
    rig.settle()
    assert two.pending() == []
    assert (ONE, one.port) in [(station, port) for station, port, _ in rig.plane.macs()]


def test_peers_reach_each_other_without_the_tap(rig):
    one, two, three = rig.peer(), rig.peer(), rig.peer()
    learn(rig, two, TWO)
    sent = frame(TWO, ONE)
    one.send_frame(sent)
    assert two.recv_frame() == sent
    answer = frame(ONE, TWO)
    two.send_frame(answer)
    assert one.recv_frame() == answer
    rig.settle()
    assert rig.tap.pending() == three.pending() == []
    assert rig.count("frames-peer-to-peer") == 2


def test_a_station_that_moves_is_followed(rig):
    one, two = rig.peer(), rig.peer()
    learn(rig, one, ONE)
    two.send_frame(frame(TAP_MAC, ONE))
    rig.tap.recv()
    rig.tap.send(frame(ONE, HOST))
    two.recv_frame()
    rig.settle()
    assert one.pending() == []
    assert rig.count("macs-moved") == 1


def test_a_silent_station_is_forgotten(rig):
    one, two = rig.peer(), rig.peer()
    learn(rig, one, ONE)
    rig.plane.set_hub(mac_ageing=1)
    wait_for(lambda: len(rig.plane.macs()) == 1)
    rig.tap.send(frame(ONE, HOST))
    one.recv_frame()
    two.recv_frame()


def test_nothing_returns_to_where_it_came_from(rig):
    one, two = rig.peer(), rig.peer()
    learn(rig, one, ONE)
    one.send_frame(frame(ONE, TWO))
    rig.wait_count("drop-hub-same-port")
    rig.tap.send(frame(TAP_MAC, HOST))
    rig.wait_count("drop-hub-same-port", 2)
    # The port's drop is counted after the hub's.
    rig.settle()
    assert one.pending() == two.pending() == rig.tap.pending() == []
    assert rig.plane.port_counters(one.port)["drops"] == 1


def test_group_senders_are_carried_and_not_learned(rig):
    peer = rig.peer()
    peer.send_frame(frame(TAP_MAC, MULTICAST))
    rig.tap.recv()
    assert [entry[0] for entry in rig.plane.macs()] == [TAP_MAC]


def test_isolated_peers_see_the_host_only(rig):
    rig.plane.set_hub(isolate=True)
    one, two = rig.peer(), rig.peer()
    learn(rig, two, TWO)
    one.send_frame(frame(TWO, ONE))
    rig.wait_count("drop-hub-isolated")
    one.send_frame(frame(BROADCAST, ONE))
    rig.tap.recv()
    rig.tap.send(frame(BROADCAST, HOST))
    one.recv_frame()
    two.recv_frame()
    rig.settle()
    assert two.pending() == one.pending() == []
    rig.plane.set_hub(isolate=False)
    one.send_frame(frame(TWO, ONE))
    two.recv_frame()


def test_a_group_is_kept_apart_and_others_are_not(rig):
    one, two, other = rig.peer(isolate_group=7), rig.peer(isolate_group=7), rig.peer(isolate_group=8)
    one.send_frame(frame(BROADCAST, ONE))
    rig.tap.recv()
    other.recv_frame()
    two.send_frame(frame(ONE, TWO))
    rig.wait_count("drop-hub-isolated")
    other.send_frame(frame(ONE, THREE))
    one.recv_frame()
    rig.settle()
    assert two.pending() == []


def test_a_static_station_stays_and_nobody_may_claim_it(rig):
    one, two = rig.peer(), rig.peer()
    rig.plane.set_hub(static=[(ONE, one.port)])
    two.send_frame(frame(TAP_MAC, ONE))
    rig.wait_count("drop-hub-spoofed-mac")
    rig.tap.send(frame(ONE, HOST))
    one.recv_frame()
    assert (ONE, one.port, 0.0) in rig.plane.macs()
    two.send_frame(frame(BROADCAST, TAP_MAC))
    rig.wait_count("drop-hub-spoofed-mac", 2)
    rig.settle()
    assert rig.tap.pending() == two.pending() == []
    rig.plane.set_hub(static=[])
    assert [entry[0] for entry in rig.plane.macs() if entry[0] == ONE] == []
    two.send_frame(frame(TAP_MAC, ONE))
    rig.tap.recv()


def test_static_entries_are_checked(rig):
    ip = rig.peer("ip", pseudo_mac=mac(50))
    with pytest.raises(KeyError):
        rig.plane.set_hub(static=[(ONE, 999)])
    for bad in (TAP_MAC, mac(50), b"\x01" + bytes(5), b"\x02" * 5, bytes(6)):
        with pytest.raises(ValueError, match="MAC"):
            rig.plane.set_hub(static=[(bad, ip.port)])
    with pytest.raises(ValueError, match="ageing"):
        rig.plane.set_hub(mac_ageing=0)


def test_a_removed_port_leaves_nothing_behind(rig):
    one, two = rig.peer(), rig.peer()
    learn(rig, one, ONE)
    rig.plane.set_hub(static=[(THREE, one.port)])
    rig.plane.remove_port(one.port)
    assert {entry[1] for entry in rig.plane.macs()} == {0}
    rig.tap.send(frame(ONE, HOST))
    two.recv_frame()
    one.send_frame(frame(BROADCAST, ONE))
    rig.wait_count("drop-unknown-spi")
    for call in (rig.plane.remove_port, rig.plane.port_counters):
        with pytest.raises(KeyError):
            call(one.port)
    with pytest.raises(KeyError):
        rig.plane.sa_counters(one.spi_in)


def test_port_numbers_are_not_reused_at_once(rig):
    first = rig.plane.add_port("ethernet")
    rig.plane.remove_port(first)
    assert rig.plane.add_port("ethernet") != first


def test_tagged_frames_are_carried_untouched(rig):
    peer = rig.peer()
    sent = bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:09") / Dot1Q(vlan=5, prio=3) / IP() / b"abc")
    rig.tap.send(sent)
    assert peer.recv_frame() == sent
    peer.send_frame(sent[:6] + ONE + sent[12:])
    assert rig.tap.recv() == sent[:6] + ONE + sent[12:]


@pytest.mark.parametrize("size", [1, 6, 13])
def test_runts_are_dropped_by_name(rig, size):
    peer = rig.peer()
    rig.tap.send(bytes(size))
    peer.send_frame(bytes(size))
    rig.wait_count("drop-frame-runt", 2)
    rig.settle()
    assert rig.tap.pending() == peer.pending() == []


def test_syns_are_clamped_in_both_directions(rig):
    peer = rig.peer(mss=1300)
    free = rig.peer()
    head = Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:01:00")
    syn = bytes(head / IP(src="192.0.2.1", dst="192.0.2.2") / TCP(flags="S", options=[("MSS", 1460)]))
    rig.tap.send(syn)
    assert dict(Ether(peer.recv_frame())[TCP].options)["MSS"] == 1300
    free.recv_frame()
    back = syn[:6] + ONE + syn[12:]
    peer.send_frame(back)
    assert dict(Ether(rig.tap.recv())[TCP].options)["MSS"] == 1300
    free.recv_frame()
    free.send_frame(syn[:6] + TWO + syn[12:])
    assert dict(Ether(rig.tap.recv())[TCP].options)["MSS"] == 1460
    assert dict(Ether(peer.recv_frame())[TCP].options)["MSS"] == 1300


def test_control_frames_overtake_bulk():
    with Rig(start=False) as rig:
        peer = rig.peer()
        bulk = [frame(BROADCAST, HOST, bytes((number,)) * 40) for number in range(10)]
        arp = frame(BROADCAST, HOST, bytes(28), 0x0806)
        for one in [*bulk, arp]:
            rig.tap.send(one)
        rig.plane.start()
        assert [peer.recv_frame() for _ in range(11)] == [arp, *bulk]


def test_a_hundred_peers_all_hear_a_broadcast(rig):
    peers = [rig.peer() for _ in range(100)]
    sent = [frame(BROADCAST, HOST, bytes((number,)) * 40) for number in range(5)]
    for one in sent:
        rig.tap.send(one)
    for peer in peers:
        assert [peer.recv_frame() for _ in sent] == sent


def test_ipv6_outside():
    with Rig(family=socket.AF_INET6) as rig:
        peer = rig.peer()
        rig.tap.send(frame(BROADCAST, HOST))
        peer.recv_frame()
        peer.send_frame(frame(BROADCAST, ONE))
        rig.tap.recv()


ARP = bytes.fromhex("0001080006040001") + HOST + bytes((10, 0, 0, 1)) + bytes(6) + bytes((10, 0, 0, 2))


def test_what_the_host_asked_before_there_was_a_peer_is_asked_again(rig):
    """The host itself would wait a second before it asks again."""
    asked = [frame(BROADCAST, HOST, ARP[:-1] + bytes((number,)), 0x0806) for number in range(3)]
    (peer,) = asked_in_time(rig, [*asked, frame(BROADCAST, HOST, b"nothing that is a question")])
    assert [peer.recv_frame() for _ in asked] == asked
    # Once, and not for those who come later.
    other = rig.peer()
    rig.tap.send(asked[0])
    assert peer.recv_frame() == other.recv_frame() == asked[0]
    rig.settle()
    assert peer.pending() == other.pending() == []


def test_of_what_the_host_asked_in_vain_only_the_last_is_kept(rig):
    asked = [frame(BROADCAST, HOST, ARP[:-1] + bytes((number,)), 0x0806) for number in range(20)]
    (peer,) = asked_in_time(rig, asked)
    assert [peer.recv_frame() for _ in range(8)] == asked[-8:]
    rig.settle()
    assert peer.pending() == []


def test_what_the_host_asked_long_ago_is_not_asked_again(rig):
    rig.tap.send(frame(BROADCAST, HOST, ARP, 0x0806))
    rig.settle()
    time.sleep(1.1)
    peer = rig.peer()
    rig.settle()
    assert peer.pending() == []
