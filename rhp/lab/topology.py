"""The two networks that everything here is tried on: a cable between two hosts, and a switch with several."""

from collections.abc import Sequence

from rhp.lab.lab import Lab
from rhp.lab.namespace import Namespace

PORT = "eth0"


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


def outer(number: int, version: int = 4) -> str:
    """The outer address of the host with that number, from 1."""
    return f"192.0.2.{number}" if version == 4 else f"2001:db8::{number}"
