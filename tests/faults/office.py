"""What the rounds of faults are played with: a gateway, a peer by Ethernet and two by IP, the network, and traffic.

    desk ----.
    road ----[ net: a bridge ]--- [ wire: the fault relay ] --- gate
    home ----'

The desk shares the gateway's Ethernet; road warriors have an address of its pool, a route and a name server from it.
All are kept running by supervisors. No fault strikes the home itself: its processes live through all the rounds, and
would show what leaks a little at a time. The gateway's state folder is on a disk of its own, which can be full.
"""

import os
import signal
from contextlib import contextmanager
from pathlib import Path

from books import machine

from rhp.lab.errors import LabError, NotReached
from rhp.lab.faults import Faults
from rhp.lab.lasting import LastingTransfer
from rhp.lab.namesfile import NamesFile
from rhp.lab.nodeconf import psk, tunnel
from rhp.lab.pair import SECRET, TAP
from rhp.lab.ping import reaches
from rhp.lab.process import wait_until
from rhp.lab.programs import find
from rhp.lab.relay import OFFLOADS, PORTS, Relay
from rhp.lab.rhpnode import RhpNode, rhp_command
from rhp.lab.supervisor import Supervisor
from rhp.lab.topology import PORT, outer

DESK, ROAD, HOME = "desk", "road", "home"
NAMES = {DESK: "desk@example.com", ROAD: "road@example.org", HOME: "home@example.org"}
CHILD = {DESK: "ethernet", ROAD: "net", HOME: "net"}
GATE_AT = {DESK: "10.77.0.1", ROAD: "10.88.0.1", HOME: "10.88.0.1"}
THEY_AT = {DESK: "10.77.0.2", ROAD: "10.88.0.2", HOME: "10.88.0.3"}
DISK_KB = 1024


class Office:
    """The whole of it, with all tunnels up and traffic flowing once the constructor returns."""

    def __init__(self, lab):
        hosts = {name: lab.namespace(name) for name in ("gate", DESK, ROAD, HOME)}
        self.wire, self.net, self.gate_host = lab.namespace("wire"), lab.namespace("net"), hosts["gate"]
        self._lay_cables(list(hosts.values()))
        self.relay = lab.keep(Relay(self.wire, lab.path("relay"), Faults()))
        self.hosts = hosts
        self.names = {name: lab.keep(NamesFile(host)) for name, host in hosts.items()}
        self.disk = lab.keep(Disk(self.gate_host, lab.path("disk")))
        self.bare = {name: machine(self, name) for name in hosts}
        """What is on each host before there is a node: what has to be there again when it has ended."""
        program = self.disk.program(lab.path("rhp-on-disk"))
        self.gate = supervise(lab, self.gate_host, gate(self.disk), program)
        self.peers = {}
        # One after the other, so that the pool's addresses are theirs in this order.
        for name, made in ((DESK, desk()), (ROAD, road(ROAD)), (HOME, road(HOME))):
            self.peers[name] = supervise(lab, hosts[name], made)
            self.wait_up(30)
        self.flows = {}
        for name, peer in self.peers.items():
            there = LastingTransfer(peer.node.namespace, self.gate_host, GATE_AT[name])
            self.flows[f"{name} to gate"] = lab.keep(there)
            back = LastingTransfer(self.gate_host, peer.node.namespace, THEY_AT[name])
            self.flows[f"gate to {name}"] = lab.keep(back)

    @property
    def supervisors(self):
        """All nodes by name."""
        return {"gate": self.gate, **self.peers}

    def wait_up(self, timeout):
        """Wait until both ends of all tunnels name the same SAs and no other, then ping; raises `LabError`."""
        try:
            wait_until(self._agree, timeout, "both ends of all tunnels naming the same SAs", 0.1)
        except NotReached as late:
            raise LabError(f"{late}: {self.picture()}") from None
        for name, peer in self.peers.items():
            for host, address in ((peer.node.namespace, GATE_AT[name]), (self.gate_host, THEY_AT[name])):
                if not reaches(host, address):
                    raise LabError(f"no ping from {host.name} to {address}\n{self.evidence()}")

    def flow_on(self, octets, timeout):
        """Wait until each transfer has moved on, and compare what has arrived."""
        for flow in self.flows.values():
            flow.progress(octets, timeout)
            flow.verify()

    def _agree(self):
        for supervisor in self.supervisors.values():
            supervisor.check()
        try:
            gate = sas(self.gate.node)
            peers = {name: sas(peer.node) for name, peer in self.peers.items()}
        except (LabError, OSError):
            return False
        mirrored = {NAMES[name]: mirror(found[0]) for name, found in peers.items() if len(found) == 1}
        return len(gate) == len(peers) and {one["peer"]: straight(one) for one in gate} == mirrored

    def picture(self):
        """What the nodes say of their SAs, for a person."""
        return {name: said(supervisor.node) for name, supervisor in self.supervisors.items()}

    def evidence(self):
        """The last lines of all of them."""
        parts = [f"{name}:\n{one.node.process.tail(40)}" for name, one in self.supervisors.items()]
        return "\n".join([str(self.picture()), *parts])

    @contextmanager
    def cut(self):
        """As long as the `with` lasts nothing passes between gateway and peers, and nobody is told."""
        self.net.ip("link set port0 nomaster")
        try:
            yield
        finally:
            self.net.ip("link set port0 master br0")

    def _lay_cables(self, hosts):
        """Nobody's interface has offloads, so that a fault strikes one packet and not sixty-four."""
        self.wire.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        self.net.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        self.net.ip("link add br0 type bridge forward_delay 0", "link set br0 up")
        self.net.link(self.wire, "port0", PORTS[1])
        hosts[0].link(self.wire, PORT, PORTS[0])
        ports = ["port0"]
        for number, host in enumerate(hosts[1:], 1):
            host.link(self.net, PORT, f"port{number}")
            ports.append(f"port{number}")
        self.net.ip(*(f"link set {port} master br0" for port in ports))
        for number, host in enumerate(hosts, 1):
            host.address(PORT, f"{outer(number)}/24")
            off = [word for offload in OFFLOADS for word in (offload, "off")]
            host.run([find("ethtool"), "-K", PORT, *off])


def supervise(lab, host, configuration, program=None):
    """Start a node and have it kept running."""
    return lab.keep(Supervisor(RhpNode(host, lab.path(host.name), configuration, program)))


class Disk:
    """A disk in memory, mounted in the mount namespace of a process alone: with the last who uses it, it is gone."""

    def __init__(self, host, path):
        path.mkdir()
        self.path = path
        mount = f"mount -t tmpfs -o mode=755,size={DISK_KB}k tmpfs {path} && echo mounted && exec sleep infinity"
        self._holder = host.start(["sh", "-c", mount], path.with_name("disk-log"))
        self._holder.wait_for("mounted", 30)
        self.inside = Path(f"/proc/{self._holder.pid}/root{path}")

    @property
    def pid(self):
        """The process that holds it."""
        return self._holder.pid

    def program(self, script):
        """An rhp that sees the disk, as a file at `script`."""
        command = " ".join(rhp_command())
        script.write_text(f'#!/bin/sh\nexec nsenter --mount=/proc/{self.pid}/ns/mnt {command} "$@"\n')
        script.chmod(0o755)
        return script

    def fill(self):
        """Leave not one octet of it free."""
        with (self.inside / "full").open("wb", 0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def empty(self):
        """Take away what filled it."""
        (self.inside / "full").unlink()

    def stop(self):
        """End the process that holds it."""
        self._holder.stop()


def gate(disk):
    """The gateway's configuration; its child of the road has a route to each address that it has lent."""
    at_desk = {**psk("gate.example.org", NAMES[DESK], SECRET), "children": {CHILD[DESK]: {"mode": "ethernet"}}}
    on_road = {
        **psk("gate.example.org", "*@example.org", SECRET),
        "pools": ["staff"],
        "children": {CHILD[ROAD]: tunnel([GATE_AT[ROAD]], [])},
    }
    return {
        "node": {"state_dir": str(disk.path / "state")},
        "interface": {"name": TAP, "addresses": [f"{address}/24" for address in sorted(set(GATE_AT.values()))]},
        "pools": {"staff": {"addresses": ["10.88.0.0/24"], "dns": ["10.88.0.53"]}},
        "connections": {DESK: at_desk, ROAD: on_road},
    }


def desk():
    """The peer by Ethernet."""
    connection = {
        **psk(NAMES[DESK], "gate.example.org", SECRET),
        "remote_addrs": [outer(1)],
        "children": {CHILD[DESK]: {"mode": "ethernet"}},
    }
    return {"interface": {"name": TAP, "addresses": [f"{THEY_AT[DESK]}/24"]}, "connections": {DESK: connection}}


def road(name):
    """A peer by IP, which is given its address and its name server."""
    connection = {
        **psk(NAMES[name], "gate.example.org", SECRET),
        "remote_addrs": [outer(1)],
        "request_addresses": True,
        "children": {CHILD[name]: tunnel([], [GATE_AT[name]])},
    }
    return {"interface": {"name": TAP}, "connections": {name: connection}}


def sas(node):
    """The node's IKE SAs, whatever their state."""
    return node.status()["ike_sas"]


def straight(entry):
    """What identifies an IKE SA and its children: their SPIs, as the gateway has them."""
    pairs = sorted((child["state"], child["spi_in"], child["spi_out"]) for child in entry["children"])
    return entry["ike_state"], entry["ike_spi_i"], entry["ike_spi_r"], pairs, len(pairs) == 1


def mirror(entry):
    """The same as the other end has it."""
    pairs = sorted((child["state"], child["spi_out"], child["spi_in"]) for child in entry["children"])
    return entry["ike_state"], entry["ike_spi_i"], entry["ike_spi_r"], pairs, len(pairs) == 1


def said(node):
    """One line on each IKE SA."""
    try:
        return [(one["peer"], straight(one)) for one in sas(node)]
    except (LabError, OSError) as error:
        return str(error).splitlines()[0]


def kill(pid):
    """End a process at once."""
    os.kill(pid, signal.SIGKILL)
