"""IP ports: tunnel mode behind a pseudo-MAC, selectors both ways, and ARP and ND answered for the peers."""

import pytest
from planes import ANY4, ANY6, BROADCAST, TAP_MAC, frame, mac
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from rhp._fast.dataplane import DataPlane, Selector

HOST, STATION, PSEUDO, PSEUDO2 = mac(0x100), mac(0x101), mac(0x50), mac(0x51)
LOCAL = Selector("10.1.0.0", "10.1.255.255")
REMOTE = Selector("10.2.0.0", "10.2.0.255")
CLIENT = Selector("10.2.0.5", "10.2.0.5")
LOCAL6 = Selector("2001:db8:1::", "2001:db8:1:ffff:ffff:ffff:ffff:ffff")
REMOTE6 = Selector("2001:db8:2::", "2001:db8:2:ffff:ffff:ffff:ffff:ffff")
NOBODY = "0.0.0.0"  # noqa: S104  # No socket is bound here.


def site(rig, pseudo=PSEUDO, local=(LOCAL, LOCAL6), remote=(REMOTE, REMOTE6), **port):
    """A peer that is a network of its own."""
    return rig.peer("ip", pseudo_mac=pseudo, local_ts=local, remote_ts=remote, **port)


def dotted(octets):
    return octets.hex(":")


def ether(packet, destination=PSEUDO, source=HOST):
    return bytes(Ether(dst=dotted(destination), src=dotted(source)) / packet)


OUT = IP(src="10.1.0.1", dst="10.2.0.9") / UDP(sport=1, dport=2) / b"hello"
BACK = IP(src="10.2.0.9", dst="10.1.0.1") / UDP(sport=2, dport=1) / b"world"
OUT6 = IPv6(src="2001:db8:1::1", dst="2001:db8:2::9") / UDP(sport=1, dport=2) / b"hello"
BACK6 = IPv6(src="2001:db8:2::9", dst="2001:db8:1::1") / UDP(sport=2, dport=1) / b"world"


@pytest.mark.parametrize(
    ("out", "back", "next_header", "kind"), [(OUT, BACK, 4, 0x800), (OUT6, BACK6, 41, 0x86DD)], ids=["v4", "v6"]
)
def test_packets_lose_and_gain_their_ethernet_header(rig, out, back, next_header, kind):
    peer = site(rig)
    rig.tap.send(ether(out) + b"ethernet padding")
    assert peer.recv() == (next_header, bytes(out))
    # TFC padding behind the inner packet is cut off.
    peer.send(bytes(back) + bytes(77), next_header)
    received = rig.tap.recv()
    # The station that was seen sending from that address gets the answer.
    assert received == HOST + PSEUDO + kind.to_bytes(2, "big") + bytes(back)


def test_packets_for_an_address_nobody_was_seen_with_go_to_the_host(rig):
    peer = site(rig)
    peer.send(bytes(BACK), 4)
    assert rig.tap.recv()[:12] == TAP_MAC + PSEUDO


def test_groups_get_their_group_address(rig):
    wide = Selector("224.0.0.0", "255.255.255.255")
    peer = site(rig, local=(wide, Selector("ff00::", "ffff::")))
    bridge = rig.peer()
    for destination, group in (("239.129.2.3", "01005e010203"), ("255.255.255.255", "ffffffffffff")):
        packet = bytes(IP(src="10.2.0.9", dst=destination) / UDP())
        peer.send(packet, 4)
        assert rig.tap.recv() == bytes.fromhex(group) + PSEUDO + b"\x08\x00" + packet
        assert bridge.recv_frame()[14:] == packet
    peer.send(bytes(IPv6(src="2001:db8:2::9", dst="ff02::fb") / UDP()), 41)
    assert rig.tap.recv()[:6] == bytes.fromhex("3333000000fb")


@pytest.mark.parametrize(
    "packet",
    [
        IP(src="10.9.0.1", dst="10.2.0.9") / UDP(),
        IP(src="10.1.0.1", dst="10.2.1.0") / UDP(),
        IPv6(src="2001:db8:3::1", dst="2001:db8:2::9") / UDP(),
        IPv6(src="2001:db8:1::1", dst="2001:db8:3::9") / UDP(),
    ],
)
def test_what_the_selectors_do_not_hold_stays_out(rig, packet):
    peer = site(rig)
    rig.tap.send(ether(packet))
    rig.wait_count("drop-selector-mismatch-out")
    peer.send(bytes(packet), 4 if packet.version == 4 else 41)
    rig.wait_count("drop-selector-mismatch-in")
    assert peer.pending() == rig.tap.pending() == []


UDP_53 = Selector("10.2.0.0", "10.2.0.255", 17, 53, 60)


@pytest.mark.parametrize(
    ("remote", "packet", "passes"),
    [
        (UDP_53, UDP(sport=9, dport=53), True),
        (UDP_53, UDP(sport=9, dport=60), True),
        (UDP_53, UDP(sport=53, dport=61), False),
        (UDP_53, UDP(sport=9, dport=52), False),
        (UDP_53, TCP(sport=9, dport=53), False),
        (Selector("10.2.0.0", "10.2.0.255", 1, 0x0800, 0x08FF), ICMP(type=8), True),
        (Selector("10.2.0.0", "10.2.0.255", 1, 0x0800, 0x08FF), ICMP(type=0), False),
        (Selector("10.2.0.0", "10.2.0.255", 17), UDP(dport=999), True),
        (Selector("10.2.0.0", "10.2.0.255", 0, 65535, 0), UDP(dport=999), False),
        (Selector("10.2.0.0", "10.2.0.255", 0, 65535, 0), Raw(b"abc"), True),
    ],
)
def test_protocols_and_ports_count(rig, remote, packet, passes):
    peer = site(rig, remote=(remote,))
    inner = IP(src="10.1.0.1", dst="10.2.0.9") / packet
    rig.tap.send(ether(inner))
    if passes:
        assert peer.recv() == (4, bytes(inner))
    else:
        rig.wait_count("drop-selector-mismatch-out")
        assert peer.pending() == []


def test_a_fragment_without_ports_passes_only_where_all_ports_do(rig):
    narrow = site(rig, remote=(UDP_53,))
    wide = site(rig, PSEUDO2, remote=(Selector("10.2.0.0", "10.2.0.255", 17),))
    fragment = IP(src="10.1.0.1", dst="10.2.0.9", proto=17, frag=5) / (b"\x00\x35" * 8)
    rig.tap.send(ether(fragment))
    rig.wait_count("drop-selector-mismatch-out")
    rig.tap.send(ether(fragment, PSEUDO2))
    assert wide.recv() == (4, bytes(fragment))
    assert narrow.pending() == []


@pytest.mark.parametrize(
    "data",
    [
        ether(ARP(op=2, hwsrc=dotted(HOST), psrc="10.1.0.1", pdst="10.1.0.2")),
        ether(Dot1Q(vlan=5) / OUT),
        ether(b"x" * 40),
        ether(bytes(OUT)[:24]),
        PSEUDO + HOST + b"\x86\xdd" + bytes(OUT),
        PSEUDO + HOST + b"\x08\x00" + b"\x44" + bytes(OUT)[1:],
        PSEUDO + HOST + b"\x08\x00",
    ],
    ids=["arp", "vlan", "other", "cut", "wrong-type", "bad-ihl", "empty"],
)
def test_only_whole_ip_packets_enter(rig, data):
    peer = site(rig)
    rig.tap.send(data)
    rig.wait_count("drop-not-ip")
    assert peer.pending() == []


@pytest.mark.parametrize(
    ("payload", "next_header", "name"),
    [
        (bytes(BACK), 97, "wrong-next-header"),
        (bytes(BACK), 17, "wrong-next-header"),
        (bytes(BACK), 41, "inner-ip-malformed"),
        (bytes(BACK6), 4, "inner-ip-malformed"),
        (b"", 4, "inner-ip-malformed"),
        (bytes(BACK)[:-1], 4, "inner-ip-malformed"),
        (b"\x44" + bytes(BACK)[1:], 4, "inner-ip-malformed"),
        (b"\x4f" + bytes(BACK)[1:], 4, "inner-ip-malformed"),
        (b"anything", 59, "dummy-packet"),
    ],
)
def test_what_comes_out_is_checked(rig, payload, next_header, name):
    peer = site(rig)
    peer.send(payload, next_header)
    rig.wait_count(f"drop-{name}")
    rig.settle()
    assert rig.tap.pending() == []
    assert rig.plane.port_counters(peer.port)["drops"] == 1


def test_broadcasts_do_not_enter_a_tunnel(rig):
    peer, bridge = site(rig), rig.peer()
    rig.tap.send(frame(BROADCAST, HOST))
    bridge.recv_frame()
    rig.settle()
    assert peer.pending() == []


def test_tunnel_peers_reach_each_other_and_the_bridged_ones(rig):
    one = site(rig)
    two = site(rig, PSEUDO2, local=(ANY4, ANY6), remote=(Selector("10.1.0.0", "10.1.0.127"),))
    bridge = rig.peer()
    one.send(bytes(BACK), 4)
    assert two.recv() == (4, bytes(BACK))
    two.send(bytes(OUT), 4)
    assert one.recv() == (4, bytes(OUT))
    far = IP(src="10.2.0.9", dst="10.1.0.200") / UDP()
    bridge.send_frame(ether(ARP(op=1, hwsrc=dotted(STATION), psrc="10.1.0.200", pdst="10.1.0.1"), BROADCAST, STATION))
    rig.tap.recv()
    one.send(bytes(far), 4)
    assert bridge.recv_frame() == STATION + PSEUDO + b"\x08\x00" + bytes(far)
    rig.settle()
    assert rig.tap.pending() == []


def test_isolated_tunnel_peers_do_not(rig):
    rig.plane.set_hub(isolate=True)
    one, two = site(rig), site(rig, PSEUDO2, local=(ANY4,), remote=(LOCAL,))
    one.send(bytes(BACK), 4)
    rig.wait_count("drop-hub-isolated")
    assert two.pending() == rig.tap.pending() == []


def test_a_tunnel_to_everywhere_owns_nothing(rig):
    everywhere = site(rig, PSEUDO2, local=(ANY4,), remote=(ANY4,))
    one = site(rig)
    one.send(bytes(BACK), 4)
    assert rig.tap.recv()[:6] == TAP_MAC
    rig.tap.send(request("10.77.0.1"))
    rig.settle()
    assert rig.tap.pending() == everywhere.pending() == []
    rig.tap.send(ether(OUT, PSEUDO2))
    assert everywhere.recv() == (4, bytes(OUT))


# ARP and ND.


def request(target, sender="10.1.0.1", source=HOST, destination=BROADCAST, op=1):
    arp = ARP(op=op, hwsrc=dotted(source), psrc=sender, pdst=target)
    return ether(arp, destination, source)


def solicit(target, sender="fe80::1"):
    head = Ether(dst="33:33:ff:00:00:09", src=dotted(HOST)) / IPv6(src=sender, dst="ff02::1:ff00:9")
    option = ICMPv6NDOptSrcLLAddr(lladdr=dotted(HOST)) if sender != "::" else b""
    return bytes(head / ICMPv6ND_NS(tgt=target) / option)


@pytest.mark.parametrize("destination", [BROADCAST, PSEUDO], ids=["broadcast", "unicast"])
def test_arp_is_answered_for_a_peers_range_and_goes_no_further(rig, destination):
    peer, bridge = site(rig), rig.peer()
    rig.tap.send(request("10.2.0.77", destination=destination))
    answer = Ether(rig.tap.recv())
    assert (answer.dst, answer[ARP].op, answer[ARP].hwsrc, answer[ARP].psrc) == (
        dotted(HOST),
        2,
        dotted(PSEUDO),
        "10.2.0.77",
    )
    rig.settle()
    assert peer.pending() == bridge.pending() == rig.tap.pending() == []
    assert rig.count("arp-answered") == 1


def test_a_bridged_peer_is_answered_too(rig):
    site(rig)
    bridge = rig.peer()
    bridge.send_frame(request("10.2.0.77", source=STATION))
    assert Ether(bridge.recv_frame())[ARP].hwsrc == dotted(PSEUDO)
    rig.settle()
    assert rig.tap.pending() == []


def test_solicitations_are_answered(rig):
    site(rig)
    rig.tap.send(solicit("2001:db8:2::9"))
    answer = Ether(rig.tap.recv())
    assert (answer[ICMPv6ND_NA].tgt, answer.src) == ("2001:db8:2::9", dotted(PSEUDO))
    assert rig.count("nd-answered") == 1


@pytest.mark.parametrize(
    "question",
    [
        request("10.3.0.1"),
        request("10.2.1.0"),
        request("10.2.0.7", sender="10.2.0.7"),
        request("10.2.0.7", sender=NOBODY),
        request("10.2.0.7", op=2),
        solicit("2001:db8:3::9"),
        solicit("2001:db8:2::9", sender="::"),
    ],
    ids=["foreign", "next-to-it", "gratuitous", "probe-in-a-range", "reply", "foreign6", "dad-in-a-range"],
)
def test_other_questions_are_carried_and_not_answered(rig, question):
    site(rig)
    bridge = rig.peer()
    rig.tap.send(question)
    assert bridge.recv_frame() == question
    rig.settle()
    assert rig.tap.pending() == []


def test_a_narrower_selector_of_our_own_side_wins(rig):
    site(rig, local=(Selector("10.2.0.128", "10.2.0.159"),), remote=(REMOTE,))
    rig.tap.send(request("10.2.0.130", sender="10.2.0.131"))
    rig.tap.send(request("10.2.0.7", sender="10.2.0.131"))
    assert Ether(rig.tap.recv())[ARP].psrc == "10.2.0.7"
    rig.settle()
    assert rig.tap.pending() == []


def test_an_address_that_somebody_was_seen_with_is_left_to_them(rig):
    site(rig)
    bridge = rig.peer()
    bridge.send_frame(request("10.9.9.9", sender="10.2.0.7", source=STATION))
    rig.tap.recv()
    rig.tap.send(request("10.2.0.7"))
    assert bridge.recv_frame() == request("10.2.0.7")
    rig.settle()
    assert rig.tap.pending() == []


@pytest.mark.parametrize("sender", ["10.2.0.1", NOBODY])
def test_a_single_address_is_defended_against_probes_as_well(rig, sender):
    site(rig, remote=(CLIENT,))
    rig.tap.send(request("10.2.0.5", sender=sender))
    assert Ether(rig.tap.recv())[ARP].psrc == "10.2.0.5"


def test_tagged_questions_are_carried(rig):
    site(rig)
    bridge = rig.peer()
    tagged = ether(Dot1Q(vlan=5) / ARP(op=1, hwsrc=dotted(HOST), psrc="10.1.0.1", pdst="10.2.0.7"), BROADCAST)
    rig.tap.send(tagged)
    assert bridge.recv_frame() == tagged


def test_the_proxy_can_be_switched_off(rig):
    rig.plane.set_hub(arp_proxy=False)
    site(rig)
    bridge = rig.peer()
    rig.tap.send(request("10.2.0.7"))
    bridge.recv_frame()
    rig.settle()
    assert rig.tap.pending() == []


def test_neighbours_of_the_control_plane(rig):
    bridge, other = rig.peer(), rig.peer()
    rig.plane.add_neighbour("10.5.0.1", STATION, bridge.port)
    rig.plane.add_neighbour("2001:db8:5::9", STATION, bridge.port)
    rig.tap.send(request("10.5.0.1"))
    assert Ether(rig.tap.recv())[ARP].hwsrc == dotted(STATION)
    rig.tap.send(solicit("2001:db8:5::9", sender="::"))
    assert Ether(rig.tap.recv())[IPv6].dst == "ff02::1"
    # Nobody is answered about an address behind their own port: it is theirs to defend.
    bridge.send_frame(request("10.5.0.1", source=STATION))
    rig.tap.recv()
    other.recv_frame()
    rig.plane.add_neighbour("10.5.0.1", mac(0x103), other.port)
    rig.tap.send(request("10.5.0.1"))
    assert Ether(rig.tap.recv())[ARP].hwsrc == dotted(mac(0x103))
    rig.plane.remove_neighbour("10.5.0.1")
    with pytest.raises(KeyError):
        rig.plane.remove_neighbour("10.5.0.1")
    rig.tap.send(request("10.5.0.1"))
    bridge.recv_frame()
    rig.settle()
    assert rig.tap.pending() == []


def test_this_host_answers_for_itself_although_a_peer_has_the_range(rig):
    site(rig)
    bridge = rig.peer()
    rig.plane.add_neighbour("10.2.0.7", HOST, 0)
    bridge.send_frame(request("10.2.0.7", source=STATION))
    assert rig.tap.recv() == request("10.2.0.7", source=STATION)
    rig.settle()
    assert bridge.pending() == []


def test_isolated_peers_are_not_answered_about_each_other(rig):
    rig.plane.set_hub(isolate=True)
    site(rig)
    bridge = rig.peer()
    rig.plane.add_neighbour("10.5.0.1", STATION, rig.peer().port)
    for target in ("10.2.0.7", "10.5.0.1"):
        bridge.send_frame(request(target, source=STATION))
        rig.tap.recv()
    rig.settle()
    assert bridge.pending() == []


def test_neighbours_are_checked(rig):
    with pytest.raises(KeyError):
        rig.plane.add_neighbour("10.5.0.1", STATION, 99)
    for ip in ("10.5.0", "", "::ffff:10.5.0.1", "fe80::1%eth0"):
        with pytest.raises(ValueError, match="address"):
            rig.plane.add_neighbour(ip, STATION, 0)
    with pytest.raises(ValueError, match="MAC"):
        rig.plane.add_neighbour("10.5.0.1", BROADCAST, 0)


def test_a_port_takes_its_addresses_with_it(rig):
    peer = site(rig, remote=(CLIENT, REMOTE))
    rig.plane.add_neighbour("10.5.0.1", PSEUDO, peer.port)
    rig.plane.remove_port(peer.port)
    for target in ("10.2.0.5", "10.2.0.6", "10.5.0.1"):
        rig.tap.send(request(target))
    rig.settle()
    assert rig.tap.pending() == []
    with pytest.raises(KeyError):
        rig.plane.remove_neighbour("10.5.0.1")


def test_a_peer_that_connects_anew_keeps_its_mac(rig):
    old = site(rig, remote=(CLIENT,))
    new = site(rig, remote=(CLIENT,))
    out = IP(src="10.1.0.1", dst="10.2.0.5") / UDP()
    rig.tap.send(ether(out))
    assert new.recv() == (4, bytes(out))
    rig.plane.remove_port(new.port)
    rig.tap.send(ether(out))
    assert old.recv() == (4, bytes(out))
    newer = site(rig, remote=(CLIENT,))
    rig.plane.remove_port(old.port)
    rig.tap.send(ether(out))
    assert newer.recv() == (4, bytes(out))
    rig.tap.send(request("10.2.0.5"))
    assert Ether(rig.tap.recv())[ARP].hwsrc == dotted(PSEUDO)


def test_syns_are_clamped_on_their_way_through_a_tunnel(rig):
    peer = site(rig, mss=1200)
    syn = TCP(flags="S", options=[("MSS", 1460)])
    rig.tap.send(ether(IP(src="10.1.0.1", dst="10.2.0.9") / syn))
    assert dict(IP(peer.recv()[1])[TCP].options)["MSS"] == 1200
    peer.send(bytes(IPv6(src="2001:db8:2::9", dst="2001:db8:1::1") / syn), 41)
    assert dict(Ether(rig.tap.recv())[TCP].options)["MSS"] == 1180


@pytest.mark.parametrize(
    "port",
    [
        {"kind": "ip"},
        {"kind": "tunnel", "pseudo_mac": PSEUDO},
        {"kind": "ip", "pseudo_mac": BROADCAST},
        {"kind": "ip", "pseudo_mac": b"\x02"},
        {"kind": "ip", "pseudo_mac": TAP_MAC},
        {"kind": "ethernet", "mss": 65536},
        {"kind": "ethernet", "isolate_group": -1},
        {"kind": "ip", "pseudo_mac": PSEUDO, "remote_ts": [Selector("10.0.0.2", "10.0.0.1")]},
        {"kind": "ip", "pseudo_mac": PSEUDO, "remote_ts": [Selector("10.0.0.2", "::1")]},
        {"kind": "ip", "pseudo_mac": PSEUDO, "local_ts": [Selector("10.0.0.2", "no address")]},
        {"kind": "ip", "pseudo_mac": PSEUDO, "local_ts": [Selector("::", "::1", 256)]},
        {"kind": "ip", "pseudo_mac": PSEUDO, "local_ts": [Selector("::", "::1", 6, 0, 65536)]},
        {"kind": "ip", "pseudo_mac": PSEUDO, "local_ts": [LOCAL] * 257},
    ],
)
def test_ports_are_checked(rig, port):
    with pytest.raises((ValueError, OverflowError)):
        rig.plane.add_port(**port)
    assert [entry[1] for entry in rig.plane.macs()] == [0]


def test_many_single_addresses_fit():
    with DataPlane() as plane:
        for number in range(5000):
            one = Selector(f"10.{number >> 8}.{number & 255}.1", f"10.{number >> 8}.{number & 255}.1")
            plane.add_port("ip", pseudo_mac=mac(number + 1), local_ts=[ANY4], remote_ts=[one])
        assert len(plane.macs()) == 5000
