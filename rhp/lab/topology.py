"""The two networks that everything here is tried on: a cable between two hosts, and a switch with several."""

from collections.abc import Sequence
from dataclasses import dataclass

from rhp.lab.lab import Lab
from rhp.lab.namespace import Namespace
from rhp.lab.programs import find

PORT = "eth0"
MIDDLE = "eth1"

_SILENCE = (
    "add table inet quiet ;"
    " add chain inet quiet out { type filter hook output priority 0 ; } ;"
    " add rule inet quiet out icmp type destination-unreachable drop ;"
    " add rule inet quiet out icmpv6 type packet-too-big drop"
)


def cable(lab: Lab, labels: tuple[str, str] = ("a", "b"), mtu: int = 1500) -> tuple[Namespace, Namespace]:
    """Two namespaces with a veth pair: 192.0.2.1 and .2, 2001:db8::1 and ::2."""
    left, right = lab.namespace(labels[0]), lab.namespace(labels[1])
    left.link(right, PORT, PORT, mtu)
    for number, host in enumerate((left, right), 1):
        host.address(PORT, f"192.0.2.{number}/24", f"2001:db8::{number}/64")
    return left, right


def switch(lab: Lab, labels: Sequence[str], mtu: int = 1500) -> list[Namespace]:
    """A namespace with a bridge, and one host per label on it: 192.0.2.1, .2 and so on, 2001:db8::1 and so on."""
    middle = lab.namespace("net")
    middle.ip("link add br0 type bridge forward_delay 0", "link set br0 up")
    hosts = []
    for number, label in enumerate(labels, 1):
        host = lab.namespace(label)
        host.link(middle, PORT, f"port{number}", mtu)
        middle.ip(f"link set port{number} master br0")
        host.address(PORT, f"192.0.2.{number}/24", f"2001:db8::{number}/64")
        hosts.append(host)
    return hosts


@dataclass(frozen=True, slots=True)
class Narrow:
    """Two hosts, addressed as on a cable, and the routers next to each: the link between these carries less."""

    a: Namespace
    b: Namespace
    routers: tuple[Namespace, Namespace]

    def set_mtu(self, mtu: int) -> None:
        """Make the link in the middle carry packets of `mtu` octets."""
        for router in self.routers:
            router.ip(f"link set {MIDDLE} mtu {mtu}")

    def silence(self) -> None:
        """Let neither router say that a packet was too long."""
        for router in self.routers:
            router.run([find("nft"), *_SILENCE.split()])


def narrow(lab: Lab, labels: tuple[str, str] = ("a", "b"), mtu: int = 1400) -> Narrow:
    """Make such a network; neither host sees the narrow link by itself."""
    left, right = lab.namespace(labels[0]), lab.namespace(labels[1])
    routers = lab.namespace("r1"), lab.namespace("r2")
    routers[0].link(routers[1], MIDDLE, MIDDLE, mtu)
    for number, (host, router) in enumerate(zip((left, right), routers, strict=True), 1):
        host.link(router, PORT, PORT)
        host.address(PORT, f"192.0.2.{number}/32", f"2001:db8::{number}/128")
        router.address(PORT, f"198.51.100.{number}/32", f"2001:db8:1::{number}/128")
        router.address(MIDDLE, f"203.0.113.{number}/24", f"2001:db8:2::{number}/64")
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            router.sysctl(key, 1)
        host.ip(
            f"route add default via 198.51.100.{number} dev {PORT} onlink",
            f"route add ::/0 via 2001:db8:1::{number} dev {PORT} onlink",
        )
        router.ip(
            f"route add 192.0.2.{number}/32 dev {PORT}",
            f"route add 2001:db8::{number}/128 dev {PORT}",
            f"route add 192.0.2.{3 - number}/32 via 203.0.113.{3 - number}",
            f"route add 2001:db8::{3 - number}/128 via 2001:db8:2::{3 - number}",
        )
    return Narrow(left, right, routers)


@dataclass(frozen=True, slots=True)
class Twins:
    """Two hosts with two links between them, and the namespace that has a bridge for each link."""

    a: Namespace
    b: Namespace
    middle: Namespace

    def cut(self, link: int) -> None:
        """Let nothing pass on link 0 or 1 any more; neither host is told."""
        self.middle.ip(f"link set a{link} nomaster")

    def mend(self, link: int) -> None:
        """Let it pass again."""
        self.middle.ip(f"link set a{link} master br{link}")


def twins(lab: Lab, labels: tuple[str, str] = ("a", "b")) -> Twins:
    """Make such a network: 192.0.2.1 and .2 on link 0, 198.51.100.1 and .2 on link 1."""
    made = Twins(lab.namespace(labels[0]), lab.namespace(labels[1]), lab.namespace("net"))
    for link, network in enumerate(("192.0.2", "198.51.100")):
        made.middle.ip(f"link add br{link} type bridge forward_delay 0", f"link set br{link} up")
        for number, (name, host) in enumerate((("a", made.a), ("b", made.b)), 1):
            host.link(made.middle, f"eth{link}", f"{name}{link}")
            host.address(f"eth{link}", f"{network}.{number}/24")
            made.middle.ip(f"link set {name}{link} master br{link}")
    return made


def outer(number: int, version: int = 4) -> str:
    """The outer address of the host with that number, from 1."""
    return f"192.0.2.{number}" if version == 4 else f"2001:db8::{number}"
