"""Frames that are too long for a port's path, segments that are made to fit it, and the packet that asks for it."""

import socket
import time

import pytest
from planes import ANY4, BROADCAST, TAP_MAC, Rig, frame, mac
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether

HOST, ONE, TWO = mac(0x100), mac(1), mac(2)
LIMIT = 1300 + 14
PROBE_HEADER = 59
QUESTION, ANSWER = 1, 2


def learn(rig, peer, station):
    peer.send_frame(frame(TAP_MAC, station))
    rig.tap.recv()


def udp(size, *, source=HOST, destination=ONE, flags="DF"):
    """A frame whose IP packet has so many octets."""
    head = Ether(src=source, dst=destination) / IP(src="192.0.2.1", dst="192.0.2.9", flags=flags) / UDP()
    return bytes(head / bytes(size - 28))


def text(station):
    return ":".join(f"{octet:02x}" for octet in station)


def syn(*tags):
    head = Ether(src=text(HOST), dst=text(ONE))
    for tag in tags:
        head = head / Dot1Q(vlan=tag)
    return bytes(head / IP(src="192.0.2.1", dst="192.0.2.9") / TCP(flags="S", options=[("MSS", 1460)]))


@pytest.fixture
def station(rig):
    """A peer with a station behind it and a path that carries `LIMIT`."""
    peer = rig.peer()
    learn(rig, peer, ONE)
    rig.plane.set_port_path(peer.port, mss=1260, limit=LIMIT)
    return peer


def test_what_is_too_long_goes_all_the_same_and_is_counted(rig, station):
    for size, counted in ((1300, 0), (1301, 1), (1500, 2)):
        there = udp(size, source=text(HOST), destination=text(ONE))
        rig.tap.send(there)
        assert station.recv_frame() == there
        assert rig.count("frames-oversized") == counted
    assert rig.count("too-big-answered") == rig.count("drop-too-big") == 0


def test_or_its_sender_is_told_instead(rig, station):
    rig.plane.set_hub(answer_oversized=True)
    there = udp(1301, source=text(HOST), destination=text(ONE))
    rig.tap.send(there)
    answer = Ether(rig.tap.recv())
    assert (answer.src, answer.dst) == (text(ONE), text(HOST))
    assert (answer[IP].src, answer[IP].dst) == ("192.0.2.9", "192.0.2.1")
    assert (answer[ICMP].type, answer[ICMP].code, answer[ICMP].nexthopmtu) == (3, 4, 1300)
    rig.wait_count("drop-too-big")
    assert (rig.count("too-big-answered"), rig.count("frames-oversized")) == (1, 0)
    fits = udp(1300, source=text(HOST), destination=text(ONE))
    rig.tap.send(fits)
    assert station.recv_frame() == fits


def test_who_cannot_be_told_is_carried(rig, station):
    rig.plane.set_hub(answer_oversized=True)
    for there in (
        udp(1500, source=text(HOST), destination=text(ONE), flags=0),
        frame(ONE, HOST, b"x" * 1500),
        udp(1500, source=text(HOST), destination="01:00:5e:00:00:09"),
    ):
        rig.tap.send(there)
        assert station.recv_frame() == there
    assert rig.count("frames-oversized") == 3
    assert rig.count("drop-too-big") == 0


def test_a_peer_is_told_through_its_own_tunnel(rig, station):
    other = rig.peer()
    learn(rig, other, TWO)
    rig.plane.set_hub(answer_oversized=True)
    other.send_frame(udp(1400, source=text(TWO), destination=text(ONE)))
    answer = Ether(other.recv_frame())
    assert (answer.dst, answer[ICMP].nexthopmtu) == (text(TWO), 1300)
    rig.wait_count("drop-too-big")
    rig.settle()
    assert rig.plane.port_counters(other.port)["drops"] == 1
    assert not station.pending()


def test_a_tunnel_mode_peer_is_told_without_an_ethernet_header(rig, station):
    other = rig.peer("ip", pseudo_mac=TWO, local_ts=[ANY4], remote_ts=[ANY4])
    rig.plane.add_neighbour("192.0.2.9", ONE, station.port)
    rig.plane.set_hub(answer_oversized=True)
    other.send(udp(1301, source=text(TWO), destination=text(ONE))[14:], next_header=4)
    next_header, answer = other.recv()
    assert next_header == 4
    assert (IP(answer).src, IP(answer).dst, IP(answer)[ICMP].nexthopmtu) == ("192.0.2.9", "192.0.2.1", 1300)
    other.send(udp(1300, source=text(TWO), destination=text(ONE))[14:], next_header=4)
    assert len(station.recv_frame()) == 1314


def test_a_storm_is_answered_in_moderation_and_every_frame_is_accounted_for(rig, station):
    rig.plane.set_hub(answer_oversized=True)
    long = udp(1400, source=text(HOST), destination=text(ONE))
    told = []
    began = time.monotonic()
    for _ in range(300):
        rig.tap.send(long)
        # The socket that stands for the TAP has room for some 160 answers only.
        told += rig.tap.pending()
    rig.settle()
    told += rig.tap.pending()
    assert len(told) == rig.count("too-big-answered")
    assert 100 <= len(told) <= 101 + 100 * (time.monotonic() - began)
    assert rig.count("drop-too-big") == 300


def test_a_tunnel_mode_port_answers_too(rig):
    peer = rig.peer("ip", pseudo_mac=ONE, local_ts=[ANY4], remote_ts=[ANY4])
    rig.plane.set_port_path(peer.port, mss=0, limit=LIMIT)
    rig.plane.set_hub(answer_oversized=True)
    rig.tap.send(udp(1301, source=text(HOST), destination=text(ONE)))
    assert Ether(rig.tap.recv())[ICMP].nexthopmtu == 1300
    rig.tap.send(udp(1300, source=text(HOST), destination=text(ONE)))
    assert len(peer.recv()[1]) == 1300


def test_segments_follow_the_path_and_leave_room_for_tags(rig, station):
    for tags, wanted in (((), 1260), ((7,), 1256), ((7, 8), 1252)):
        rig.tap.send(syn(*tags))
        assert dict(Ether(station.recv_frame())[TCP].options)["MSS"] == wanted
    rig.plane.set_port_path(station.port, mss=1000, limit=0)
    rig.tap.send(syn())
    assert dict(Ether(station.recv_frame())[TCP].options)["MSS"] == 1000
    rig.plane.set_port_path(station.port, mss=0, limit=0)
    rig.tap.send(syn())
    assert dict(Ether(station.recv_frame())[TCP].options)["MSS"] == 1460


def test_without_a_limit_nothing_is_too_long(rig, station):
    rig.plane.set_hub(answer_oversized=True)
    rig.plane.set_port_path(station.port, mss=0, limit=0)
    there = udp(9000, source=text(HOST), destination=text(ONE))
    rig.tap.send(there)
    assert station.recv_frame() == there
    assert rig.count("frames-oversized") == 0


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_probe_is_as_long_as_may_be(family):
    with Rig(family=family) as rig:
        peer = rig.peer()
        option = (socket.IPPROTO_IPV6, 23) if family == socket.AF_INET6 else (socket.IPPROTO_IP, 10)
        before = rig.sockets[0].getsockopt(*option)
        for octets in (1464, 1465, 1466, 1467, 1468):
            rig.plane.probe(peer.spi_in, octets)
            packet = peer.sock.recv(70000)
            assert octets - 4 < len(packet) <= octets
            assert peer.opener.open(packet)[0] == PROBE_HEADER
        rig.settle()
        assert rig.count("path-probes") == 5
        assert rig.sockets[0].getsockopt(*option) == before


def said(kind, octets, size=16):
    """What a dummy packet says about the path: "rhp path", the kind, three zeros, octets."""
    return b"rhp path" + bytes((kind, 0, 0, 0)) + octets.to_bytes(4, "big") + bytes(size - 16)


def events(rig):
    return [event for event in rig.plane.poll_events() if event[0] == "path-answer"]


def test_a_probe_is_a_question(rig):
    peer = rig.peer()
    rig.plane.probe(peer.spi_in, 1000)
    assert peer.recv()[1][:16] == said(QUESTION, 1000)


def test_a_question_is_answered_and_an_answer_is_an_event(rig):
    peer = rig.peer()
    peer.send(said(QUESTION, 1472, 1400), PROBE_HEADER)
    assert peer.recv() == (PROBE_HEADER, said(ANSWER, 1472))
    peer.send(said(ANSWER, 1472), PROBE_HEADER)
    rig.settle()
    assert ("path-answer", peer.spi_in, 1472) in events(rig)
    assert (rig.count("path-answers"), rig.count("drop-dummy-packet")) == (2, 0)
    assert not rig.tap.pending()


def test_other_dummy_packets_say_nothing(rig):
    peer = rig.peer()
    for payload in (b"", bytes(15), bytes(100), said(3, 100), said(0, 100), said(QUESTION, 100)[:15], b"x" * 1400):
        peer.send(payload, PROBE_HEADER)
    rig.settle()
    assert rig.count("drop-dummy-packet") == 7
    assert rig.count("path-answers") == 0
    assert not peer.pending()
    assert not events(rig)


def test_between_packets_of_a_flow_a_question_does_no_harm(rig):
    peer = rig.peer()
    for number in range(5):
        peer.send_frame(frame(BROADCAST, ONE, bytes((number,)) * 50))
        peer.send(said(QUESTION, 1000), PROBE_HEADER)
    assert [rig.tap.recv()[14:] for _ in range(5)] == [bytes((number,)) * 50 for number in range(5)]
    assert [peer.recv()[1] for _ in range(5)] == [said(ANSWER, 1000)] * 5


def flood(rig, peer):
    """400 questions, as fast as the lane takes them."""
    for number in range(400):
        peer.send(said(QUESTION, 1000), PROBE_HEADER)
        if number % 100 == 99:
            rig.settle_sockets()


def test_a_flood_of_questions_is_answered_in_moderation(rig):
    peer = rig.peer()
    began = time.monotonic()
    flood(rig, peer)
    answered = rig.count("path-answers")
    # A burst, and ten a second.
    assert 32 <= answered <= 33 + 10 * (time.monotonic() - began)
    assert rig.count("drop-dummy-packet") == 400 - answered
    peer.send(said(ANSWER, 1), PROBE_HEADER)
    rig.settle()
    assert len(events(rig)) <= 1


def test_a_peer_that_floods_questions_does_not_silence_another(rig):
    loud, *others = [rig.peer() for _ in range(100)]
    flood(rig, loud)
    for peer in others:
        peer.send(said(QUESTION, 1472), PROBE_HEADER)
    rig.settle()
    assert all(peer.recv()[1] == said(ANSWER, 1472) for peer in others)


def test_the_answers_of_many_peers_are_heard_at_once(rig):
    peers = [rig.peer() for _ in range(120)]
    for peer in peers:
        peer.send(said(ANSWER, 1472), PROBE_HEADER)
    rig.settle()
    assert [event[1] for event in events(rig)] == [peer.spi_in for peer in peers]


def test_only_one_lane_probes():
    with Rig(lanes=2) as rig:
        peer = rig.peer()
        rig.plane.probe(peer.spi_in, 1000)
        rig.settle()
        assert rig.count("path-probes") == 1
        assert peer.opener.open(peer.sock.recv(70000))[0] == PROBE_HEADER


def test_what_is_out_of_range_is_refused(rig):
    peer = rig.peer()
    for octets in (0, -1, 65508):
        with pytest.raises(ValueError, match="out of range"):
            rig.plane.probe(peer.spi_in, octets)
    for mss, limit in ((-1, 0), (65536, 0), (0, -1), (0, 70000)):
        with pytest.raises(ValueError, match="size"):
            rig.plane.set_port_path(peer.port, mss=mss, limit=limit)
    with pytest.raises(KeyError):
        rig.plane.set_port_path(peer.port + 1, mss=0, limit=0)
    with pytest.raises(KeyError):
        rig.plane.probe(peer.spi_in ^ 1, 1000)
