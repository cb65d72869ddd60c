"""The whole node as a service manager runs it, in a namespace of its own: what it is given, and what it keeps.

The manager's part of keeping descriptors is played, for systemd does it only where it is process 1; sockets are given
by systemd's own systemd-socket-activate, and what the unit allows is taken from the unit.
"""

import asyncio
import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rhp.guard import exits
from rhp.guard.local import LocalGuard
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import AddAddress, CaptureTraffic, ConfigureLink, Done, OpenTap, SetDns
from rhp.lab.rhpnode import rhp_command

TAP = "rhpt0"
TEXT = """
[node]
run_dir = "{folder}/run"
state_dir = "{folder}/state"
[interface]
name = "{tap}"
addresses = ["10.77.0.1/24"]
[firewall]
forward = true
isolate = true
{more}
[connections.office]
psk = "a secret that only this test knows"
local.id = "a.example.org"
remote.id = "b.example.org"
"""
UNIT = Path(__file__).parents[2] / "rhp" / "data" / "rhp.service"


def wait_until(condition, what):
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


class Manager:
    """A service manager: it hears what the service says, and keeps the descriptors that it is given by name."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        self.path.chmod(0o777)
        self.kept = {}
        self.lines = []

    def hear(self):
        """Take all that was said so far; the lines."""
        while True:
            try:
                octets, fds, *_ = socket.recv_fds(self._socket, 4096, 64)
            except BlockingIOError:
                return self.lines
            said = octets.decode().splitlines()
            name = next((line.removeprefix("FDNAME=") for line in said if line.startswith("FDNAME=")), "")
            if "FDSTOREREMOVE=1" in said:
                self.drop(name)
            if fds:
                self.kept.setdefault(name, []).extend(fds)
            self.lines += said

    def drop(self, name):
        for fd in self.kept.pop(name, []):
            os.close(fd)

    def close(self):
        for name in list(self.kept):
            self.drop(name)
        self._socket.close()


class World:
    """One node with its file, and its manager."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "rhp.toml"
        self.write()
        self.manager = Manager(folder)
        self.log = folder / "log"
        self.process = None

    def write(self, more=""):
        self.file.write_text(TEXT.format(folder=self.folder, tap=TAP, more=more))
        self.file.chmod(0o600)

    def start(self, wrapped=(), environment=None):
        """As a manager does: with its socket, and with what it kept from descriptor 3 on."""
        self.manager.lines.clear()
        kept = [(name, fd) for name, fds in self.manager.kept.items() if name for fd in fds]
        given = {"NOTIFY_SOCKET": str(self.manager.path), **(environment or {})}
        if kept:
            given |= {"LISTEN_FDS": str(len(kept)), "LISTEN_FDNAMES": ":".join(name for name, _ in kept)}
        moves = " ".join(f"{place}<&{fd} {fd}<&-" for place, (_, fd) in enumerate(kept, 3))
        # The shell becomes the program, so the process that the manager began is the one that is meant.
        script = f'export LISTEN_PID=$$; exec "$@" {moves}'
        command = ["bash", "-c", script, "rhp", *wrapped, *rhp_command("up", "-c", str(self.file))]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **given}, stdout=log, stderr=log, pass_fds=[fd for _, fd in kept]
            )
        wait_until(lambda: "READY=1" in self.manager.hear() or self.process.poll() is not None, self.said())
        assert self.process.poll() is None, self.said()

    def said(self):
        return self.log.read_text()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(60) == exits.DONE
        self.manager.hear()

    def close(self):
        try:
            self.end()
        finally:
            if self.process is not None and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.manager.close()


@pytest.fixture
def world(own_network, open_folder):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    made = World(open_folder)
    yield made
    made.close()
    assert "Traceback" not in made.said()


def rules():
    shown = subprocess.run(["ip", "rule"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if line.startswith("52")]


def addresses():
    shown = subprocess.run(
        ["ip", "-4", "-o", "address", "show", "dev", TAP], capture_output=True, text=True, check=True
    )
    return re.findall(r"inet (\S+)", shown.stdout)


def test_a_restart_keeps_the_interface_and_a_stop_does_not(world):
    world.start()
    index = socket.if_nametoindex(TAP)
    assert addresses() == ["10.77.0.1/24"]
    assert list(filter(None, world.manager.kept)) == [f"tap-{TAP}"]
    world.end()
    # What the node set is taken back; the interface itself waits for the next start.
    assert socket.if_nametoindex(TAP) == index
    assert addresses() == []
    world.start()
    assert socket.if_nametoindex(TAP) == index
    assert addresses() == ["10.77.0.1/24"]
    world.end()
    world.manager.drop(f"tap-{TAP}")
    assert TAP not in [name for _, name in socket.if_nameindex()]


def test_what_a_killed_node_left_on_the_interface_is_no_hindrance(world):
    world.start()
    index = socket.if_nametoindex(TAP)
    subprocess.run(["ip", "address", "add", "10.99.0.1/24", "dev", TAP], check=True)
    children = Path(f"/proc/{world.process.pid}/task/{world.process.pid}/children").read_text().split()
    watched = [os.pidfd_open(int(pid)) for pid in children]
    world.process.kill()
    world.process.wait()
    for one in watched:
        # It may have seen the guard die, and have ended by itself.
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(one, signal.SIGKILL)
        assert select.select([one], [], [], 60)[0]
        os.close(one)
    world.manager.hear()
    world.start()
    assert socket.if_nametoindex(TAP) == index
    assert addresses() == ["10.77.0.1/24"]


def test_what_a_killed_node_left_is_taken_back_by_one_that_could_not_have_done_it(world):
    """Name servers and rules of peers: the configuration asks none for any now, so the guard may not write there."""
    etc, kept = world.folder / "etc", world.folder / "state-guard"
    subprocess.run(["cp", "-a", "/etc", str(etc)], check=True)
    left = LocalGuard(
        GuardPolicy(
            interfaces=(TAP,),
            assigned=True,
            resolv_conf=str(etc / "resolv.conf"),
            resolved="/nowhere",
            state_dir=str(kept),
        )
    )
    (etc / "resolv.conf").write_text("nameserver 192.0.2.53\n")

    async def leave():
        opened = await left.ask(OpenTap(TAP, 1))
        questions = [
            ConfigureLink(TAP),
            AddAddress(TAP, "10.88.0.2/32"),
            CaptureTraffic(TAP, "0.0.0.0/0", ("192.0.2.2",), "10.88.0.2", "169.254.7.8"),
            SetDns(TAP, ("10.1.0.53",)),
        ]
        assert [await left.ask(one) for one in questions] == [Done()] * len(questions)
        for fd in opened.fds:
            os.close(fd)

    asyncio.run(leave())
    note = kept / "resolv.conf.before"
    note.write_text(note.read_text().replace(str(etc), "/etc"))
    assert "10.1.0.53" in (etc / "resolv.conf").read_text()
    assert rules()
    world.start(["unshare", "--mount", "sh", "-c", f'mount --bind {etc} /etc && exec "$@"', "sh"])
    assert (etc / "resolv.conf").read_text() == "nameserver 192.0.2.53\n"
    assert rules() == []
    assert list(kept.iterdir()) == [kept / "firewall.before"]


def test_another_number_of_lanes_has_as_many_queues(world):
    def queues():
        world.manager.hear()
        return len(world.manager.kept[f"tap-{TAP}"])

    seen = set()
    for lanes in (1, 3, 2):
        world.file.write_text(world.file.read_text().replace("[interface]", f"lanes = {lanes}\n[interface]"))
        world.start()
        assert queues() == lanes
        seen.add(socket.if_nametoindex(TAP))
        world.end()
        world.write()
    assert len(seen) == 1


def test_an_interface_that_is_not_in_the_configuration_any_more_goes(world):
    world.start()
    world.end()
    world.file.write_text(world.file.read_text().replace(f'"{TAP}"', '"rhpt1"'))
    world.start()
    names = [name for _, name in socket.if_nameindex()]
    assert "rhpt1" in names
    wait_until(lambda: world.manager.hear() and "tap-rhpt0" not in world.manager.kept, "the manager letting go")
    assert TAP not in [name for _, name in socket.if_nameindex()]


def test_a_hub_that_a_reload_takes_away_and_another_brings_again(world):
    def reload(more, there):
        world.write(more)
        world.process.send_signal(signal.SIGHUP)
        # What the manager has not heard yet holds the interface too.
        wait_until(lambda: world.manager.hear() and ("tap-rhpt1" in world.manager.kept) == there, f"kept: {there}")
        wait_until(lambda: ("rhpt1" in [name for _, name in socket.if_nameindex()]) == there, f"there: {there}")

    hub = '[hubs.guests]\ninterface.name = "rhpt1"'
    world.start()
    for _ in range(2):
        reload(hub, there=True)
        reload("", there=False)
    assert list(filter(None, world.manager.kept)) == [f"tap-{TAP}"]
    assert "exists already" not in world.said()


def test_an_interface_that_somebody_took_away_is_made_anew(world):
    world.start()
    world.end()
    subprocess.run(["ip", "link", "delete", TAP], check=True)
    world.start()
    assert addresses() == ["10.77.0.1/24"]


def test_sockets_that_systemd_has_bound_are_used(world):
    """systemd-socket-activate starts the node with the first datagram, which is therefore not lost."""
    activate = ["systemd-socket-activate", "--datagram", "-l", "0.0.0.0:500", "-l", "0.0.0.0:9"]
    activate += [f"--setenv={name}" for name in ("NOTIFY_SOCKET", "PATH", "PYTHONPATH")]
    with world.log.open("ab") as log:
        world.process = subprocess.Popen(
            [*activate, *rhp_command("up", "-c", str(world.file))],
            env={**os.environ, "NOTIFY_SOCKET": str(world.manager.path)},
            stdout=log,
            stderr=log,
        )
    wait_until(lambda: "Listening on" in world.said() and bound(500), "systemd listening")
    before = bound(500)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"x" * 28, ("127.0.0.1", 500))
        wait_until(lambda: "READY=1" in world.manager.hear(), world.said())
    # The same socket is still there, among those of the node.
    assert before < bound(500)
    assert "socket unfit" in world.said()
    assert "no port of the configuration" in world.said()
    assert not bound(9)


def bound(port):
    """The inodes of the UDP sockets of IPv4 at that port."""
    rows = [line.split() for line in Path("/proc/thread-self/net/udp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if int(row[1].split(":")[1], 16) == port}


def test_what_the_unit_leaves_is_enough(world):
    """The capabilities that the unit bounds, no new privileges, and no memory that is written and executed."""
    unit = UNIT.read_text()
    names = re.search(r"^CapabilityBoundingSet=(.+)$", unit, re.MULTILINE)[1].split()
    assert "NoNewPrivileges=yes" in unit
    assert "MemoryDenyWriteExecute=yes" in unit
    bounding = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in names)])
    deny = "import ctypes,os,sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])"
    world.write('[[hooks]]\non = "node-up"\ncommand = "/bin/true"')
    world.start(["setpriv", f"--bounding-set={bounding}", "--no-new-privs", sys.executable, "-c", deny])
    wait_until(lambda: "hook done" in world.said(), "the hook")
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    assert f"table inet rhp-{TAP}" in rules
    world.end()
    assert subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout == ""
