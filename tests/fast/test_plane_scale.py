"""A hub with ten thousand stations and a thousand peers, and peers that try to keep it busy."""

import socket
import struct
import time

from planes import ANY4, BROADCAST, ETHERIP, TAP_MAC, Rig, frame, mac, wait_for

from rhp._fast.dataplane import Selector
from rhp.lab.flows import tcp

STATIONS = 10_000
PEERS = 1_000
ALL_OFFLOADS = 0x6F
UDP_SEGMENT = 103
MULTICAST = bytes.fromhex("01005e000001")


def station(number):
    return b"\x02\x01" + struct.pack("!I", number)


def test_ten_thousand_stations_have_a_place_each():
    with Rig() as rig:
        peers = [rig.peer() for _ in range(4)]
        for number in range(STATIONS):
            peers[number % 4].send_frame(frame(TAP_MAC, station(number), b""))
            if number % 50 == 49:
                rig.settle_sockets()
                rig.tap.pending()
        table = {address: port for address, port, _ in rig.plane.macs()}
        assert all(table[station(number)] == peers[number % 4].port for number in range(STATIONS))
        assert rig.count("mac-table-full") == 0
        for number in range(0, STATIONS, 997):
            rig.tap.send(frame(station(number), TAP_MAC))
            assert peers[number % 4].recv_frame() == frame(station(number), TAP_MAC)
        assert rig.count("frames-flooded") == 0


def test_a_thousand_networks_behind_a_thousand_peers():
    """ARP for an address in each of some networks is answered with its own peer's pseudo-MAC."""
    with Rig() as rig:
        macs = []
        for number in range(PEERS):
            net = f"10.{number // 256}.{number % 256}."
            macs.append(b"\x02\x02" + struct.pack("!I", number))
            selectors = {"local_ts": [ANY4], "remote_ts": [Selector(f"{net}0", f"{net}255")]}
            rig.plane.add_port("ip", pseudo_mac=macs[-1], **selectors)
        for number in (0, 1, 500, PEERS - 1):
            target = bytes([10, number // 256, number % 256, 77])
            rig.tap.send(arp_request(target))
            answer = rig.tap.recv()
            assert answer[6:12] == macs[number]
            assert answer[28:32] == target


def arp_request(target, sender=TAP_MAC):
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + sender + bytes([192, 0, 2, 1]) + bytes(6) + target
    return frame(BROADCAST, sender, body, 0x0806)


PATIENCE = 120.0
PLACES = 200
"""Where a storm's frames are copied to: all peers but its own, and the TAP. So many that the limit is soon reached."""


def storm(peer, count, destination):
    for number in range(count):
        peer.send_frame(frame(destination, mac(900), number.to_bytes(4, "big")))


def storm_until_limited(rig, peer, destination):
    """The limit is one of time as well: on a slow machine it may take many tries until one is quick enough."""
    sent = 0

    def again():
        nonlocal sent
        # As many as a small queue holds: while the lane is waited for, the peer's share grows.
        storm(peer, 400, destination)
        sent += 400
        rig.settle_sockets()
        rig.tap.pending()
        return rig.count("drop-flood-limit")

    wait_for(again, PATIENCE)
    return sent


def at_most(began):
    """How many frames may have been copied since then: a burst of 25,000 copies, and 50 a millisecond."""
    return (25_000 + 50 * ((time.monotonic() - began) * 1000 + 50)) / PLACES + 1


def test_a_storm_of_one_peer_is_bounded_and_the_others_go_on():
    with Rig() as rig:
        loud, quiet, *silent = [rig.peer() for _ in range(PLACES)]
        quiet.send_frame(frame(TAP_MAC, mac(1)))
        rig.settle_sockets()
        began = time.monotonic()
        sent = storm_until_limited(rig, loud, station(1))
        for _ in range(10):
            storm(loud, 100, station(1))
            sent += 100
            rig.settle_sockets()
            rig.tap.pending()
        flooded = rig.count("frames-flooded")
        assert flooded <= at_most(began)
        assert rig.count("drop-flood-limit") == sent - flooded > 0
        assert rig.plane.port_counters(loud.port)["drops"] == sent - flooded
        # Another peer's broadcast, and traffic to stations that are known, pass as ever.
        for peer in (quiet, *silent):
            peer.pending()
        quiet.send_frame(frame(BROADCAST, mac(1), b"still heard"))
        assert silent[0].recv_frame().endswith(b"still heard")
        rig.tap.send(frame(mac(1), TAP_MAC, b"known"))
        assert wait_for(lambda: quiet.pending()) == [ETHERIP + frame(mac(1), TAP_MAC, b"known")]
        loud.send_frame(frame(mac(1), mac(900), b"known as well"))
        assert quiet.recv_frame().endswith(b"known as well")


def test_the_others_are_served_in_a_storm():
    """Were each frame of it copied to all, three in four of the others' would be lost before the socket."""
    with Rig() as rig:
        loud, quiet, friend, *_ = [rig.peer() for _ in range(PLACES)]
        friend.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        rig.plane.set_hub(static=[(mac(1), quiet.port), (mac(2), friend.port)])
        began = time.monotonic()
        stormed = storm_until_limited(rig, loud, station(1))
        friend.pending()
        sent, got = [], []
        for number in range(500):
            storm(loud, 20, station(1))
            stormed += 20
            sent.append(frame(mac(2), mac(1), number.to_bytes(4, "big")))
            quiet.send_frame(sent[-1])
            if number % 10 == 9:
                rig.settle_sockets()
                got += [data[2:] for data in friend.pending() if data[2:8] == mac(2)]
        flooded = rig.count("frames-flooded")
        assert flooded <= at_most(began)
        # The plane has lost nothing but what is too much of the storm.
        assert rig.count("drop-flood-limit") == stormed - flooded
        assert friend.counters()["packets_out"] == flooded + len(sent)
        assert sum(count for name, count in rig.plane.counters().items() if name.startswith("drop-send-")) == 0
        # The friend's own socket may lose some, where the machine is busy.
        assert len(got) > 400
        assert got == [one for one in sent if one in set(got)]


def test_whose_data_storm_is_still_asked_by_arp():
    """A storm must not silence the ARP of those behind the same peer: a fifth of its copies is left for that."""
    with Rig() as rig:
        loud, other, *_ = [rig.peer() for _ in range(PLACES)]
        storm_until_limited(rig, loud, station(1))
        other.pending()
        questions = [arp_request(bytes([192, 0, 2, number]), sender=mac(901)) for number in range(20)]
        for question in questions:
            loud.send_frame(question)
        rig.settle_sockets()
        assert [data[2:] for data in other.pending() if data[2:8] == BROADCAST] == questions


def test_the_limit_is_over_when_its_time_is():
    with Rig() as rig:
        loud, *_ = [rig.peer() for _ in range(PLACES)]
        storm_until_limited(rig, loud, MULTICAST)
        time.sleep(0.1)
        before = rig.count("frames-flooded")
        storm(loud, 1, MULTICAST)
        wait_for(lambda: rig.count("frames-flooded") > before)


def test_one_peer_and_the_interface_flood_as_they_like():
    """Nothing is multiplied, so there is nothing to share."""
    with Rig() as rig:
        peer = rig.peer()
        for _ in range(300):
            storm(peer, 100, station(1))
            rig.settle_sockets()
            rig.tap.pending()
        assert rig.count("drop-flood-limit") == 0


def test_peers_kept_apart_flood_to_the_interface_as_they_like():
    with Rig() as rig:
        loud, other, *_ = [rig.peer() for _ in range(200)]
        rig.plane.set_hub(isolate=True)
        for _ in range(20):
            storm(loud, 50, station(1))
            rig.settle_sockets()
            rig.tap.pending()
        assert rig.count("frames-flooded") == 1000
        assert rig.count("drop-flood-limit") == 0
        assert other.pending() == []


def test_small_segments_of_a_super_frame_count_one_by_one():
    """Each of them is copied to everybody again, however many arrived as one."""
    with Rig(offloads=ALL_OFFLOADS) as rig:
        loud, *others = [rig.peer() for _ in range(40)]
        begin = time.monotonic()
        for batch in range(40):
            segments = [tcp(60 * batch + number, 8, step=8) for number in range(60)]
            packets = [loud.seal(ETHERIP + station(1) + mac(900) + one[12:]) for one in segments]
            size = struct.pack("H", len(packets[0]))
            control = [(socket.SOL_UDP, UDP_SEGMENT, size)]
            loud.sock.sendmsg([b"".join(packets)], control, 0, (rig.ip, rig.port))
            rig.settle_sockets()
            rig.tap.pending()
        taken = time.monotonic() - begin
        assert rig.count("packets-merged") > 0
        # One super-frame may go beyond what is left.
        assert rig.count("esp-packets-out") <= 25_000 + 60 * len(others) + 50 * (taken * 1000 + 50)


def test_a_peer_fills_only_its_share_of_the_neighbours():
    """Each ARP request makes its sender's address known, as long as a tunnel-mode peer may need it."""
    with Rig() as rig:
        rig.plane.add_port("ip", pseudo_mac=mac(7), local_ts=[ANY4], remote_ts=[Selector("10.9.0.0", "10.9.255.255")])
        peer = rig.peer()
        for number in range(6000):
            sender = mac(900) + struct.pack("!I", 0x0A000000 + number)
            body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + sender + bytes(6) + bytes([192, 0, 2, 1])
            peer.send_frame(frame(TAP_MAC, mac(900), body, 0x0806))
            if number % 50 == 49:
                rig.settle_sockets()
                rig.tap.pending()
        # Whom the hub knows it does not ask for: an address that was learned is not answered for, any other is.
        assert known(rig, 0)
        assert not known(rig, 5999)


def known(rig, number):
    """Whether the hub has learned that address: it answers for a peer's range, but never for what was seen."""
    peer = rig.plane.add_port(
        "ip", pseudo_mac=mac(8), local_ts=[ANY4], remote_ts=[Selector("10.0.0.0", "10.0.255.255")]
    )
    rig.tap.pending()
    rig.tap.send(arp_request(struct.pack("!I", 0x0A000000 + number)))
    rig.settle()
    answered = bool(rig.tap.pending())
    rig.plane.remove_port(peer)
    return not answered
