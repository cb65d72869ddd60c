"""Network address translators between two hosts.

    a (rhp) --- [ gate: masquerades ] --- the outside 192.0.2.0/24 --- [ gate ] --- b

A host without a gate is on the outside itself. A gate lets in what was sent out before, and what it is told to hand on.
"""

import json
from dataclasses import dataclass

from rhp.lab.lab import Lab
from rhp.lab.namespace import Namespace
from rhp.lab.programs import find
from rhp.lab.topology import PORT, outer

OUTSIDE = "eth1"

_TABLE = (
    "add table ip gate ;"
    " add counter ip gate keepalives ;"
    " add chain ip gate pre { type nat hook prerouting priority -100 ; } ;"
    " add chain ip gate post { type nat hook postrouting priority 100 ; } ;"
    " add chain ip gate through { type filter hook forward priority 0 ; } ;"
    " add rule ip gate through oifname " + OUTSIDE + " udp length 9 counter name keepalives"
)


@dataclass(frozen=True, slots=True)
class Gate:
    """One translator: its namespace, the address that it shows outside, and the host that it hides."""

    namespace: Namespace
    address: str
    hidden: str

    def masquerade(self, first: int, last: int) -> None:
        """From now on, new flows leave from the ports `first` to `last`; those that exist keep theirs."""
        rule = f"add rule ip gate post oifname {OUTSIDE} meta l4proto udp masquerade to :{first}-{last}"
        self._nft(f"flush chain ip gate post ; {rule}")

    def forward(self) -> None:
        """Hand the IKE ports on to the hidden host, so that it can be called."""
        self._nft(f"add rule ip gate pre iifname {OUTSIDE} udp dport {{ 500, 4500 }} dnat to {self.hidden}")

    def forget(self) -> None:
        """Forget every flow: a masquerading interface that goes down takes them along."""
        self.namespace.ip(f"link set {OUTSIDE} down", f"link set {OUTSIDE} up")

    def keepalives(self) -> int:
        """How many NAT keep-alives (one octet in UDP, RFC 3948 section 2.3) have gone out."""
        listed = json.loads(self.namespace.run([find("nft"), "-j", "list", "counter", "ip", "gate", "keepalives"]))
        return int(next(item["counter"]["packets"] for item in listed["nftables"] if "counter" in item))

    def _nft(self, commands: str) -> None:
        self.namespace.run([find("nft"), *commands.split()])


@dataclass(frozen=True, slots=True)
class Natted:
    """Two hosts; `gates` are what hides them, None for a host that is outside; `addresses` are how they are called."""

    hosts: tuple[Namespace, Namespace]
    gates: tuple[Gate | None, Gate | None]
    addresses: tuple[str, str]


def natted(lab: Lab, hidden: tuple[bool, bool], labels: tuple[str, str] = ("a", "b")) -> Natted:
    """Make two hosts, each hidden or not; the gates masquerade from the ports 20000 to 20099."""
    middle = lab.namespace("net")
    middle.ip("link add br0 type bridge forward_delay 0", "link set br0 up")
    hosts: list[Namespace] = []
    gates: list[Gate | None] = []
    for number, (label, hide) in enumerate(zip(labels, hidden, strict=True), 1):
        host = lab.namespace(label)
        outside, port = (lab.namespace(f"g{number}"), OUTSIDE) if hide else (host, PORT)
        outside.link(middle, port, f"port{number}")
        middle.ip(f"link set port{number} master br0")
        outside.address(port, f"{outer(number)}/24")
        hosts.append(host)
        gates.append(_gate(host, outside, number) if hide else None)
    return Natted((hosts[0], hosts[1]), (gates[0], gates[1]), (outer(1), outer(2)))


def _gate(host: Namespace, outside: Namespace, number: int) -> Gate:
    """Hide `host` behind `outside`."""
    host.link(outside, PORT, PORT)
    host.address(PORT, f"10.1.{number}.2/24")
    outside.address(PORT, f"10.1.{number}.1/24")
    host.ip(f"route add default via 10.1.{number}.1")
    outside.sysctl("net.ipv4.ip_forward", 1)
    outside.run([find("nft"), *_TABLE.split()])
    gate = Gate(outside, outer(number), f"10.1.{number}.2")
    gate.masquerade(20000, 20099)
    return gate
