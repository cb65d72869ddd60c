"""The lab itself: what it makes works, and nothing of it stays, whatever the end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rhp.lab import programs
from rhp.lab.errors import CommandFailed, LabError, NotReached, ProgramMissing
from rhp.lab.frames import BROADCAST, ETH_P_EXPERIMENT, FrameSocket, ethernet, mac, multicast_mac, tagged
from rhp.lab.iperf3 import Iperf3
from rhp.lab.lab import Lab
from rhp.lab.namespace import FOLDER
from rhp.lab.ping import ping, reaches
from rhp.lab.process import Background, runs, wait_until
from rhp.lab.topology import cable, switch
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

HOLDS = """
import sys, time
from rhp.lab.lab import Lab
with Lab() as lab:
    namespace = lab.namespace("x")
    held = lab.keep(namespace.start(["sleep", "60"], lab.path("sleep.log")))
    print(lab.id, held.pid, lab.folder, flush=True)
    time.sleep(60)
"""

FIRST_THREAD_ENDS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def held_run():
    process = subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, text=True)
    identifier, pid, folder = process.stdout.readline().split()
    process.stdout.close()
    return process, identifier, int(pid), folder


def test_everything_is_gone_after_the_end():
    with Lab() as lab:
        namespace = lab.namespace("x")
        process = lab.keep(namespace.start(["sleep", "60"], lab.path("deep/sleep.log")))
        wait_until(lambda: process.pid in namespace.processes(), 30, "the process in its namespace")
        assert (FOLDER / namespace.name).exists()
    assert process.status is not None
    assert not (FOLDER / namespace.name).exists()
    assert not lab.folder.exists()
    lab.close()


def test_interrupted_run_cleans_up():
    process, identifier, pid, folder = held_run()
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert not list(FOLDER.glob(f"rhp-{identifier}-*"))
    assert not Path(folder).exists()
    assert not runs(pid)


def test_leftovers_of_a_dead_run_are_cleaned_and_a_live_run_is_left_alone():
    dead, dead_id, dead_pid, dead_folder = held_run()
    live, live_id, live_pid, _ = held_run()
    try:
        dead.kill()
        dead.wait(60)
        assert runs(dead_pid)
        with Lab():
            wait_until(lambda: not runs(dead_pid), 30, "the dead run's process ending")
            assert not list(FOLDER.glob(f"rhp-{dead_id}-*"))
            assert not Path(dead_folder).exists()
            assert runs(live_pid)
            assert list(FOLDER.glob(f"rhp-{live_id}-*"))
    finally:
        live.send_signal(signal.SIGINT)
        live.wait(60)
    assert not runs(live_pid)


def test_cable_and_switch_carry_both_ip_versions(lab):
    a, b = cable(lab, ("a", "b"))
    c, _, e = switch(lab, ("c", "d", "e"))
    assert reaches(a, "192.0.2.2")
    assert reaches(a, "2001:db8::2")
    assert reaches(c, "192.0.2.3")
    assert reaches(e, "2001:db8::1")
    assert "eth0" in b.interfaces()
    assert not ping(a, "192.0.2.77", count=1, wait=0.2).received


def test_ping_counts_sizes_and_refuses_what_does_not_fit(lab):
    a, _ = cable(lab)
    answered = ping(a, "192.0.2.2", count=4, size=1472, fragment=False)
    assert (answered.sent, answered.received, len(answered.times_ms)) == (4, 4, 4)
    assert answered.median_ms > 0
    refused = ping(a, "192.0.2.2", count=1, size=1473, fragment=False, wait=0.2)
    assert (refused.received, refused.median_ms) == (0, None)


def test_frames_arrive_as_they_were_sent_with_their_tag(lab):
    a, b = cable(lab)
    with FrameSocket(a, "eth0") as left, FrameSocket(b, "eth0") as right:
        plain = ethernet(BROADCAST, left.mac, ETH_P_EXPERIMENT, b"plain")
        marked = tagged(right.mac, left.mac, 42, ETH_P_EXPERIMENT, b"marked")
        left.send(plain)
        left.send(marked)
        assert right.expect(lambda frame: b"plain" in frame) == plain
        assert right.expect(lambda frame: b"marked" in frame) == marked
        with pytest.raises(NotReached, match="eth0"):
            left.expect(lambda frame: b"plain" in frame, timeout=0.2)


def test_frame_helpers():
    assert mac("02:00:00:00:00:0a") == b"\x02\0\0\0\0\x0a"
    assert multicast_mac("239.129.2.3") == mac("01:00:5e:01:02:03")
    assert len(ethernet(BROADCAST, bytes(6), 0x88B5, b"")) == 60


def test_transfer_compares_what_arrived(lab):
    a, b = cable(lab)
    halfway = []
    assert Transfer(a, b, "192.0.2.2").run(3_000_001, during=lambda: halfway.append(True))
    assert Transfer(b, a, "2001:db8::1").run(100_000)
    assert halfway == [True]
    with pytest.raises(LabError, match=r"192\.0\.2\.2"):
        Transfer(a, b, "192.0.2.2", timeout=1).run(50_000_000, during=lambda: b.ip("link set eth0 down"))


def test_iperf3_reports_both_protocols(lab):
    a, b = cable(lab)
    with Iperf3(a, b, "192.0.2.2", lab.path("iperf3.log")) as server:
        # How much is carried within a second, a busy machine decides.
        assert server.tcp(1, streams=2).gbps > 0
        udp = server.udp(1, size=64)
    assert udp.kpps > 0
    assert 0 <= udp.lost < 1
    with pytest.raises(LabError, match="unable to start listener"):
        Iperf3(a, b, "192.0.2.99", lab.path("other.log"))


def test_commands_tell_what_went_wrong():
    with pytest.raises(CommandFailed, match=r"`sh -c echo oops >&2; exit 3` ended with status 3: oops"):
        programs.run(["sh", "-c", "echo oops >&2; exit 3"])
    with pytest.raises(CommandFailed, match="did not end in time"):
        programs.run(["sleep", "5"], timeout=0.1)
    with pytest.raises(ProgramMissing, match="frobnicator is not installed: apt-get install frobnicator"):
        programs.find("frobnicator")


def test_a_background_process_that_ignores_the_request_is_killed(tmp_path):
    process = Background(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"], tmp_path / "log")
    wait_until(lambda: "up" in process.tail(), 30, "the shell starting")
    assert process.resident_bytes() > 100_000
    with pytest.raises(NotReached, match="still runs"):
        process.wait(0.05)
    assert process.stop(timeout=0.2) == -signal.SIGKILL
    assert process.resident_bytes() == 0
    assert process.stop() == -signal.SIGKILL


def test_a_process_runs_until_the_last_of_its_threads_has_ended():
    process = subprocess.Popen([sys.executable, "-c", FIRST_THREAD_ENDS])
    try:
        stat = Path(f"/proc/{process.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z", 30, "the end of the first thread")
        assert runs(process.pid)
        process.kill()
        wait_until(lambda: not runs(process.pid), 30, "the end of the other")
        assert stat.exists()
    finally:
        process.kill()
        process.wait()
    assert not runs(process.pid)


def test_without_root_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="need root"):
        Lab()
