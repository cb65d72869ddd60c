"""In-order delivery through a running lane: what waits, what is dropped, and that nothing waits forever."""

import socket
import struct
import time

import pytest
from planes import ANY4, ETHERIP, TAP_MAC, frame, mac, wait_for
from scapy.layers.inet import IP, UDP

HOLD = 0.004
SLOTS = 64
DUMMY = 59
UDP_SEGMENT = 103


def numbered(number):
    return frame(TAP_MAC, mac(1), b"%08d" % number + bytes(50))


def send(peer, *numbers, others=()):
    """Packets with these sequence numbers in this order, as one train: the lane sees them at one time.

    `others` maps numbers to another next header.
    """
    others = dict(others)
    train = [peer.seal(ETHERIP + numbered(number & 0xFF), others.get(number, 97), number) for number in numbers]
    send_train(peer, train)


def send_train(peer, packets):
    size = struct.pack("=H", len(packets[0]))
    there = (peer.rig.ip, peer.rig.port)
    peer.sock.sendmsg([b"".join(packets)], [(socket.IPPROTO_UDP, UDP_SEGMENT, size)], 0, there)


def came(rig, count):
    """The numbers of the next frames, and that there are no more."""
    numbers = [int(rig.tap.recv()[14:22]) for _ in range(count)]
    time.sleep(2 * HOLD)
    rig.settle_sockets()
    assert rig.tap.pending() == []
    return numbers


def test_off_everything_goes_as_it_comes(rig):
    send(rig.peer(), 1, 4, 2, 3)
    assert came(rig, 4) == [1, 4, 2, 3]
    assert rig.count("esp-packets-held") == rig.count("drop-overtaken") == 0


def test_drop_leaves_out_what_was_overtaken(rig):
    rig.plane.set_hub(ordering="drop")
    peer = rig.peer()
    send(peer, 1, 4, 2, 3, 5)
    assert came(rig, 3) == [1, 4, 5]
    assert rig.count("drop-overtaken") == rig.plane.port_counters(peer.port)["drops"] == 2
    assert rig.count("esp-packets-held") == 0


def test_hold_mends_the_order(rig):
    rig.plane.set_hub(ordering="hold")
    send(rig.peer(), 1, 4, 6, 3, 2, 5, 7)
    assert came(rig, 7) == [1, 2, 3, 4, 5, 6, 7]
    assert rig.count("drop-overtaken") == 0
    assert rig.count("esp-packets-held") == 3


def test_hold_gives_up_a_gap_in_time_though_nothing_else_comes(rig):
    rig.plane.set_hub(ordering="hold")
    peer = rig.peer()
    before = time.monotonic()
    send(peer, 2)
    assert int(rig.tap.recv()[14:22]) == 2
    # One timer's width early, because the lane's clock was read before the packet.
    assert time.monotonic() - before > HOLD / 2
    send(peer, 1)
    assert came(rig, 0) == []
    assert rig.count("drop-overtaken") == 1
    send(peer, 3)
    assert came(rig, 1) == [3]


def test_hold_keeps_no_more_than_its_pool(rig):
    rig.plane.set_hub(ordering="hold")
    peer, other = rig.peer(), rig.peer()
    send(peer, *range(2, 40))
    send(peer, *range(40, 2 + SLOTS + 10))
    # Whenever the pool is full the oldest gap is given up, and all behind it goes at once.
    assert came(rig, SLOTS + 10) == list(range(2, 2 + SLOTS + 10))
    send(other, 1)
    assert came(rig, 1) == [1]


@pytest.mark.parametrize("ordering", ["drop", "hold"])
def test_peers_do_not_wait_for_each_other(rig, ordering):
    rig.plane.set_hub(ordering=ordering)
    one, two = rig.peer(), rig.peer()
    send(one, 1)
    send(two, 1)
    send(one, 2)
    send(two, 2)
    assert sorted(came(rig, 4)) == [1, 1, 2, 2]
    assert rig.count("esp-packets-held") == rig.count("drop-overtaken") == 0


def test_what_goes_nowhere_has_its_place_too(rig):
    rig.plane.set_hub(ordering="hold")
    peer = rig.peer()
    send(peer, 1, 4, 2, 3, others={2: DUMMY, 3: 4})
    assert came(rig, 2) == [1, 4]
    assert rig.count("drop-dummy-packet") == rig.count("drop-wrong-next-header") == 1
    assert rig.count("esp-packets-held") == 1


def test_a_dummy_packet_waits_as_well(rig):
    rig.plane.set_hub(ordering="hold")
    peer = rig.peer()
    send(peer, 1, 3, 4, 2, others={3: DUMMY})
    assert came(rig, 3) == [1, 2, 4]
    assert rig.count("drop-dummy-packet") == 1


def test_a_forged_packet_makes_nothing_wait(rig):
    rig.plane.set_hub(ordering="hold")
    peer = rig.peer()
    one, forged, two = (peer.seal(ETHERIP + numbered(number), sequence=number) for number in (1, 90, 2))
    send_train(peer, [one, forged[:-1] + bytes([forged[-1] ^ 1]), two])
    assert came(rig, 2) == [1, 2]
    assert rig.count("esp-packets-held") == 0


def test_each_sa_of_a_port_counts_from_one(rig):
    rig.plane.set_hub(ordering="hold")
    peer = rig.peer()
    send(peer, 1, 2, 3)
    assert came(rig, 3) == [1, 2, 3]
    peer.rekey()
    send(peer, 1, 2)
    assert came(rig, 2) == [1, 2]
    assert rig.count("esp-packets-held") == 0


def test_numbers_of_64_bits(rig):
    rig.plane.set_hub(ordering="hold")
    peer = rig.peer()
    peer.rekey(esn=True)
    # In steps, as the high half is not sent but inferred (RFC 4303 appendix A).
    for number in (0x7FFFFFFF, 0xFFFFFFFE):
        send(peer, number)
        rig.tap.recv()
    send(peer, 0x100000002, 0xFFFFFFFF, 0x100000001, 0x100000000)
    assert came(rig, 4) == [0xFF, 0, 1, 2]
    assert rig.count("drop-overtaken") == 0


def test_a_tunnel_is_as_it_was(rig):
    rig.plane.set_hub(ordering="hold")
    peer = rig.peer("ip", pseudo_mac=mac(9), local_ts=(ANY4,), remote_ts=(ANY4,))
    for number in (1, 3, 2):
        packet = bytes(IP(src="192.0.2.9", dst="192.0.2.1") / UDP() / bytes([number]))
        peer.send_raw(peer.seal(packet, 4, number))
    rig.settle_sockets()
    assert rig.count("esp-packets-held") == 0


def test_an_sa_that_is_retired_leaves_nothing_behind(rig):
    rig.plane.set_hub(ordering="hold")
    for _ in range(500):
        peer = rig.peer()
        rig.tap.pending()
        send(peer, 2)
        wait_for(lambda peer=peer: peer.counters()["packets_in"])
        rig.plane.retire(peer.spi_in)
        rig.settle_sockets()
        if rig.count("drop-held-retired"):
            break
    # A retired SA is wiped; what waited of it is gone, and the next one has the whole pool.
    assert rig.count("drop-held-retired") == 1
    send(rig.peer(), 1)
    assert int(rig.tap.recv()[14:22]) in (1, 2)


def test_switched_off_nothing_stays_behind(rig):
    rig.plane.set_hub(ordering="hold")
    peer = rig.peer()
    send(peer, 3)
    rig.plane.set_hub(ordering="off")
    send(peer, 2)
    assert sorted(came(rig, 2)) == [2, 3]


def test_an_unknown_ordering_is_refused(rig):
    with pytest.raises(ValueError, match="no ordering sideways"):
        rig.plane.set_hub(ordering="sideways")
