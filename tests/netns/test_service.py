"""A node as a service: what a manager hears of it, and the programs that run for its tunnels."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from rhp.guard import exits
from rhp.lab.nodeconf import psk
from rhp.lab.pair import CONNECTION, SECRET, TAP
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import RhpNode, rhp_command
from rhp.lab.topology import cable, outer

pytestmark = pytest.mark.netns

PEER = "b.example.org"


class Manager:
    """The socket that a service manager listens to, and all that it heard."""

    def __init__(self, path):
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        path.chmod(0o777)
        self._lines = []

    def lines(self):
        while True:
            try:
                self._lines += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self._lines

    def count(self, line):
        return self.lines().count(line)

    def stop(self):
        self._socket.close()


def ours(**more):
    return {
        "interface": {"name": TAP},
        "connections": {CONNECTION: psk("a.example.org", PEER, SECRET, remote_addrs=[outer(2)])},
        **more,
    }


@pytest.fixture
def other(lab):
    hosts = cable(lab)
    theirs = {
        "interface": {"name": TAP},
        "connections": {CONNECTION: psk(PEER, "a.example.org", SECRET, remote_addrs=[outer(1)], start="wait")},
    }
    return hosts[0], lab.keep(RhpNode(hosts[1], lab.path("b"), theirs))


def test_the_manager_hears_of_start_life_hanging_and_end(lab, other):
    host, _ = other
    manager = lab.keep(Manager(lab.path("notify")))
    node = lab.keep(RhpNode(host, lab.path("a"), ours()))
    node.stop()
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "600000"}
    node.process = host.start(rhp_command("up", "-c", str(node.file)), node.log, environment)
    wait_until(lambda: manager.count("READY=1"), 60, "the node being ready")
    node.wait_established(CONNECTION)
    wait_until(lambda: manager.count("STATUS=serving, 1 tunnel up"), 60, "the status")
    inner = node.pid
    # Nothing that the manager gave goes on to the node.
    assert b"NOTIFY_SOCKET" not in Path(f"/proc/{inner}/environ").read_bytes()
    alive = manager.count("WATCHDOG=1")
    wait_until(lambda: manager.count("WATCHDOG=1") > alive + 2, 60, "signs of life")
    # While it hangs there is at most the one that was under way.
    os.kill(inner, signal.SIGSTOP)
    wait_until(lambda: stopped(inner), 30, "the node hanging")
    alive = manager.count("WATCHDOG=1")
    with pytest.raises(Exception, match="a second sign"):
        wait_until(lambda: manager.count("WATCHDOG=1") > alive + 1, 2, "a second sign")
    os.kill(inner, signal.SIGCONT)
    wait_until(lambda: manager.count("WATCHDOG=1") > alive + 2, 60, "it living again")
    assert "STOPPING=1" not in manager.lines()
    node.process.send(signal.SIGTERM)
    assert node.process.wait(60) == exits.DONE
    assert manager.count("STOPPING=1") == 1
    assert manager.count("READY=1") == 1
    assert "Traceback" not in node.process.text()


def stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "Tt"


def test_programs_run_for_a_tunnel_that_comes_and_goes(lab, other):
    host, theirs = other
    told = lab.path("told")
    told.write_text("")
    told.chmod(0o666)
    program = lab.path("hook")
    variables = ("EVENT", "CONNECTION", "PEER", "LOCAL_ADDRESS", "REMOTE_ADDRESS", "INTERFACE", "REASON")
    words = " ".join(f'"$RHP_{name}"' for name in variables)
    program.write_text(f'#!/bin/sh\nprintf "%s " {words} "$(id -un)" >> {told}\necho >> {told}\n')
    program.chmod(0o755)
    every = ["node-up", "tunnel-up", "tunnel-down", "node-down"]
    hooks = [{"on": every, "command": [str(program)]}]
    text = ours()
    folder = lab.path("a")
    node = lab.keep(RhpNode(host, folder, text))
    node.stop()
    with node.file.open("a") as file:
        file.write(f"\n[[hooks]]\non = {every!r}\ncommand = [{str(hooks[0]['command'][0])!r}]\n")
    node.start()
    node.wait_established(CONNECTION)
    wait_until(lambda: "tunnel-up" in told.read_text(), 60, "the hook of the tunnel")
    node.rekey_ike(CONNECTION)
    wait_until(lambda: "ike rekeyed" in node.process.text(), 30, "the rekey")
    theirs.terminate(CONNECTION)
    wait_until(lambda: "tunnel-down" in told.read_text(), 60, "the hook of its end")
    wait_until(lambda: told.read_text().count("tunnel-up") == 2, 60, "the next tunnel")
    node.process.send(signal.SIGTERM)
    assert node.process.wait(60) == exits.DONE
    lines = [re.sub(r" +", " ", line).split() for line in told.read_text().splitlines()]
    where = [CONNECTION, PEER, outer(1), outer(2), TAP]
    assert lines[0] == ["node-up", "nobody"]
    assert lines[1] == ["tunnel-up", *where, "nobody"]
    assert lines[2][:6] == ["tunnel-down", *where]
    assert lines[3] == ["tunnel-up", *where, "nobody"]
    # Those of the end have run before the end.
    assert [line[0] for line in lines[4:]] == ["node-down", "tunnel-down"]
    assert all(line[-1] == "nobody" for line in lines)
    assert "hook failed" not in node.process.text()
    assert "Traceback" not in node.process.text()
