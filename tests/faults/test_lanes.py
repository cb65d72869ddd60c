"""Lanes that are restarted, added and given keys of their own while a stream of 1 Gb/s flows.

Here two data planes stand in their namespaces without the node around them, so that each step can be done by hand, also
ones that a node takes only when its interface was lost. Each has two lanes, and the second one gets its TAP queue, its
socket and its pair of SAs in the test.
"""

import fcntl
import os
import socket
import struct

import pytest

from rhp._fast.dataplane import DataPlane, SaParams
from rhp.guard.sockets import open_udp
from rhp.guard.taps import open_tap
from rhp.lab.lab import Lab
from rhp.lab.ping import reaches
from rhp.lab.stream import WINDOW, Stream
from rhp.lab.topology import cable, outer

pytestmark = pytest.mark.netns

TAP = "rhp0"
GCM = 20
FLOW = 8000
PORT = 4500
TUNSETQUEUE = 0x400454D9
ATTACH_QUEUE, DETACH_QUEUE = 0x0200, 0x0400


class End:
    """One data plane, with lane 0 at work; `number` is its host's, 1 or 2."""

    def __init__(self, host, number):
        self.host, self.number = host, number
        self.mac = b"\x02\x00\x00\x00\x00" + bytes((number,))
        self.address = f"10.77.0.{number}"
        self.plane = DataPlane(2)
        opened = host.call(lambda: open_tap(TAP, 2, offload=True))
        self.queues, self.offloads = opened.fds, opened.offloads
        self._switch_queue(1, DETACH_QUEUE)
        self._open_socket(0)
        self.plane.attach_tap(0, self.queues[0], self.mac, self.offloads)
        host.ip(f"link set {TAP} address {self.mac.hex(':')} mtu 1422 up", f"address add {self.address}/24 dev {TAP}")
        self.port = self.plane.add_port("ethernet")
        self.plane.start()

    def close(self):
        """Stop the plane, then the TAP goes with its queues."""
        self.plane.close()
        for queue in self.queues:
            os.close(queue)

    def restart(self):
        """Stop all lanes and start them again."""
        self.plane.stop()
        self.plane.start()

    def add_lane(self):
        """Give lane 1 its queue of the TAP and its socket of the group."""
        self.plane.stop()
        self._switch_queue(1, ATTACH_QUEUE)
        self.plane.attach_tap(1, self.queues[1], self.mac, self.offloads)
        self._open_socket(1)
        self.plane.start()

    def _open_socket(self, lane):
        descriptor = self.host.call(lambda: open_udp("0.0.0.0", PORT, True))  # noqa: S104
        self.plane.attach_udp(lane, descriptor, socket.AF_INET)
        os.close(descriptor)

    def _switch_queue(self, queue, what):
        fcntl.ioctl(self.queues[queue], TUNSETQUEUE, struct.pack("=16sH22x", b"", what))


def join(a, b, inbound=0, lane=None):
    """Make a pair of SAs between two planes; the inbound SPIs.

    Packets of the pair are opened by the lane `inbound`, and sealed by every lane or by `lane` alone.
    """
    spis = [end.plane.allocate_spi(inbound) for end in (a, b)]
    keys = os.urandom(20), os.urandom(20)
    for end, own, other in ((a, 0, 1), (b, 1, 0)):
        where = {"local_ip": outer(end.number), "remote_ip": outer(3 - end.number), "lane": lane}
        params = SaParams(end.port, spis[own], spis[other], "ethernet", GCM, keys[own], keys[other], **where)
        end.plane.install(params)
    return spis


@pytest.fixture
def ends():
    with Lab() as lab:
        a, b = (End(host, number) for number, host in enumerate(cable(lab), 1))
        a.spis = b.spis = join(a, b)
        assert reaches(a.host, b.address)
        yield a, b
        b.close()
        a.close()


def whole(account):
    """Nothing came twice or damaged."""
    return account.doubled == 0 and account.damaged == 0


def test_restarting_lanes_loses_at_most_what_is_under_way(ends):
    a, b = ends
    with Stream(a.host, b.host, b.address) as stream:
        for end in (a, b, a, b):
            stream.progress(FLOW)
            end.restart()
        stream.progress(FLOW)
    assert whole(stream.account)
    assert stream.account.lost <= 4 * WINDOW
    assert stream.account.silence < 30


def test_adding_a_lane_loses_at_most_what_is_under_way(ends):
    a, b = ends
    with Stream(a.host, b.host, b.address) as one, Stream(b.host, a.host, a.address) as two:
        one.progress(FLOW)
        for end in (a, b):
            end.add_lane()
            one.progress(FLOW)
            two.progress(FLOW)
        join(a, b, inbound=1, lane=1)
        many_flows(a.host, b.address)
        one.progress(FLOW)
        two.progress(FLOW)
    for stream in (one, two):
        assert whole(stream.account)
        assert stream.account.lost <= 2 * WINDOW
    with Stream(a.host, b.host, b.address) as again:
        again.progress(FLOW)
    assert again.account.lost == 0
    assert a.plane.lane_counters(1)["esp-packets-out"] > 0
    assert b.plane.lane_counters(1)["esp-packets-in"] > 0


def many_flows(host, address):
    """A datagram each of so many flows that no lane is left without one."""
    for _ in range(64):
        with host.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"one of many", (address, 9))


def test_retiring_a_pair_under_a_stream_loses_at_most_what_is_under_way(ends):
    """Its successor stands first at both ends, as after a rekey, and then the older one goes."""
    a, b = ends
    with Stream(a.host, b.host, b.address) as stream:
        old = a.spis
        for _ in range(5):
            stream.progress(FLOW)
            new = join(a, b)
            for end, spi in zip((a, b), old, strict=True):
                end.plane.retire(spi)
            old = new
        stream.progress(FLOW)
    assert whole(stream.account)
    assert stream.account.lost <= 5 * WINDOW


def test_migrating_a_path_under_a_stream_loses_at_most_what_is_under_way(ends):
    """Node b gets a second address, to which node a sends from now on, and back."""
    a, b = ends
    a.host.ip("address add 198.51.100.1/24 dev eth0")
    b.host.ip("address add 198.51.100.2/24 dev eth0")
    paths = [(outer(1), outer(2)), ("198.51.100.1", "198.51.100.2")]
    assert reaches(a.host, "198.51.100.2")
    with Stream(a.host, b.host, b.address) as stream:
        for turn in range(6):
            stream.progress(FLOW)
            near, far = paths[(turn + 1) % 2]
            a.plane.migrate(a.spis[0], (near, PORT), (far, PORT), "udp")
            b.plane.migrate(b.spis[1], (far, PORT), (near, PORT), "udp")
        stream.progress(FLOW)
    assert whole(stream.account)
    assert stream.account.lost <= 6 * WINDOW
