"""What `rhp.spi.esp.DataPlane` promises, tried on both data planes there are: each test runs with either."""

import socket
import struct

import pytest
from contract_packets import FAR, MAKERS, NEAR, WRONG, arp, ip4, tunnel
from planes import BROADCAST, SECONDS, TAP_MAC, Rig, Selector, frame, mac, wait_for

from rhp.spi import find
from rhp.spi.esp import LANE_COUNTERS, PORT_COUNTERS, SA_COUNTERS
from rhp.spi.reference.proxy import checksum


def test_the_providers_open_them(make):
    name = next(name for name, made in MAKERS.items() if made is make)
    plane = find.load(find.ESP, name).open(2, "flow", 1)
    try:
        assert isinstance(plane, make)
        assert (plane.lanes, plane.prepared) == (2, 3)
        assert [plane.allocate_spi(lane) % 3 for lane in range(2)] == [0, 1]
        assert plane.allocate_spi() >= 256
        with pytest.raises(ValueError):
            plane.allocate_spi(2)
    finally:
        plane.close()
        plane.close()
        plane.stop()


def test_a_frame_each_way_and_what_is_counted(rig):
    peer = rig.peer()
    out = frame(BROADCAST, mac(1), b"to everybody")
    rig.tap.send(out)
    assert peer.recv_frame() == out
    back = frame(mac(1), mac(2), b"to the one who asked")
    peer.send_frame(back)
    assert rig.tap.recv() == back
    assert set(SA_COUNTERS) <= set(rig.plane.sa_counters(peer.spi_in))
    counted = peer.counters()
    assert (counted["packets_in"], counted["packets_out"], counted["sequence"]) == (1, 1, 1)
    assert (counted["bytes_in"], counted["bytes_out"]) == (len(back) + 2, len(out) + 2)
    assert min(counted["last_in_ns"], counted["last_out_ns"]) > 0
    assert set(PORT_COUNTERS) <= set(rig.plane.port_counters(peer.port))
    assert rig.plane.port_counters(peer.port, 0)["packets_in"] == 1
    # A frame may be read before it is counted.
    rig.wait_count("tap-frames-out")
    for counters in (rig.plane.counters(), rig.plane.lane_counters(0)):
        assert set(LANE_COUNTERS) <= set(counters)
        assert counters["tap-frames-in"] == counters["tap-frames-out"] == 1
    assert rig.wait_event("first-inbound") == ("first-inbound", peer.spi_in)
    assert rig.plane.cpu(0)[0] is None and rig.plane.cpu(0)[1] > 0
    assert set(rig.plane.offloads(0)) == {"tap", "udp4"}
    known = {entry[0]: entry[1] for entry in rig.plane.macs()}
    assert (known[mac(1)], known[mac(2)], known[TAP_MAC]) == (0, peer.port, 0)


def test_the_hub_learns_and_floods(rig):
    one, other = rig.peer(), rig.peer()
    rig.tap.send(frame(mac(9), mac(1), b"to nobody known"))
    assert one.recv_frame() == other.recv_frame()
    one.send_frame(frame(mac(1), mac(5)))
    rig.tap.recv()
    rig.tap.send(frame(mac(5), mac(1), b"to one"))
    assert one.recv_frame()[14:] == b"to one"
    other.send_frame(frame(mac(5), mac(6), b"from peer to peer"))
    assert one.recv_frame()[14:] == b"from peer to peer"
    rig.settle()
    assert other.pending() == rig.tap.pending() == []


def test_peers_that_are_kept_apart(rig):
    one, twin, other = rig.peer(isolate_group=4), rig.peer(isolate_group=4), rig.peer()
    one.send_frame(frame(BROADCAST, mac(5), b"within the group"))
    assert other.recv_frame()[14:] == rig.tap.recv()[14:] == b"within the group"
    rig.plane.set_hub(isolate=True)
    other.send_frame(frame(BROADCAST, mac(6), b"in isolation"))
    assert rig.tap.recv()[14:] == b"in isolation"
    rig.settle()
    assert one.pending() == twin.pending() == other.pending() == []


def test_nobody_claims_what_is_fixed(rig):
    one, other = rig.peer(), rig.peer()
    rig.plane.set_hub(static=[(mac(7), one.port)])
    other.send_frame(frame(BROADCAST, mac(7), b"not mine"))
    other.send_frame(frame(BROADCAST, TAP_MAC, b"nor this"))
    rig.wait_count("drop-hub-spoofed-mac", 2)
    rig.tap.send(frame(mac(7), mac(1), b"to the owner"))
    assert one.recv_frame()[14:] == b"to the owner"
    with pytest.raises((KeyError, ValueError)):
        rig.plane.set_hub(static=[(mac(8), 4711)])


def test_ip_in_tunnel_mode(rig):
    peer = tunnel(rig)
    rig.tap.send(arp(mac(1), NEAR, FAR))
    answer = rig.tap.recv()
    assert answer[:14] == mac(1) + mac(0x77) + b"\x08\x06"
    assert answer[20:42] == b"\0\2" + mac(0x77) + socket.inet_aton(FAR) + mac(1) + socket.inet_aton(NEAR)
    out = ip4(NEAR, FAR)
    rig.tap.send(mac(0x77) + mac(1) + b"\x08\x00" + out + bytes(30))
    assert peer.recv() == (4, out)
    back = ip4(FAR, NEAR)
    peer.send(back + bytes(9), 4)
    # To the station that asked, which told its MAC by that; to any other by the TAP's own.
    assert rig.tap.recv() == mac(1) + mac(0x77) + b"\x08\x00" + back


def test_what_selectors_do_not_allow(rig):
    peer = tunnel(rig)
    rig.tap.send(mac(0x77) + mac(1) + b"\x08\x00" + ip4(NEAR, "10.3.0.1"))
    rig.wait_count("drop-selector-mismatch-out")
    peer.send(ip4("10.3.0.1", NEAR), 4)
    rig.wait_count("drop-selector-mismatch-in")
    peer.send(ip4(FAR, NEAR)[:19], 4)
    rig.wait_count("drop-inner-ip-malformed")
    peer.send(b"whatever", 97)
    rig.wait_count("drop-wrong-next-header")
    assert rig.tap.pending() == []


def test_ports_in_selectors(rig):
    peer = tunnel(rig, Selector("10.2.0.0", "10.2.0.255", 17, 53, 53))
    for port, said in ((53, b"dns"), (54, b"no")):
        body = struct.pack("!HHHH", port, 5000, 8 + len(said), 0) + said
        peer.send(ip4(FAR, NEAR, body, 17), 4)
    assert rig.tap.recv().endswith(b"dns")
    rig.wait_count("drop-selector-mismatch-in")


def syn(options, version=4):
    """A SYN with these options and a right checksum, in a frame."""
    tcp = struct.pack("!HHIIBBHHH", 1, 2, 3, 0, (20 + len(options)) << 2, 2, 1000, 0, 0) + options
    if version == 4:
        source, target = socket.inet_aton(NEAR), socket.inet_aton(FAR)
        total = checksum(source + target + struct.pack("!HH", 6, len(tcp)) + tcp)
        tcp = tcp[:16] + total.to_bytes(2) + tcp[18:]
        return frame(BROADCAST, mac(1), ip4(NEAR, FAR, tcp, 6), 0x0800)
    ends = b"\xfd\x01" + bytes(14) + b"\xfd\x02" + bytes(14)
    total = checksum(ends + struct.pack("!II", len(tcp), 6) + tcp)
    tcp = tcp[:16] + total.to_bytes(2) + tcp[18:]
    return frame(BROADCAST, mac(1), struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + ends + tcp, 0x86DD)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\2\4\5\xb4", "clamped"),
        (b"\1\2\4\x23\x00\0\0\0", "clamped"),
        (b"\2\4\2\0", "kept"),
        (b"\1\1\1\0\2\4\x05\xb4", "kept"),
        (b"\2\0\5\xb4", "kept"),
        (b"\3\xff\5\xb4", "kept"),
    ],
    ids=["usual", "at-an-odd-place", "small", "behind-the-end", "no-length", "beyond-the-end"],
)
def test_syns_are_clamped_both_ways(rig, version, before, after):
    peer = rig.peer(mss=1200)
    mss = 1200 if version == 4 else 1180
    expected = before
    if after == "clamped":
        place = before.index(b"\2\4") + 2
        expected = before[:place] + mss.to_bytes(2) + before[place + 2 :]
    sent, wanted = syn(before, version), syn(expected, version)
    rig.tap.send(sent)
    assert peer.recv_frame() == wanted
    peer.send_frame(sent)
    assert rig.tap.recv() == wanted
    rig.plane.set_port_path(peer.port, mss=0, limit=0)
    rig.tap.send(sent)
    assert peer.recv_frame() == sent


def test_ipv6_neighbours(rig):
    far, near = socket.inet_pton(socket.AF_INET6, "fd02::1"), socket.inet_pton(socket.AF_INET6, "fd01::1")
    rig.peer(
        "ip",
        pseudo_mac=mac(0x66),
        local_ts=[Selector("::", "ffff" + ":ffff" * 7)],
        remote_ts=[Selector("fd02::", "fd02::ffff")],
    )
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:1")
    message = bytes((135, 0, 0, 0)) + bytes(4) + far + b"\1\1" + mac(1)
    total = checksum(near + group + struct.pack("!II", len(message), 58) + message)
    message = message[:2] + total.to_bytes(2) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + near + group
    rig.tap.send(b"\x33\x33\xff\x00\x00\x01" + mac(1) + b"\x86\xdd" + header + message)
    answer = rig.tap.recv()
    assert answer[:14] == mac(1) + mac(0x66) + b"\x86\xdd"
    assert (answer[22:38], answer[38:54], answer[54], answer[62:78]) == (far, near, 136, far)
    assert answer[-6:] == mac(0x66)
    body = answer[54:]
    assert checksum(far + near + struct.pack("!II", len(body), 58) + body) == 0


def test_forged_repeated_and_unknown_packets(rig):
    peer = rig.peer()
    packet = peer.seal(b"\x30\x00" + frame(mac(1), mac(2)))
    peer.send_raw(packet)
    peer.send_raw(packet)
    peer.send_raw(packet[:-1] + bytes((packet[-1] ^ 1,)))
    spoiled = peer.seal(b"\x30\x00" + frame(mac(1), mac(2)))
    peer.send_raw(spoiled[:-1] + bytes((spoiled[-1] ^ 1,)))
    rig.wait_count("drop-esp-bad-icv")
    rig.settle()
    assert len(rig.tap.pending()) == 1
    assert peer.counters()["replay_drops"] == 2
    assert peer.counters()["auth_drops"] == 1
    stranger = (0xABCD0000).to_bytes(4) + packet[4:]
    peer.send_raw(stranger)
    kind, spi, ip, port, local_ip, local_port = rig.wait_event("unknown-spi")
    assert (kind, spi) == ("unknown-spi", 0xABCD0000)
    assert (ip, port) == peer.sock.getsockname()
    assert (local_ip, local_port) == (rig.ip, rig.port)


def test_ike_and_keep_alives(rig):
    peer = rig.peer()
    peer.send_raw(b"\xff")
    peer.send_raw(bytes(4) + b"an IKE message")
    event = rig.wait_event("ike")
    assert event == ("ike", *peer.sock.getsockname(), rig.ip, rig.port, b"an IKE message")
    assert rig.count("keepalives-in") == 1


def test_the_newest_active_pair_sends(rig):
    peer = rig.peer()
    rig.plane.deactivate(peer.spi_in)
    rig.tap.send(frame(BROADCAST, mac(1), b"nobody carries this"))
    assert rig.wait_event("no-sa") == ("no-sa", peer.port)
    rig.plane.activate(peer.spi_in)
    first, opener, sealer = peer.spi_in, peer.opener, peer.sealer
    rig.tap.send(frame(BROADCAST, mac(1), b"on the first"))
    assert peer.recv_frame()[14:] == b"on the first"
    peer.rekey(outbound_active=False)
    rig.tap.send(frame(BROADCAST, mac(1), b"still on the first"))
    assert opener.open(peer.sock.recv(70000))[1].endswith(b"still on the first")
    rig.plane.activate(peer.spi_in)
    rig.tap.send(frame(BROADCAST, mac(1), b"on the second"))
    assert peer.recv_frame()[14:] == b"on the second"
    peer.send_raw(sealer.seal(1, 97, b"\x30\x00" + frame(mac(1), mac(2), b"the old one receives")))
    assert rig.tap.recv().endswith(b"the old one receives")
    rig.plane.retire(peer.spi_in)
    rig.tap.send(frame(BROADCAST, mac(1), b"on the first again"))
    assert opener.open(peer.sock.recv(70000))[1].endswith(b"on the first again")
    rig.plane.remove_port(peer.port)
    for verb in (rig.plane.retire, rig.plane.activate, rig.plane.deactivate, rig.plane.sa_counters):
        with pytest.raises(KeyError):
            verb(first)
    with pytest.raises(KeyError):
        rig.plane.remove_port(peer.port)


def test_limits_warn_and_hold(rig):
    peer = rig.peer()
    peer.rekey(packet_warn=2, packet_limit=3)
    for number in range(5):
        peer.send_frame(frame(mac(1), mac(2), b"packet %d" % number))
    rig.wait_count("drop-lifetime-over", 2)
    told = []
    wait_for(lambda: told.extend(rig.events("sa-limit")) or len(told) > 1)
    assert told == [("sa-limit", peer.spi_in, "near"), ("sa-limit", peer.spi_in, "over")]
    assert len(rig.tap.pending()) == 3


def test_a_peer_that_moved_is_told_and_followed(rig):
    peer = rig.peer()
    with socket.socket(rig.family, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind((rig.ip, 0))
        elsewhere.settimeout(SECONDS)
        elsewhere.sendto(peer.seal(b"\x30\x00" + frame(mac(1), mac(2))), (rig.ip, rig.port))
        where = elsewhere.getsockname()
        assert rig.wait_event("nat-moved") == ("nat-moved", peer.spi_in, *where)
        rig.plane.migrate(peer.spi_in, (rig.ip, rig.port), where, "udp")
        rig.tap.send(frame(mac(2), mac(1), b"there you are"))
        assert peer.opener.open(elsewhere.recv(70000))[1].endswith(b"there you are")
    rig.plane.probe(peer.spi_in, 1400)


def test_dummy_packets_and_nonsense_inside(rig):
    peer = rig.peer()
    peer.send(b"nothing", 59)
    peer.send(b"\x40\x00" + frame(mac(1), mac(2)))
    peer.send(b"\x30\x00short")
    peer.send_raw(b"\1\2\3")
    rig.settle()
    counters = rig.plane.counters()
    assert counters["drop-dummy-packet"] == 1
    assert sum(value for name, value in counters.items() if name in WRONG) == 3
    assert rig.tap.pending() == []


def test_the_tap_goes_and_comes_back(rig):
    peer = rig.peer()
    rig.tap.host.close()
    event = rig.wait_event("tap-lost")
    assert (event[:2], event[3]) == (("tap-lost", 0), 0)
    assert rig.plane.running
    rig.plane.stop()
    rig.plane.stop()
    near, queue = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, queue:
        near.settimeout(SECONDS)
        rig.plane.attach_tap(0, queue.fileno(), TAP_MAC)
        rig.plane.start()
        with pytest.raises(RuntimeError):
            rig.plane.start()
        peer.send_frame(frame(mac(1), mac(2), b"back again"))
        assert near.recv(70000).endswith(b"back again")
        near.send(frame(BROADCAST, mac(1), b"and out"))
        assert peer.recv_frame().endswith(b"and out")
        rig.plane.close()


def test_the_tap_is_replaced_while_packets_go(rig):
    peer = rig.peer()
    rig.tap.host.close()
    rig.wait_event("tap-lost")
    near, queue = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, queue:
        near.settimeout(SECONDS)
        rig.plane.attach_tap(0, queue.fileno(), TAP_MAC)
        near.send(frame(BROADCAST, mac(1), b"by the new one"))
        assert peer.recv_frame().endswith(b"by the new one")
        peer.send_frame(frame(mac(1), mac(2), b"to the new one"))
        assert near.recv(70000).endswith(b"to the new one")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda plane, port: plane.add_port("ip"), ValueError),
        (lambda plane, port: plane.add_port("ip", pseudo_mac=b"\xff" * 6), ValueError),
        (lambda plane, port: plane.set_port_path(4711, mss=0, limit=0), KeyError),
        (lambda plane, port: plane.add_neighbour("no address", mac(1), 0), ValueError),
        (lambda plane, port: plane.add_neighbour("10.0.0.1", mac(1), 4711), KeyError),
        (lambda plane, port: plane.remove_neighbour("10.0.0.1"), KeyError),
        (lambda plane, port: plane.lane_counters(7), ValueError),
        (lambda plane, port: plane.port_counters(4711), KeyError),
        (lambda plane, port: plane.add_lane(), ValueError),
        (lambda plane, port: plane.pin([0, 0, 0]), (ValueError, RuntimeError)),
    ],
)
def test_what_cannot_be_is_refused(rig, wrong, error):
    with pytest.raises(error):
        wrong(rig.plane, rig.peer().port)


def test_neighbours_behind_a_port_are_answered_for(rig):
    peer = rig.peer()
    rig.plane.add_neighbour("10.9.0.9", mac(0x99), peer.port)
    rig.tap.send(arp(mac(1), NEAR, "10.9.0.9"))
    assert rig.tap.recv()[6:12] == mac(0x99)
    rig.plane.add_neighbour("10.9.0.9", TAP_MAC, 0)
    rig.tap.send(arp(mac(1), NEAR, "10.9.0.9"))
    assert peer.recv_frame()[12:14] == b"\x08\x06"
    rig.plane.remove_neighbour("10.9.0.9")


def test_a_spare_lane_joins(make):
    with Rig(make=make, spare=1) as rig:
        near, queue = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with near, queue, socket.socket(rig.family, socket.SOCK_DGRAM) as sock:
            near.settimeout(SECONDS)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((rig.ip, rig.port))
            with pytest.raises(RuntimeError):
                rig.plane.attach_udp(0, sock.fileno(), rig.family)
            rig.plane.attach_tap(1, queue.fileno(), TAP_MAC)
            rig.plane.attach_udp(1, sock.fileno(), rig.family)
            assert rig.plane.add_lane() == 1
            peer = rig.peer()
            near.send(frame(BROADCAST, mac(1), b"by the new lane"))
            assert peer.recv_frame().endswith(b"by the new lane")
            peer.rekey(lane=1)
            peer.send_frame(frame(mac(1), mac(2), b"to the new lane"))
            taps = (near, rig.tap.host)
            assert wait_for(lambda: [one for one in taps if _has(one)])[0].recv(70000).endswith(b"to the new lane")
            assert rig.plane.lane_counters(1)["esp-packets-in"] == 1
            rig.plane.close()


def _has(sock):
    sock.setblocking(False)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        sock.settimeout(SECONDS)
