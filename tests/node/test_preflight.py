"""What has to be there before a node touches anything."""

import fcntl
import os
import socket
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


def test_one_that_serves_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("rhp.node.preflight.ENDING_SECONDS", 1000.0)
    with socket.socket(socket.AF_UNIX) as serving, RunFolder(tmp_path):
        serving.bind(str(tmp_path / "control.sock"))
        serving.listen()
        with pytest.raises(StartError, match="already running"), RunFolder(tmp_path):
            pass
