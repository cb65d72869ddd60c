"""Whatever comes from network or host ends in a counter of the reference data plane, never in an exception."""

import socket
import struct

import pytest
from esp_suites import SHAPES
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp._fast.params import SaParams, Selector
from rhp.spi.reference import proxy, selectors
from rhp.spi.reference.hub import STATIONS, Hub, Port
from rhp.spi.reference.links import TapQueue, _finished
from rhp.spi.reference.pairs import Pair
from rhp.spi.reference.traffic import Traffic

MAC = bytes.fromhex("020000000001")
PEER = ("192.0.2.2", 4500)
US = ("192.0.2.1", 4500)
EVERY = Selector("0.0.0.0", "255.255.255.255")  # noqa: S104
BEGINNINGS = [
    b"",
    b"\xff" * 6 + MAC + b"\x08\x06\0\1\x08\0\6\4\0\1",
    b"\xff" * 6 + MAC + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, 32, 58, 255),
    MAC + MAC + b"\x08\x00\x45",
    b"\x45\x00\x00\x1c",
    b"\x60\x00\x00\x00\x00\x00",
    b"\x30\x00" + b"\xff" * 6 + MAC,
]
octets = st.tuples(st.sampled_from(BEGINNINGS), st.binary(max_size=120)).map(b"".join)


class Out:
    """Takes frames and packets, and now and then fails as the kernel does."""

    family, raw = 2, False

    def __init__(self):
        self.taken = 0
        self.sock = self

    def fileno(self):
        return 3

    def write(self, frame):
        self.send(frame)

    def send(self, *_):
        self.taken += 1
        if self.taken % 5 == 0:
            raise OSError("no room")


def world(suite):
    """One Ethernet port and one IP port, each with a pair; `seal` makes packets that the plane opens."""
    traffic = Traffic()
    hub = traffic.hubs[0]
    hub.set_own(MAC)
    traffic.give_tap(0, 0, Out())
    traffic.give_sockets([Out()])
    ports = [
        Port(1, "ethernet", None, 0, (), ()),
        Port(2, "ip", bytes.fromhex("020000000077"), 0, (selectors.Range.of(EVERY),), (selectors.Range.of(EVERY),)),
    ]
    encr, integ = suite.keys
    sealers = []
    for port in ports:
        hub.add(port)
        traffic.ports[port.number] = port
        spi = 0x1000 + port.number
        sa = SaParams(
            port.number,
            spi,
            spi,
            "tunnel" if port.kind == "ip" else "ethernet",
            suite.encr_id,
            encr,
            encr,
            US[0],
            PEER[0],
            integrity=suite.integ_id,
            integrity_key_in=integ,
            integrity_key_out=integ,
        )
        traffic.pairs[spi] = Pair(sa)
        port.spis.append(spi)
        sealers.append(suite.sealer(spi=spi))
    return traffic, sealers


@given(
    suite=st.sampled_from(SHAPES),
    steps=st.lists(st.tuples(st.integers(0, 3), octets, st.sampled_from([4, 41, 59, 97, 0, 6])), max_size=20),
)
@settings(max_examples=150)
def test_anything_at_all(suite, steps):
    traffic, sealers = world(suite)
    for number, (kind, data, next_header) in enumerate(steps, 1):
        if kind == 0:
            traffic.from_tap(0, 0, data)
        elif kind == 1:
            traffic.from_peer(0, data, US, PEER, raw=len(data) % 2 == 0)
        else:
            sealed = sealers[kind - 2].seal(number, next_header, data)
            traffic.from_peer(0, sealed, US, PEER, raw=False)
    counts = traffic.counts[0]
    assert counts["steps-failed"] == 0
    assert traffic.hubs[0].counts[0]["tap-frames-in"] == sum(kind == 0 for kind, *_ in steps)
    traffic.close()


@given(data=octets)
@settings(max_examples=300)
def test_readers_read_anything(data):
    found = selectors.read(data)
    assert found is None or 0 < found[1] <= len(data)
    if (address := proxy.asked(data)) is not None:
        assert len(address) in (4, 16)
        answer = proxy.answer(data, MAC)
        assert answer[:6] == data[6:12] and answer[6:12] == MAC
        assert proxy.asked(answer) is None
    told = proxy.sender(data)
    assert told is None or told[1] == data[6:12]


def test_tables_have_a_bound():
    hub = Hub()
    hub.set_own(MAC)
    for number in range(STATIONS + 100):
        hub.learn(b"\x02\x11" + number.to_bytes(4), 0, 1.0)
        hub.hear(number.to_bytes(4), MAC)
    assert len(hub.macs(1.0)) == STATIONS + 1
    assert hub.station((5).to_bytes(4)) == hub.own
    # The old ones make room when they have been silent for long.
    assert hub.learn(b"\x02\x12\0\0\0\1", 0, 1000.0)
    assert len(hub.macs(1000.0)) == 2
    hub.add(Port(1, "ethernet", None, 0, (), ()))
    for number in range(STATIONS):
        hub.add_neighbour(f"10.0.{number >> 8}.{number & 255}", MAC, 1)
    with pytest.raises(ValueError, match="table of neighbours is full"):
        hub.add_neighbour("10.99.0.1", MAC, 1)


def test_frames_that_the_kernel_left_unfinished():
    """With a virtio header a checksum may be ours to write (offset from where it starts), and a super-frame is none."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    queue = TapQueue(far.fileno(), 1)
    with near, far:
        body = b"\x02\x00\x00\x00\x00\x00payload!"
        near.send(struct.pack("=BBHHHH", 1, 0, 0, 0, 14, 4) + bytes(14) + body)
        frame = queue.read()
        assert proxy.checksum(frame[14:]) == 0
        near.send(struct.pack("=BBHHHH", 0, 1, 54, 1000, 0, 0) + bytes(2000))
        assert queue.read() == b""
        near.send(bytes(10) + b"as it is")
        assert queue.read() == b"as it is"
        assert queue.read() is None
        queue.write(b"out")
        assert near.recv(100) == bytes(10) + b"out"
    queue.close()
    assert _finished(b"short", 4, 1) == b""
