"""A peer that holds the keys, octet by octet: whatever it seals, in whatever order, is delivered whole or counted.

One lane takes batches of ESP packets that were made here: good segments of three flows, frames that lie, contents that
belong to no tunnel, forgeries and replays. What it writes to a TAP that takes super-frames is cut again and compared.
"""

import random
import socket
from collections import Counter

import pytest
from hostile import everything, overlapping
from planes import ANY4, ANY6, ETHERIP, TAP_MAC, Rig, drain

from rhp._fast.parcel import from_tap
from rhp._fast.segment import segments
from rhp.lab.flows import ACK, PLAIN, PLAIN6, SEGMENT, spoilt, tcp, udp

OFFLOADS = 0x6F
"""TUN_F_CSUM, TSO4, TSO6, TSO_ECN, USO4 and USO6: a TAP that takes all there is."""
SO_SNDBUFFORCE = 32
PSEUDO = bytes.fromhex("020000000abc")
ETHERNET = 14
BATCH = 50
STATIONS = bytes.fromhex("020000000077020000000088")


@pytest.fixture
def rig():
    with Rig(start=False) as made:
        made.tap.queue.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
        made.plane.attach_tap(0, made.tap.queue.fileno(), TAP_MAC, OFFLOADS)
        yield made


def delivered(rig, peer, packets):
    """Hand all packets to the lane at once; the frames that its TAP gets, cut again to what was sent."""
    for packet in packets:
        peer.send_raw(packet)
    rig.plane.start()
    rig.settle_sockets()
    rig.plane.stop()
    found = []
    for written in drain(rig.tap.host):
        frame, kind, size, start, offset, unfinished = from_tap(written)
        found += segments(frame, kind, size, checksum_start=start, checksum_offset=offset) if unfinished else [frame]
    return found


def good(number):
    """The frames of three flows in turn, in batches that may merge."""
    flow, place = number // 5 % 3, number // 15 * 5 + number % 5
    if flow == 0:
        return tcp(place, 400, ACK, PLAIN, SEGMENT, step=400)
    return udp(place, 300, PLAIN6) if flow == 1 else tcp(place, 200, ACK, PLAIN6, SEGMENT, step=200)


CONTENTS = (
    (4, ETHERIP + good(0), "wrong-next-header"),
    (41, b"", "wrong-next-header"),
    (97, b"\x40\x00" + good(0), "etherip-header"),
    (97, b"\x30", "etherip-header"),
    (97, b"", "etherip-header"),
    (97, ETHERIP, "frame-runt"),
    (97, ETHERIP + good(0)[:13], "frame-runt"),
    (59, b"", "dummy-packet"),
    (59, good(0), "dummy-packet"),
)


class Sender:
    """What the peer sends in one batch after the other, and what must become of it."""

    def __init__(self, peer, seed):
        self.fate = random.Random(seed)
        self.peer = peer
        self.lies = [STATIONS + frame[12:] for frame in (*everything(), *overlapping())]
        self.number = 0
        self.wrong = Counter()

    def batch(self):
        """Packets, and the frames among them that must arrive."""
        packets, frames = [], []
        kinds = ("frame", "lie", "spoilt", "contents", "forged", "replayed")
        for kind in self.fate.choices(kinds, weights=(50, 10, 10, 10, 10, 10), k=BATCH):
            if kind == "contents":
                next_header, inside, reason = self.fate.choice(CONTENTS)
                self.wrong[f"drop-{reason}"] += 1
                packets.append(self.peer.seal(inside, next_header))
            elif kind == "forged":
                packets.append(spoilt(self.peer.seal(ETHERIP + good(0)), self.fate.randrange(8, 60)))
            elif kind == "replayed":
                packets += self.fate.choices(packets, k=1) if packets else []
            else:
                frames.append(self.frame(kind))
                packets.append(self.peer.seal(ETHERIP + frames[-1]))
        return packets, frames

    def frame(self, kind):
        """The next frame of a flow, the same with a wrong checksum, or one that lies."""
        if kind == "lie":
            return self.fate.choice(self.lies)
        self.number += kind == "frame"
        whole = STATIONS + good(self.number)[12:]
        return whole if kind == "frame" else spoilt(whole, -5)


@pytest.mark.parametrize("seed", range(12))
def test_good_bad_and_forged_in_any_order(rig, seed):
    sender, arrived, sent = Sender(rig.peer(), seed), 0, 0
    for _ in range(40):
        packets, frames = sender.batch()
        assert Counter(delivered(rig, sender.peer, packets)) == Counter(frames)
        arrived, sent = arrived + len(frames), sent + len(packets)
    counted = rig.plane.counters()
    told = {name: value for name, value in counted.items() if name.startswith("drop-") and value}
    assert arrived + sum(told.values()) == counted["esp-packets-in"] == sent
    assert {name: told[name] for name in sender.wrong} == sender.wrong
    assert set(told) == {*sender.wrong, "drop-esp-bad-icv", "drop-esp-replayed"}
    assert counted["packets-merged"] > 200
    assert counted["tap-frames-out"] == arrived - counted["packets-merged"]


def test_hostile_packets_in_a_tunnel(rig):
    """In tunnel mode the IP header must add up, or the packet is no packet; what passes, passes unchanged."""
    peer, fate = rig.peer("ip", pseudo_mac=PSEUDO, local_ts=(ANY4, ANY6), remote_ts=(ANY4, ANY6)), random.Random(6)
    lies = [frame[ETHERNET:] for frame in everything() if frame[12:14] in (b"\x08\x00", b"\x86\xdd")]
    passed = 0
    for start in range(0, len(lies), BATCH):
        chosen = lies[start : start + BATCH]
        fate.shuffle(chosen)
        found = delivered(rig, peer, [peer.seal(each, 4 if each[0] >> 4 == 4 else 41) for each in chosen])
        inside = Counter(trimmed(each) for each in chosen)
        assert not Counter(frame[ETHERNET:] for frame in found) - inside
        passed += len(found)
    counted = rig.plane.counters()
    told = sum(value for name, value in counted.items() if name.startswith("drop-"))
    assert passed + told == len(lies)
    assert counted["drop-inner-ip-malformed"] > 20
    assert passed > 100


def trimmed(packet):
    """The packet without what stands behind its own length."""
    if packet[0] >> 4 == 4:
        return packet[: int.from_bytes(packet[2:4], "big")]
    return packet[: 40 + int.from_bytes(packet[4:6], "big")]
