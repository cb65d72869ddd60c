"""Several lanes: where each runs, which pair it sends on, whose SPIs it has, and how the TAP's frames find it."""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from planes import BROADCAST, TAP_MAC, Rig, Tap, frame, mac, wait_for

from rhp._fast.dataplane import DataPlane

HOST = mac(1)


@pytest.fixture
def two():
    with Rig(2) as made:
        yield made


def threads():
    """The processors that each running lane may use, by the name of its thread."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        # The kernel lists a thread for a moment after it has been joined, and it may go while it is read.
        with suppress(FileNotFoundError, ProcessLookupError):
            name = (task / "comm").read_text().strip()
            if name.startswith("rhp-lane"):
                lines = (line.split(":") for line in (task / "status").read_text().splitlines())
                found[name] = {key: value.strip() for key, value in lines if key.startswith("Cpus")}
    return found


def none_is_left():
    return threads() == {}


class Pairs:
    """A peer's pairs, and which of them a packet was sealed with."""

    def __init__(self, peer):
        self.peer = peer
        self.openers = {}
        self.spis = []
        self.note()

    def note(self):
        self.openers[self.peer.spi_out] = self.peer.opener
        self.spis.append(self.peer.spi_in)

    def add(self, **params):
        self.peer.rekey(**params)
        self.note()
        return self.peer.spi_out

    def sealed_with(self, tap):
        """The SPI with which a frame of that queue leaves."""
        tap.send(frame(BROADCAST, HOST))
        packet = self.peer.sock.recv(70000)
        spi = int.from_bytes(packet[:4], "big")
        assert self.openers[spi].open(packet)[0] == 97
        return spi


def test_lanes_run_where_they_are_pinned():
    cpu = min(os.sched_getaffinity(0))
    with DataPlane(2) as plane:
        plane.pin([cpu, cpu])
        plane.start()
        assert [one["Cpus_allowed_list"] for one in threads().values()] == [str(cpu)] * 2
        assert [plane.cpu(lane)[0] for lane in (0, 1)] == [cpu, cpu]
        with pytest.raises(RuntimeError):
            plane.pin([])
        plane.stop()
        wait_for(none_is_left)
        plane.pin([])
        plane.start()
        anywhere = {one["Cpus_allowed_list"] for one in threads().values()}
        assert anywhere == {read_own()}
        assert plane.cpu(0)[0] is None


def read_own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith("Cpus_allowed_list"))


@pytest.mark.parametrize("cpus", [[0], [0, 0, 0], [-1, 0], [0, 100_000]])
def test_a_processor_for_each_lane_or_none(cpus):
    with DataPlane(2) as plane, pytest.raises(ValueError, match="one processor for each of 2 lanes"):
        plane.pin(cpus)


def test_a_processor_that_is_not_there_is_told_at_the_start():
    with DataPlane(2) as plane:
        plane.pin([0, 1023])
        with pytest.raises(OSError, match="Invalid argument"):
            plane.start()
        wait_for(none_is_left)
        assert not plane.running


def test_processor_time_is_counted_over_restarts(two):
    def spent():
        return two.plane.cpu(0)[1]

    first = spent()
    end = time.monotonic() + 30
    while spent() < first + 100_000 and time.monotonic() < end:
        two.taps[0].send(b"runt")
    assert spent() > first
    two.plane.stop()
    before = spent()
    assert before > first
    two.plane.start()
    assert spent() >= before
    with pytest.raises(ValueError, match="no lane 2"):
        two.plane.cpu(2)


def test_spis_of_a_lane():
    with DataPlane(3) as plane:
        for lane in range(3):
            assert {plane.allocate_spi(lane) % 3 for _ in range(200)} == {lane}
        for lane in (-1, 3):
            with pytest.raises(ValueError, match="no lane"):
                plane.allocate_spi(lane)


def test_a_lane_sends_on_its_own_pair(two):
    pairs = Pairs(two.peer())
    common = pairs.peer.spi_out
    assert [pairs.sealed_with(tap) for tap in two.taps] == [common, common]
    own = pairs.add(lane=1)
    assert [pairs.sealed_with(tap) for tap in two.taps] == [common, own]
    # A newer pair of all lanes replaces the common one, and leaves lane 1 its own.
    newer = pairs.add()
    assert [pairs.sealed_with(tap) for tap in two.taps] == [newer, own]
    # A successor of lane 1's pair waits until it is activated.
    heir = pairs.add(lane=1, outbound_active=False)
    assert pairs.sealed_with(two.taps[1]) == own
    two.plane.activate(pairs.spis[-1])
    assert [pairs.sealed_with(tap) for tap in two.taps] == [newer, heir]


def test_what_is_left_serves_every_lane(two):
    pairs = Pairs(two.peer())
    common, own = pairs.peer.spi_out, pairs.add(lane=1)
    two.plane.retire(pairs.spis[0])
    assert [pairs.sealed_with(tap) for tap in two.taps] == [own, own]
    again = pairs.add()
    two.plane.retire(pairs.spis[1])
    assert [pairs.sealed_with(tap) for tap in two.taps] == [again, again]
    assert common not in (own, again)


def test_lanes_with_pairs_of_their_own_share_no_sequence_number(two):
    pairs = Pairs(two.peer())
    pairs.add(lane=1)
    for tap in two.taps * 10:
        pairs.sealed_with(tap)
    for spi in pairs.spis:
        counters = two.plane.sa_counters(spi)
        assert counters["sequence"] == counters["packets_out"] == 10


def test_a_lane_that_is_not_there(two):
    peer = two.peer()
    for lane in (-2, 2):
        with pytest.raises(ValueError, match="no lane"):
            peer.rekey(lane=lane)


def test_a_pair_for_one_lane_opens_what_comes(two):
    pairs = Pairs(two.peer())
    pairs.add(lane=1)
    sent = frame(HOST, mac(9))
    pairs.peer.send_frame(sent)
    # To the station's queue or, as nobody knows it, to the one of the lane that opened it.
    assert wait_for(lambda: [data for tap in two.taps for data in tap.pending()]) == [sent]


@pytest.mark.parametrize("name", ["", "flows", "STATION"])
def test_an_unknown_steering(name):
    with pytest.raises(ValueError, match="no steering"):
        DataPlane(2, name)


class Grown(Rig):
    """One lane at work, with a socket and a queue ready for a second one."""

    def __init__(self):
        super().__init__(1, spare=1)
        self.extra = Tap()
        self.group = socket.socket(self.family, socket.SOCK_DGRAM)
        self.group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.group.bind((self.ip, self.port))

    def grow(self):
        self.plane.attach_tap(1, self.extra.queue.fileno(), TAP_MAC)
        self.plane.attach_udp(1, self.group.fileno(), self.family)
        return self.plane.add_lane()

    def close(self):
        super().close()
        self.extra.close()
        self.group.close()


@pytest.fixture
def grown():
    with Grown() as made:
        yield made


def test_a_lane_is_added_while_the_other_runs(grown):
    plane = grown.plane
    pairs = Pairs(grown.peer())
    # What was made before the lane was there is known to it, and all SPIs so far are lane 0's.
    assert pairs.spis[0] % 2 == 0
    assert (plane.lanes, plane.prepared) == (1, 2)
    with pytest.raises(ValueError, match="no lane 1"):
        plane.allocate_spi(1)
    with pytest.raises(RuntimeError, match="lane 0 is running"):
        plane.attach_udp(0, grown.group.fileno(), grown.family)
    assert grown.grow() == 1
    assert (plane.lanes, plane.running) == (2, True)
    assert len(threads()) == 2
    assert pairs.sealed_with(grown.extra) == pairs.peer.spi_out
    own = pairs.add(lane=1)
    assert pairs.sealed_with(grown.extra) == own
    assert pairs.sealed_with(grown.tap) != own
    pairs.peer.send_frame(frame(TAP_MAC, mac(9)))
    assert wait_for(grown.extra.pending)
    assert plane.lane_counters(1)["esp-packets-in"] == 1
    with pytest.raises(ValueError, match="all 2 lanes are in use"):
        plane.add_lane()


def test_a_lane_is_added_while_all_rest(grown):
    grown.plane.stop()
    wait_for(none_is_left)
    pairs = Pairs(grown.peer())
    assert grown.grow() == 1
    assert threads() == {}
    grown.plane.start()
    assert {pairs.sealed_with(tap) for tap in (grown.tap, grown.extra)} == {pairs.peer.spi_out}


def test_what_goes_while_a_lane_is_spare_is_freed(grown):
    peers = [grown.peer() for _ in range(20)]
    for peer in peers:
        peer.rekey()
        grown.plane.remove_port(peer.port)
    grown.settle()
    grown.plane.poll_events()
    assert grown.grow() == 1
    kept = Pairs(grown.peer())
    assert kept.sealed_with(grown.extra) == kept.peer.spi_out


@pytest.mark.parametrize(("lanes", "spare"), [(1, -1), (64, 1), (1, 64), (0, 3)])
def test_how_many_lanes_there_may_be(lanes, spare):
    with pytest.raises(ValueError, match=r"not within 1\.\.64"):
        DataPlane(lanes, spare=spare)
