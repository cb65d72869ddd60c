"""Security associations on a running data plane: rekeys, paths, replays, and what the control plane is told."""

import itertools
import os
import socket
import struct
import threading
import time

import pytest
from planes import BROADCAST, ETHERIP, TAP_MAC, Rig, frame, mac, wait_for

from rhp._fast.dataplane import DataPlane, SaParams
from rhp._fast.esp import EspOpener, EspSealer

UDP_SEGMENT = 103
HOST, ONE = mac(0x100), mac(1)
SENT = frame(BROADCAST, HOST)
BACK = frame(BROADCAST, ONE)


def spi_of(packet):
    return int.from_bytes(packet[:4], "big")


def next_spi(rig, peer):
    """Which SA a frame leaves by."""
    rig.tap.send(SENT)
    return spi_of(peer.sock.recv(70000))


def test_sequence_numbers_start_at_one_and_have_no_gaps(rig):
    peer = rig.peer()
    packets = []
    for _ in range(300):
        rig.tap.send(SENT)
        packets.append(peer.sock.recv(70000))
    assert [int.from_bytes(packet[4:8], "big") for packet in packets] == list(range(1, 301))
    assert {spi_of(packet) for packet in packets} == {peer.spi_out}


def test_an_inner_packet_is_authentic_etherip(rig):
    peer = rig.peer()
    rig.tap.send(SENT)
    assert peer.recv() == (97, ETHERIP + SENT)


def test_rekeying_overlaps(rig):
    peer = rig.peer()
    old = (peer.sealer, peer.sequence, peer.spi_in, peer.spi_out)
    peer.rekey(outbound_active=False)
    assert next_spi(rig, peer) == old[3]
    # Both inbound SAs are good at once.
    peer.send_frame(BACK)
    assert rig.tap.recv() == BACK
    peer.send_raw(old[0].seal(next(old[1]), 97, ETHERIP + BACK))
    assert rig.tap.recv() == BACK
    rig.plane.activate(peer.spi_in)
    assert next_spi(rig, peer) == peer.spi_out
    rig.plane.retire(old[2])
    assert next_spi(rig, peer) == peer.spi_out
    peer.send_raw(old[0].seal(next(old[1]), 97, ETHERIP + BACK))
    rig.wait_count("drop-unknown-spi")
    assert rig.tap.pending() == []


def test_retiring_the_newest_falls_back_to_the_one_before(rig):
    peer = rig.peer()
    first = peer.spi_out
    peer.rekey()
    second = (peer.spi_in, peer.spi_out)
    peer.rekey(outbound_active=False)
    assert next_spi(rig, peer) == second[1]
    rig.plane.retire(second[0])
    assert next_spi(rig, peer) == first


def test_traffic_for_a_port_without_an_sa_is_told(rig):
    peer = rig.peer()
    rig.plane.retire(peer.spi_in)
    for _ in range(50):
        rig.tap.send(SENT)
    rig.wait_count("drop-no-outbound-sa", 50)
    rig.settle()
    assert rig.events() == [("no-sa", peer.port)]
    assert rig.plane.port_counters(peer.port)["drops"] == 50


def test_migrating_changes_where_packets_go(rig):
    peer, other = rig.peer(), rig.peer()
    rig.plane.retire(other.spi_in)
    rig.tap.send(SENT)
    peer.recv_frame()
    path = (rig.ip, other.sock.getsockname()[1])
    rig.plane.migrate(peer.spi_in, (rig.ip, rig.port), path, "udp")
    rig.tap.send(SENT)
    assert peer.opener.open(other.sock.recv(70000)) == (97, ETHERIP + SENT)
    rig.settle()
    assert peer.pending() == []


def test_the_source_address_is_the_paths(rig):
    peer = rig.peer()
    rig.tap.send(SENT)
    assert peer.sock.recvfrom(70000)[1] == ("127.0.0.1", rig.port)
    with Rig(start=False) as wide:
        # A socket bound to one address cannot send from another one, so this is a drop by name and no lost lane.
        stranger = wide.peer()
        stranger.rekey(local_ip="192.0.2.77")
        wide.plane.start()
        wide.tap.send(SENT)
        assert wait_for(lambda: wide.count("drop-send-failed") + wide.count("drop-send-unreachable"))


def test_a_peer_behind_a_new_address_is_told_once_and_not_followed(rig):
    peer, elsewhere, third = rig.peer(), rig.peer(), rig.peer()
    first_inbound = ("first-inbound", peer.spi_in)
    for sock in (peer.sock, elsewhere.sock, elsewhere.sock, third.sock, peer.sock, elsewhere.sock):
        sock.sendto(peer.seal(ETHERIP + BACK), (rig.ip, rig.port))
        rig.tap.recv()
    rig.settle()
    ports = [one.sock.getsockname()[1] for one in (elsewhere, third, elsewhere)]
    assert rig.events() == [first_inbound, *[("nat-moved", peer.spi_in, rig.ip, port) for port in ports]]
    for one in (peer, elsewhere, third):
        one.pending()
    rig.tap.send(SENT)
    assert peer.recv_frame() == SENT


def test_a_peer_that_stays_elsewhere_is_told_again_after_a_while(rig):
    peer, elsewhere = rig.peer(), rig.peer()
    began, told = time.monotonic(), []
    while len(told) < 2:
        elsewhere.send_raw(peer.seal(ETHERIP + BACK))
        rig.tap.recv()
        time.sleep(0.1)
        told += rig.events("nat-moved")
        assert time.monotonic() - began < 60
    assert time.monotonic() - began > 4.5
    port = elsewhere.sock.getsockname()[1]
    assert told == [("nat-moved", peer.spi_in, rig.ip, port)] * 2


def test_a_packet_that_was_overtaken_moves_nothing(rig):
    peer, elsewhere = rig.peer(), rig.peer()
    late = peer.seal(ETHERIP + BACK)
    peer.send_frame(BACK)
    rig.tap.recv()
    elsewhere.send_raw(late)
    assert rig.tap.recv() == BACK
    assert rig.events() == [("first-inbound", peer.spi_in)]


def test_a_peer_that_keeps_moving_does_not_flood(rig):
    peer, elsewhere, third = rig.peer(), rig.peer(), rig.peer()
    began = time.monotonic()
    for turn in range(200):
        (elsewhere, third)[turn & 1].send_raw(peer.seal(ETHERIP + BACK))
        rig.tap.recv()
    # Eight at once, and four a second.
    assert 2 <= len(rig.events("nat-moved")) <= 9 + 4 * (time.monotonic() - began)
    # What was held back is told when its time has come.
    fourth = rig.peer()

    def told():
        fourth.send_raw(peer.seal(ETHERIP + BACK))
        rig.tap.recv()
        return rig.events("nat-moved")

    assert wait_for(told) == [("nat-moved", peer.spi_in, rig.ip, fourth.sock.getsockname()[1])]


def test_an_address_is_believed_only_after_authentication(rig):
    peer, liar = rig.peer(), rig.peer()
    packet = bytearray(peer.seal(ETHERIP + BACK))
    packet[-1] ^= 1
    liar.send_raw(bytes(packet))
    rig.wait_count("drop-esp-bad-icv")
    assert rig.events() == []


def test_the_first_packet_is_told_and_only_that(rig):
    peer = rig.peer()
    for _ in range(5):
        peer.send_frame(BACK)
        rig.tap.recv()
    rig.settle()
    assert rig.events() == [("first-inbound", peer.spi_in)]


def test_replays_and_forgeries_are_counted_for_their_sa(rig):
    peer = rig.peer()
    packet = peer.seal(ETHERIP + BACK)
    forged = bytearray(peer.seal(ETHERIP + BACK))
    forged[20] ^= 0x80
    for one in (packet, packet, bytes(forged), packet):
        peer.send_raw(one)
    rig.wait_count("drop-esp-replayed", 2)
    rig.wait_count("drop-esp-bad-icv")
    rig.settle_sockets()
    assert rig.tap.pending() == [BACK]
    counters = peer.counters()
    assert (counters["packets_in"], counters["replay_drops"], counters["auth_drops"]) == (1, 2, 1)


def test_packets_left_of_the_window_are_too_old(rig):
    peer = rig.peer()
    peer.rekey(replay_window=32)
    for sequence in (100, 68, 69):
        peer.send_raw(peer.seal(ETHERIP + BACK, sequence=sequence))
    rig.wait_count("drop-esp-too-old")
    rig.settle()
    assert len(rig.tap.pending()) == 2


def test_extended_sequence_numbers(rig):
    peer = rig.peer()
    peer.rekey(esn=True)
    peer.send_frame(BACK)
    assert rig.tap.recv() == BACK
    rig.tap.send(SENT)
    assert peer.recv_frame() == SENT


def test_counters_of_an_sa(rig):
    peer = rig.peer()
    assert set(peer.counters().values()) == {0}
    rig.tap.send(SENT)
    peer.recv_frame()
    peer.send_frame(BACK)
    rig.tap.recv()
    counters = wait_for(lambda: (now := peer.counters())["packets_out"] and now["packets_in"] and now)
    assert (counters["packets_in"], counters["packets_out"], counters["sequence"]) == (1, 1, 1)
    assert counters["bytes_in"] == len(BACK) + 2
    assert counters["bytes_out"] == len(SENT) + 2
    assert counters["last_in_ns"] > 0
    assert counters["last_out_ns"] > 0
    port = rig.plane.port_counters(peer.port)
    assert (port["packets_in"], port["packets_out"], port["drops"]) == (1, 1, 0)
    peer.rekey()
    assert rig.plane.port_counters(peer.port) == port
    assert set(peer.counters().values()) == {0}


def test_a_pair_that_is_deactivated_receives_only(rig):
    peer = rig.peer()
    old, old_out = peer.sealer, peer.spi_out
    before = peer.rekey()
    rig.plane.retire(peer.spi_in)
    assert next_spi(rig, peer) == old_out
    rig.plane.deactivate(before)
    rig.tap.send(SENT)
    rig.wait_count("drop-no-outbound-sa", 1)
    peer.sealer = old
    peer.send_frame(BACK)
    assert rig.tap.recv() == BACK
    with pytest.raises(KeyError):
        rig.plane.deactivate(77)


@pytest.mark.parametrize(
    ("encryption", "key", "integrity", "integrity_key"),
    [
        (20, 36, 0, 0),
        (18, 20, 0, 0),
        (16, 19, 0, 0),
        (28, 36, 0, 0),
        (12, 16, 12, 32),
        (13, 36, 14, 64),
        (12, 32, 2, 20),
    ],
)
def test_other_suites_pass_traffic(rig, encryption, key, integrity, integrity_key):
    peer = rig.peer()
    keys = [os.urandom(key), os.urandom(key), os.urandom(integrity_key), os.urandom(integrity_key)]
    spi_in, spi_out = rig.plane.allocate_spi(), 0x12345678
    rig.plane.install(
        SaParams(
            peer.port,
            spi_in,
            spi_out,
            "ethernet",
            encryption,
            keys[0],
            keys[1],
            rig.ip,
            rig.ip,
            rig.port,
            peer.sock.getsockname()[1],
            integrity=integrity,
            integrity_key_in=keys[2],
            integrity_key_out=keys[3],
        )
    )
    peer.opener = EspOpener(encryption, keys[1], integrity, keys[3], spi_out, False, 64)
    peer.sealer = EspSealer(encryption, keys[0], integrity, keys[2], spi_in, False)
    for size in (0, 1, 2, 3, 100, 1400):
        rig.tap.send(SENT + bytes(size))
        assert peer.recv_frame() == SENT + bytes(size)
        peer.send_frame(BACK + bytes(size))
        assert rig.tap.recv() == BACK + bytes(size)


BAD = {
    "spi_in": (5, -1, 2**32),
    "spi_out": (0, 255),
    "mode": ("tunnel", "transport"),
    "encryption": (1, 99),
    "encryption_key_in": (b"", bytes(19)),
    "encryption_key_out": (bytes(21),),
    "integrity": (12,),
    "local_ip": ("nonsense", "::1"),
    "remote_ip": ("127.0.0.1.1", ""),
    "remote_port": (-1, 65536),
    "replay_window": (31, 4097),
    "encapsulation": ("tcp",),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_parameters_are_checked(name, value):
    with DataPlane() as plane:
        good = {
            "port": plane.add_port("ethernet"),
            "spi_in": 1000,
            "spi_out": 2000,
            "mode": "ethernet",
            "encryption": 20,
            "encryption_key_in": bytes(20),
            "encryption_key_out": bytes(20),
            "local_ip": "127.0.0.1",
            "remote_ip": "127.0.0.2",
        }
        with pytest.raises(ValueError, match=r"[a-z]"):
            plane.install(SaParams(**{**good, name: value}))
        plane.install(SaParams(**good))
        with pytest.raises(ValueError, match="installed already"):
            plane.install(SaParams(**good))
        with pytest.raises(KeyError):
            plane.install(SaParams(**{**good, "spi_in": 1001, "port": 77}))


@pytest.mark.parametrize("call", ["retire", "activate", "sa_counters"])
def test_an_unknown_spi_is_a_key_error(rig, call):
    with pytest.raises(KeyError):
        getattr(rig.plane, call)(4242)


def test_spis_are_random_and_name_their_lane():
    with DataPlane(3) as plane:
        spis = {plane.allocate_spi() for _ in range(3000)}
        assert len(spis) > 2990
        assert min(spis) >= 256
        assert {spi % 3 for spi in spis} == {0, 1, 2}


def test_rekeys_under_traffic_lose_nothing(rig):
    """The control plane rekeys and migrates all the time; every frame arrives, in order within its SA."""
    peer = rig.peer()
    openers = {peer.spi_out: peer.opener}
    total = 4000
    window = threading.Semaphore(50)

    def pour():
        for number in range(total):
            window.acquire(timeout=60)
            rig.tap.send(frame(BROADCAST, HOST, number.to_bytes(4, "big")))

    pouring = threading.Thread(target=pour)
    pouring.start()
    path = ((rig.ip, rig.port), (rig.ip, peer.sock.getsockname()[1]))
    retired = 0
    for number in range(total):
        if number % 20 == 0:
            before = peer.rekey(outbound_active=number % 40 == 0)
            openers[peer.spi_out] = peer.opener
            rig.plane.activate(peer.spi_in)
            rig.plane.migrate(peer.spi_in, *path, "udp")
            rig.plane.retire(before)
            retired += 1
        packet = peer.sock.recv(70000)
        payload = openers[spi_of(packet)].open(packet)[1]
        assert payload[16:] == number.to_bytes(4, "big")
        window.release()
    pouring.join()
    assert retired == total / 20
    assert rig.count("drop-no-outbound-sa") == 0


def test_a_thousand_sas_come_and_go(rig):
    peer = rig.peer()
    spis = []
    for _ in itertools.repeat(None, 1000):
        peer.rekey()
        spis.append(peer.spi_in)
    peer.send_frame(BACK)
    assert rig.tap.recv() == BACK
    for spi in spis[:-1]:
        rig.plane.retire(spi)
    peer.send_frame(BACK)
    assert rig.tap.recv() == BACK
    assert next_spi(rig, peer) == peer.spi_out


def keep_busy(rig, spi, over):
    """Trains of forged packets, one behind the other."""
    with socket.socket(rig.family, socket.SOCK_DGRAM) as sock:
        forged = struct.pack("!II", spi, 1) + bytes(1400)
        control = [(socket.SOL_UDP, UDP_SEGMENT, struct.pack("H", len(forged)))]
        while not over.wait(0.0003):
            for _ in range(6):
                sock.sendmsg([forged * 44], control, 0, (rig.ip, rig.port))


def test_a_lane_that_takes_train_after_train_knows_new_sas_at_once(rig):
    """A peer may answer an installation before the lane has finished its turn."""
    over = threading.Event()
    busy = threading.Thread(target=keep_busy, args=(rig, rig.peer().spi_in, over))
    busy.start()
    try:
        for _ in range(500):
            peer = rig.peer()
            packet = peer.seal(ETHERIP + frame(TAP_MAC, mac(1)))
            rig.plane.retire(peer.spi_in)
            rig.plane.install(peer.params)
            peer.send_raw(packet)
            peer.close()
            rig.tap.pending()
    finally:
        over.set()
        busy.join()
    rig.settle_sockets()
    assert rig.count("drop-unknown-spi") == 0
