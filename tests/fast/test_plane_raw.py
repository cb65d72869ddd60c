"""Raw protocol 50 on loopback: both families, several lanes, hostile headers. Needs root, as `make test` has."""

import socket

import pytest
from planes import BROADCAST, ETHERIP, SECONDS, TAP_MAC, Rig, drain, frame, mac, wait_for

HOST, ONE = mac(0x100), mac(1)
ESP = 50


class RawRig(Rig):
    """Its own address is not the peer's, so that each raw socket gets what is meant for it."""

    def __init__(self, family=socket.AF_INET, lanes=1):
        super().__init__(lanes, family, start=False)
        self.mine, self.theirs = ("127.0.0.21", "127.0.0.22") if family == socket.AF_INET else ("::1", "::1")
        self.raws = []
        for lane in range(lanes):
            self.raws.append(self.raw(self.mine))
            self.plane.attach_raw(lane, self.raws[-1].fileno(), family)
        self.far = self.raw(self.theirs)
        self.plane.start()

    def raw(self, ip):
        sock = socket.socket(self.family, socket.SOCK_RAW, ESP)
        sock.bind((ip, 0))
        sock.settimeout(SECONDS)
        return sock

    def raw_peer(self, **params):
        peer = self.peer()
        peer.rekey(encapsulation="esp", local_ip=self.mine, remote_ip=self.theirs, **params)
        return peer

    def send(self, packet):
        self.far.sendto(packet, (self.mine, 0))

    def sealed_by(self, peer):
        """What the far end gets for this peer, IP header taken off."""
        while True:
            data, source = self.far.recvfrom(70000)
            packet = data[20:] if self.family == socket.AF_INET else data
            if packet[:4] == peer.spi_out.to_bytes(4, "big"):
                return peer.opener.open(packet)[1], source[0]

    def close(self):
        super().close()
        for sock in (*self.raws, self.far):
            sock.close()


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["v4", "v6"])
def rig(request):
    with RawRig(request.param) as rig:
        yield rig


def test_frames_cross_in_both_directions(rig):
    peer = rig.raw_peer()
    sent = frame(BROADCAST, HOST)
    rig.tap.send(sent)
    assert rig.sealed_by(peer) == (ETHERIP + sent, rig.mine)
    back = frame(BROADCAST, ONE)
    rig.send(peer.seal(ETHERIP + back))
    assert rig.tap.recv() == back
    rig.settle()
    assert [event[0] for event in rig.events() if event[0] == "nat-moved"] == []


def test_a_peer_with_another_address_is_told():
    with RawRig() as rig, rig.raw("127.0.0.33") as elsewhere:
        peer = rig.raw_peer()
        elsewhere.sendto(peer.seal(ETHERIP + frame(BROADCAST, ONE)), (rig.mine, 0))
        rig.tap.recv()
        assert rig.wait_event("nat-moved")[:3] == ("nat-moved", peer.spi_in, "127.0.0.33")


def test_unknown_spis_name_no_port(rig):
    rig.send(b"\x12\x34\x56\x78" + bytes(40))
    event = rig.wait_event("unknown-spi")
    assert (event[1], event[2], event[4]) == (0x12345678, rig.theirs, rig.mine)
    assert event[5] == 0


def test_short_packets(rig):
    for size in range(4):
        rig.send(bytes(size))
    rig.wait_count("drop-datagram-short", 4)


def test_marker_and_keepalive_mean_nothing_here(rig):
    rig.send(bytes(4) + b"no IKE")
    rig.wait_count("drop-unknown-spi")
    assert rig.count("ike-datagrams-in") == 0
    assert rig.events() == []


def test_migrating_between_encapsulations(rig):
    peer = rig.raw_peer()
    here, there = (rig.ip, rig.port), (rig.ip, peer.sock.getsockname()[1])
    rig.plane.migrate(peer.spi_in, here, there, "udp")
    rig.tap.send(frame(BROADCAST, HOST))
    peer.recv_frame()
    rig.plane.migrate(peer.spi_in, (rig.mine, 0), (rig.theirs, 0), "esp")
    drain(rig.far)
    rig.tap.send(frame(BROADCAST, HOST))
    rig.sealed_by(peer)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["v4", "v6"])
def test_each_lane_sees_its_own_packets_only(family):
    with RawRig(family, lanes=3) as rig:
        seen = set()
        while len(seen) < 3:
            peer = rig.raw_peer()
            lane = peer.spi_in % 3
            before = rig.plane.lane_counters(lane)["esp-packets-in"]
            # Not a broadcast: on loopback, what is flooded to other peers would come back to these sockets.
            rig.send(peer.seal(ETHERIP + frame(TAP_MAC, ONE)))
            wait_for(lambda lane=lane, before=before: rig.plane.lane_counters(lane)["esp-packets-in"] == before + 1)
            seen.add(lane)
        assert rig.count("drop-foreign-lane") == 0
        assert rig.count("drop-unknown-spi") == 0
