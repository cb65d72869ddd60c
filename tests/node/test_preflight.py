"""What has to be there before a node touches anything."""

import fcntl
import os
import socket
import subprocess
import threading

import pytest

from rhp.node.errors import StartError
from rhp.node.preflight import RunFolder, check_machine, check_privilege

ALL, NET_ADMIN, BIND = 0x1FFFFFFFFFF, 1 << 12, 1 << 10


@pytest.fixture
def machine(tmp_path):
    def make(capabilities, tun=True):
        status = tmp_path / "status"
        status.write_text(f"Name:\tx\nCapEff:\t{capabilities:016x}\n")
        device = tmp_path / "tun"
        if tun:
            device.touch()
        return device, status

    return make


def test_root_may(machine):
    tun, status = machine(ALL)
    check_privilege(status)
    check_machine(500, tun, status)


def test_without_net_admin_there_is_one_sentence(machine):
    _, status = machine(ALL & ~NET_ADMIN)
    with pytest.raises(StartError, match="needs root"):
        check_privilege(status)


def test_a_low_port_needs_its_capability_and_a_high_one_does_not(machine):
    tun, status = machine(ALL & ~BIND)
    with pytest.raises(StartError, match="UDP port 500 needs root"):
        check_machine(500, tun, status)
    check_machine(1500, tun, status)


def test_without_the_tun_device_there_is_one_sentence(machine):
    tun, status = machine(ALL, tun=False)
    with pytest.raises(StartError, match="modprobe tun"):
        check_machine(500, tun, status)


def test_without_proc_the_user_decides(tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(StartError, match="needs root"):
        check_privilege(tmp_path / "none")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    check_privilege(tmp_path / "none")


def test_a_lock_that_a_dead_node_left_is_no_hindrance(tmp_path):
    (tmp_path / "rhp.lock").write_text("12345\n")
    with RunFolder(tmp_path):
        assert "12345" not in (tmp_path / "rhp.lock").read_text()


def test_a_run_folder_is_made(tmp_path):
    with RunFolder(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / "rhp.lock").exists()
    assert not (tmp_path / "a").exists()


def test_a_run_folder_that_was_there_stays(tmp_path):
    with RunFolder(tmp_path):
        pass
    assert tmp_path.exists()
    with RunFolder(tmp_path / "new"):
        (tmp_path / "new" / "somebody's").touch()
    assert (tmp_path / "new" / "somebody's").exists()


def test_a_run_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="cannot be used"), RunFolder(tmp_path / "file" / "run"):
        pass
    with pytest.raises(StartError, match=r"file is no folder; .* node\.run_dir"), RunFolder(tmp_path / "file"):
        pass


def test_a_start_waits_for_a_node_that_is_about_to_end(tmp_path):
    """Its guard was killed, say, and it says farewell yet: nobody answers at its control socket any more."""
    (tmp_path / "rhp.lock").touch()
    held = os.open(tmp_path / "rhp.lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    threading.Timer(0.2, os.close, (held,)).start()
    with RunFolder(tmp_path):
        pass


def test_it_waits_for_one_whose_guard_is_gone_also_while_it_still_serves(tmp_path):
    """It answers whom asks how it is until it has said farewell, and with its peers out of reach that takes a while."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "rhp.lock").write_text(f"{gone.pid}\n")
    held = os.open(tmp_path / "rhp.lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as serving:
        serving.bind(str(tmp_path / "control.sock"))
        serving.listen()
        threading.Timer(0.2, os.close, (held,)).start()
        with RunFolder(tmp_path):
            pass


def test_who_was_handed_the_lock_can_neither_open_it_nor_write_to_it(tmp_path, monkeypatch):
    """A node that was taken over has that descriptor, and would have a second node start beside its guard."""
    monkeypatch.setattr("rhp.node.preflight.ENDING_SECONDS", 0.0)
    with RunFolder(tmp_path) as folder:
        handed = os.dup(folder.lock)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(handed, b"1")
        fcntl.flock(handed, fcntl.LOCK_UN)
        with pytest.raises(StartError, match=f"already running .*process {os.getpid()}"), RunFolder(tmp_path):
            pass
    os.close(handed)


def test_the_lock_is_held_by_the_node_alone_when_its_guard_is_gone(tmp_path, monkeypatch):
    with RunFolder(tmp_path) as folder:
        handed, kept = os.dup(folder.lock), tmp_path / "kept"
        kept.hardlink_to(tmp_path / "rhp.lock")
    # A guard that was killed takes no file away.
    kept.rename(tmp_path / "rhp.lock")
    monkeypatch.setattr("rhp.node.preflight.ENDING_SECONDS", 0.0)
    with pytest.raises(StartError, match="already running"), RunFolder(tmp_path):
        pass
    os.close(handed)
    with RunFolder(tmp_path):
        pass


@pytest.mark.parametrize("content", [b"\x1b]0;owned\x07", b"12\n34", b"", b"\xff", b"9" * 9999])
def test_what_stands_in_the_lock_is_told_only_where_it_is_a_number(tmp_path, monkeypatch, content):
    monkeypatch.setattr("rhp.node.preflight.ENDING_SECONDS", 0.0)
    with RunFolder(tmp_path):
        (tmp_path / "rhp.lock").write_bytes(content)
        with pytest.raises(StartError) as caught, RunFolder(tmp_path):
            pass
    assert f"(process {'9' * 20 if content[:1] == b'9' else 'unknown'})" in str(caught.value)


def test_one_that_serves_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("rhp.node.preflight.ENDING_SECONDS", 1000.0)
    with socket.socket(socket.AF_UNIX) as serving, RunFolder(tmp_path):
        serving.bind(str(tmp_path / "control.sock"))
        serving.listen()
        with pytest.raises(StartError, match="already running"), RunFolder(tmp_path):
            pass
