"""Ten thousand datagrams at a live node's two ports, by a stranger and in the peer's name; it does not mind."""

import socket
import struct
import time

import pytest

from rhp.lab.frames import ETH_P_IP, FrameSocket
from rhp.lab.pair import CONNECTION
from rhp.lab.ping import ping
from rhp.lab.process import wait_until
from rhp.lab.strangers import MARKER, datagrams

pytestmark = pytest.mark.netns

COUNT = 10_000
BURST = 100
GROWTH = 10_000_000


def udp_of(frame):
    """Source, destination, ports and payload of an unfragmented IPv4 UDP frame, else None."""
    if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
        return None
    size = (frame[14] & 15) * 4
    if struct.unpack("!H", frame[20:22])[0] & 0x3FFF:
        return None
    ports = struct.unpack("!HHH", frame[14 + size : 20 + size])
    return frame[26:30], frame[30:34], ports[0], ports[1], frame[22 + size : 14 + size + ports[2]]


@pytest.fixture(scope="module")
def honest(scene):
    """What the two nodes really say to each other: a handshake, a rekey and some ESP, seen at b's interface."""
    nodes, _ = scene
    seen = []
    with FrameSocket(nodes.b.namespace, "eth0") as wire:
        nodes.a.rekey_ike(CONNECTION)
        nodes.a.terminate(CONNECTION)
        nodes.a.wait_connection(CONNECTION, lambda entry: entry["state"] != "established")
        nodes.a.initiate(CONNECTION)
        nodes.wait_established()
        ping(nodes.a.namespace, nodes.inner[1], count=3)
        for frame in wire.incoming(1.0):
            packet = udp_of(frame)
            if packet and packet[3] in (500, 4500) and len(packet[4]) > 1:
                seen.append(packet[4].removeprefix(MARKER))
    kinds = {data[18] for data in seen if len(data) > 28 and data[17] == 0x20}
    assert {34, 35} <= kinds
    assert any(len(data) > 28 and data[17] != 0x20 for data in seen)
    return seen


def pelt(node, send, seeds, seed):
    """Send `COUNT` datagrams in bursts, each when the node has looked at those before."""
    for number, data in enumerate(datagrams(seeds, COUNT, seed)):
        send(number, data)
        if number % BURST == BURST - 1:
            time.sleep(0.01)
            wait_until(lambda: not waiting(node), 60, "the node reading a burst", 0.01)


def waiting(node):
    """How much memory the datagrams hold that its sockets have not read."""
    lines = node.namespace.run(["cat", "/proc/net/udp"]).splitlines()[1:]
    return sum(int(line.split()[4].partition(":")[2], 16) for line in lines)


def read_by_node(node):
    """How many datagrams its sockets have taken; what did not fit into a receive buffer is not among them."""
    lines = node.namespace.run(["cat", "/proc/net/snmp"]).splitlines()
    names, values = (line.split() for line in lines if line.startswith("Udp:"))
    return int(dict(zip(names, values, strict=True))["InDatagrams"])


class Unharmed:
    """Around a fuzzing: at its end the node has read nearly all of it, and is as before."""

    def __init__(self, nodes):
        self._nodes = nodes

    def __enter__(self):
        self._memory = self._nodes.b.process.resident_bytes()
        self._read = read_by_node(self._nodes.b)

    def __exit__(self, kind, *_):
        if kind is None:
            wait_until(lambda: read_by_node(self._nodes.b) - self._read > 0.9 * COUNT, 60, "the node reading it")
            unharmed(self._nodes, self._memory)


def unharmed(nodes, before):
    node = nodes.b
    assert node.process.status is None
    assert "Traceback" not in node.process.text()
    assert "engine fault" not in node.process.text()
    assert node.process.resident_bytes() - before < GROWTH
    assert ping(nodes.a.namespace, nodes.inner[1], count=5, at_once=True).received == 5
    assert node.connection(CONNECTION)["state"] == "established"


def test_strangers_datagrams(scene, honest):
    nodes, stranger = scene
    with Unharmed(nodes), stranger.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def send(number, data):
            port, prefix = ((500, b""), (4500, MARKER), (4500, b""))[number % 4 % 3]
            sender.sendto(prefix + data, ("192.0.2.2", port))

        pelt(nodes.b, send, honest, seed=20)


def test_datagrams_in_the_peers_name(scene, honest):
    """The same with node a's address and ports as the sender's: they reach the live IKE SA and the live ESP SA."""
    nodes, stranger = scene
    spi = struct.pack("!I", int(nodes.b.connection(CONNECTION)["children"][0]["spi_in"], 16))
    with Unharmed(nodes), FrameSocket(stranger, "eth0") as wire, FrameSocket(nodes.b.namespace, "eth0") as target:

        def send(number, data):
            port, prefix = ((500, b""), (4500, MARKER), (4500, b""), (4500, spi))[number % 4]
            wire.send(forged(target.mac, wire.mac, port, prefix + data))

        pelt(nodes.b, send, honest, seed=21)


def forged(destination, source, port, data):
    """A UDP datagram from 192.0.2.1 to 192.0.2.2, which it is not."""
    data = data[:1472]
    addresses = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2")
    head = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(data), 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    udp = struct.pack("!HHHH", port, port, 8 + len(data), 0) + data
    return destination + source + struct.pack("!H", ETH_P_IP) + head + udp


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
