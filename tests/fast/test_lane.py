"""Lanes as threads: their life, their names, that they need no GIL, and that SPIs find their lane."""

import ctypes
import gc
import itertools
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from planes import BROADCAST, ETHERIP, SECONDS, TAP_MAC, Rig, Tap, frame, mac, wait_for

from rhp._fast.dataplane import DataPlane

HOST, ONE = mac(0x100), mac(1)


def lane_names():
    """The running lanes' threads by name; one that has been joined may be listed for a moment, and go as it is read."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            names.append((task / "comm").read_text().strip())
    return sorted(name for name in names if name.startswith("rhp-lane"))


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def memory():
    """Resident octets of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_threads_have_names_and_no_signals():
    with Rig(lanes=2):
        wait_for(lambda: lane_names() == ["rhp-lane-0", "rhp-lane-1"])
        for task in Path("/proc/self/task").iterdir():
            status = ""
            # A lane of an earlier plane may be listed still, and go as it is read.
            with suppress(FileNotFoundError, ProcessLookupError):
                status = (task / "status").read_text()
            if status.startswith("Name:\trhp-lane"):
                blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk")).split()[1], 16)
                assert blocked & (1 << 1)
                assert blocked & (1 << 14)
    wait_for(lambda: not lane_names())


def test_start_and_stop_a_hundred_times_without_leaking():
    def once():
        with Rig(lanes=2) as rig:
            peer = rig.peer()
            rig.peer("ip", pseudo_mac=mac(50))
            rig.tap.send(frame(BROADCAST, HOST))
            peer.recv_frame()
            peer.send_frame(frame(BROADCAST, ONE))
            wait_for(lambda: any(tap.pending() for tap in rig.taps))

    for _ in range(5):
        once()
    gc.collect()
    fds, resident = descriptors(), memory()
    for _ in range(100):
        once()
    gc.collect()
    assert descriptors() <= fds
    # One plane has touched well over 100 KB, so a leak of each would be 10 MB.
    assert memory() - resident < 4 << 20


def test_an_sa_survives_stop_and_start():
    with Rig() as rig:
        peer = rig.peer()
        rig.tap.send(frame(BROADCAST, HOST))
        peer.recv_frame()
        replay = peer.seal(ETHERIP + frame(BROADCAST, ONE))
        peer.send_raw(replay)
        rig.tap.recv()
        rig.plane.stop()
        rig.plane.stop()
        assert not rig.plane.running
        # What is done meanwhile counts as well.
        other = rig.peer()
        rig.plane.start()
        rig.tap.send(frame(BROADCAST, HOST))
        # The opener would refuse a number that was used before.
        peer.recv_frame()
        other.recv_frame()
        peer.send_raw(replay)
        rig.wait_count("drop-esp-replayed")
        with pytest.raises(RuntimeError, match="running"):
            rig.plane.start()
        with pytest.raises(RuntimeError, match="running"):
            rig.plane.attach_udp(0, rig.sockets[0].fileno(), socket.AF_INET)


def test_a_closed_plane_says_so():
    plane = DataPlane()
    plane.close()
    plane.close()
    plane.stop()
    for call in (plane.start, plane.macs, plane.counters, plane.allocate_spi, plane.poll_events, plane.set_hub):
        with pytest.raises(RuntimeError, match="closed"):
            call()
    assert plane.event_fd == -1


@pytest.mark.parametrize("lanes", [0, -1, 65])
def test_the_number_of_lanes_is_checked(lanes):
    with pytest.raises(ValueError, match="lanes"):
        DataPlane(lanes)


def test_descriptors_are_checked():
    with DataPlane() as plane, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="lane"):
            plane.attach_udp(1, sock.fileno(), socket.AF_INET)
        with pytest.raises(ValueError, match="family"):
            plane.attach_udp(0, sock.fileno(), socket.AF_UNIX)
        with pytest.raises(OSError, match="Bad file descriptor"):
            plane.attach_udp(0, 9999, socket.AF_INET)
        with pytest.raises(OSError, match="rotocol"):
            plane.attach_udp(0, sock.fileno(), socket.AF_INET6)
        before = descriptors()
        plane.attach_udp(0, sock.fileno(), socket.AF_INET)
        plane.attach_udp(0, sock.fileno(), socket.AF_INET)
        assert descriptors() == before + 1


def test_a_plane_without_sockets_or_tap_counts_what_it_cannot_do():
    with Rig(start=False) as rig, DataPlane() as bare:
        tap = Tap()
        bare.attach_tap(0, tap.queue.fileno(), TAP_MAC)
        peer = rig.peer()
        port = bare.add_port("ethernet")
        bare.install(type(peer.params)(**{**params_of(peer.params), "port": port}))
        bare.start()
        tap.send(frame(BROADCAST, HOST))
        wait_for(lambda: bare.counters()["drop-no-socket"] == 1)
        tap.close()


def params_of(params):
    return {name: getattr(params, name) for name in params.__slots__}


def test_frames_pass_while_another_thread_holds_the_gil():
    with Rig() as rig:
        peer = rig.peer()
        peer.send_frame(frame(BROADCAST, ONE))
        rig.tap.recv()
        # A lane that needs the GIL never gets it in time; one that needs a processor may be unlucky.
        assert any(sealed_meanwhile(rig, peer) for _ in range(3))


def sealed_meanwhile(rig, peer):
    """Whether a frame was sealed in the two seconds in which this thread had the GIL, by the lane's own clock."""
    before = peer.counters()["last_out_ns"]
    sent, interval = frame(BROADCAST, HOST), sys.getswitchinterval()
    # PyDLL keeps the GIL during a call, and nobody may ask for it between the two.
    sys.setswitchinterval(SECONDS)
    try:
        libc, start = ctypes.PyDLL(None), time.monotonic_ns()
        assert libc.send(rig.tap.host.fileno(), sent, len(sent), 0) == len(sent)
        libc.usleep(2_000_000)
        assert time.monotonic_ns() - start >= 2_000_000_000
    finally:
        sys.setswitchinterval(interval)
    assert peer.recv_frame() == sent
    sealed = wait_for(lambda: (now := peer.counters()["last_out_ns"]) > before and now)
    # A lane reads its clock once a turn, and the frame may come in the middle of one.
    return -50_000_000 < sealed - start < 2_000_000_000


def test_a_fork_does_not_carry_a_live_plane():
    script = """
import os, sys
from rhp._fast.dataplane import DataPlane
plane = DataPlane()
plane.start()
pid = os.fork()
if pid == 0:
    plane.stop()
    try:
        plane.start()
    except RuntimeError as error:
        if "fork" not in str(error):
            os._exit(1)
    try:
        # It would take the parent's wake-ups away.
        plane.poll_events()
    except RuntimeError as error:
        os._exit(0 if "fork" in str(error) else 1)
    os._exit(2)
assert os.waitpid(pid, 0)[1] == 0
assert plane.running
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=120)


def test_the_interpreter_may_end_with_lanes_running():
    script = "from rhp._fast.dataplane import DataPlane; plane = DataPlane(2); plane.start(); print('end')"
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=120, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("end\n", "")


# Several lanes.


def lane_peers(rig, lanes):
    """A peer whose SA lives in each lane."""
    found = {}
    while len(found) < lanes:
        peer = rig.peer()
        if peer.spi_in % lanes in found:
            rig.plane.remove_port(peer.port)
        else:
            found[peer.spi_in % lanes] = peer
    return [found[lane] for lane in range(lanes)]


@pytest.mark.parametrize("lanes", [2, 3, 4])
def test_packets_find_the_lane_of_their_spi(lanes):
    with Rig(lanes) as rig:
        peers = lane_peers(rig, lanes)
        for lane, peer in enumerate(peers):
            sent = frame(TAP_MAC, mac(10 + lane))
            for _ in range(20):
                peer.send_frame(sent)
                assert rig.taps[lane].recv() == sent
            assert rig.plane.lane_counters(lane)["esp-packets-in"] == 20
        assert rig.count("drop-foreign-lane") == 0
        peers[1].send_raw(bytes(4) + b"ike")
        assert rig.wait_event("ike")[5] == b"ike"
        assert rig.plane.lane_counters(0)["ike-datagrams-in"] == 1


def test_a_packet_in_the_wrong_lane_is_survived():
    with DataPlane(2) as plane, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # A group of one socket: the program names a second one, and the kernel falls back to the first.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        plane.attach_udp(0, sock.fileno(), socket.AF_INET)
        plane.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for spi in (257, 258):
                stranger.sendto(spi.to_bytes(4, "big") + bytes(50), sock.getsockname())
        wait_for(lambda: plane.counters()["drop-unknown-spi"] == 1)
        assert plane.counters()["drop-foreign-lane"] == 1
        assert [event[1] for event in wait_for(plane.poll_events)] == [258]


def test_several_lanes_need_a_group():
    with DataPlane(2) as plane, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="Invalid argument"):
            plane.attach_udp(0, sock.fileno(), socket.AF_INET)


def test_lanes_share_the_hub_and_the_sequence():
    """Every lane seals with one SA: no number is used twice, none is lost, and each lane's frames stay in order."""
    lanes, count, turn = 3, 1500, 60
    with Rig(lanes) as rig:
        peer = rig.peer()
        peer.sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
        # In turns, so that a lane that does not get the processor for a while is not overtaken by more than one turn.
        together = threading.Barrier(lanes + 1)

        def pour(lane):
            for number in range(count):
                if number % turn == 0:
                    together.wait(60)
                rig.taps[lane].send(frame(BROADCAST, mac(0x100 + lane), bytes((lane,)) + number.to_bytes(4, "big")))

        threads = [threading.Thread(target=pour, args=(lane,)) for lane in range(lanes)]
        for thread in threads:
            thread.start()
        sequences, numbers = [], [[] for _ in range(lanes)]
        for number in range(lanes * count):
            if number % (lanes * turn) == 0:
                together.wait(60)
            packet = peer.sock.recv(70000)
            sequences.append(int.from_bytes(packet[4:8], "big"))
            payload = peer.opener.open(packet)[1][16:]
            numbers[payload[0]].append(int.from_bytes(payload[1:], "big"))
        for thread in threads:
            thread.join()
        assert numbers == [list(range(count))] * lanes
        assert len(set(sequences)) == lanes * count
        # The peer's window is 1024 wide; what lanes take ahead must stay far below that.
        assert all(abs(a - b) < 256 for a, b in itertools.pairwise(sequences))
        assert {port for _, port, _ in rig.plane.macs()} == {0}


def test_a_busy_lane_does_not_silence_the_others():
    with Rig(2) as rig:
        peer = lane_peers(rig, 2)[1]
        for _ in range(100):
            peer.send_raw(bytes(4) + b"ike")
        rig.wait_count("ike-datagrams-in", 100)
        peer.send_frame(frame(TAP_MAC, ONE))
        rig.taps[1].recv()
        rig.wait_count("tap-frames-out")
        wait_for(lambda: ("first-inbound", peer.spi_in) in rig.plane.poll_events(4))
        left = len(rig.plane.poll_events(1000))
        assert 80 < left < 100


def test_changes_reach_every_lane():
    with Rig(3) as rig:
        peer = rig.peer()
        for tap in rig.taps:
            tap.send(frame(BROADCAST, HOST))
            peer.recv_frame()
        peer.rekey()
        for tap in rig.taps:
            tap.send(frame(BROADCAST, HOST))
            peer.recv_frame()
        assert peer.counters()["packets_out"] == 3
        rig.plane.remove_port(peer.port)
        for tap in rig.taps:
            tap.send(frame(BROADCAST, HOST))
        rig.settle()
        assert peer.pending() == []


def test_mail_outruns_a_small_mailbox_while_lanes_stand_still_and_while_they_run():
    with Rig(2, start=False) as rig:
        peer = rig.peer()
        path = ((rig.ip, rig.port), (rig.ip, peer.sock.getsockname()[1]), "udp")
        for _ in range(2000):
            rig.plane.migrate(peer.spi_in, *path)
        rig.plane.start()
        for _ in range(2000):
            rig.plane.migrate(peer.spi_in, *path)
        rig.tap.send(frame(BROADCAST, HOST))
        peer.recv_frame()


@pytest.mark.parametrize("in_a_cycle", [False, True])
def test_a_running_plane_may_be_dropped(in_a_cycle):
    with Rig() as other:
        rig = Rig()
        peer = rig.peer()
        rig.peer("ip", pseudo_mac=mac(50))
        rig.plane.retire(rig.peer().spi_in)
        for _ in range(100):
            rig.tap.send(frame(BROADCAST, HOST))
        keep = (*rig.taps, *rig.sockets, *rig.peers)
        if in_a_cycle:
            rig.myself = rig
        del rig, peer.rig
        for one in keep:
            if hasattr(one, "rig"):
                del one.rig
        gc.collect()
        # Only the other plane's lane is left, and it works.
        wait_for(lambda: lane_names() == ["rhp-lane-0"])
        peer = other.peer()
        other.tap.send(frame(BROADCAST, HOST))
        peer.recv_frame()
        for one in keep:
            one.close()
