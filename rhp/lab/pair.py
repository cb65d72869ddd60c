"""Two rhp nodes with an Ethernet between them: what the demo shows, the tests try and the benchmark measures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rhp.lab.lab import Lab
from rhp.lab.namespace import Namespace
from rhp.lab.nodeconf import Table, Value, psk
from rhp.lab.rhpnode import RhpNode
from rhp.lab.topology import outer

CONNECTION = "cable"
CHILD = "ethernet"
TAP = "rhp0"
SECRET = "a shared secret of the lab"  # noqa: S105 (it protects nothing but a test)
INNER = ("10.77.0.1", "10.77.0.2")
INNER6 = ("fd77::1", "fd77::2")
IDENTITIES = ("a.example.org", "b.example.org")


@dataclass(frozen=True, slots=True)
class PairOptions:
    """What may differ from the usual pair; the mappings are merged into the tables of the same name at both ends.

    `callers` goes into the connection of those that initiate alone.
    """

    secrets: tuple[str, str] = (SECRET, SECRET)
    both_initiate: bool = False
    version: int = 4
    interface: Mapping[str, Value] = field(default_factory=dict)
    connection: Mapping[str, "Value | Table"] = field(default_factory=dict)
    callers: Mapping[str, "Value | Table"] = field(default_factory=dict)
    child: Mapping[str, Value] = field(default_factory=dict)
    more: Mapping[str, Table] = field(default_factory=dict)
    program: Path | None = None


@dataclass(frozen=True, slots=True)
class NodePair:
    """Node `a` initiates to node `b`; `inner` are the addresses of their TAPs, `inner6` the IPv6 ones."""

    a: RhpNode
    b: RhpNode
    inner: tuple[str, str] = INNER
    inner6: tuple[str, str] = INNER6

    def wait_established(self, timeout: float = 30.0) -> None:
        """Wait until the tunnel stands at both ends; raises `NotReached` with the evidence."""
        for end in (self.a, self.b):
            end.wait_established(CONNECTION, timeout)


def configuration(number: int, options: PairOptions, others: Table | None = None) -> Table:
    """The configuration of node 1 or 2, at the outer address of that number; `others` are further connections."""
    own, peer = IDENTITIES[number - 1], IDENTITIES[2 - number]
    where: Table = {}
    if number == 1 or options.both_initiate:
        where = {"remote_addrs": [outer(3 - number, options.version)], **options.callers}
    ethernet: Table = {"mode": "ethernet", **options.child}
    connection: Table = {**psk(own, peer, options.secrets[number - 1]), **options.connection, **where}
    addresses = [f"{INNER[number - 1]}/24", f"{INNER6[number - 1]}/64"]
    return {
        **options.more,
        "interface": {"name": TAP, "addresses": addresses, **options.interface},
        "connections": {CONNECTION: {**connection, "children": {CHILD: ethernet}}, **(others or {})},
    }


def start_pair(lab: Lab, hosts: tuple[Namespace, Namespace], options: PairOptions | None = None) -> NodePair:
    """Start node b, then node a; returns when both serve, which is before the tunnel stands."""
    chosen = options or PairOptions()
    nodes = {
        number: lab.keep(RhpNode(host, lab.path(f"{host.name}-node"), configuration(number, chosen), chosen.program))
        for number, host in ((2, hosts[1]), (1, hosts[0]))
    }
    return NodePair(nodes[1], nodes[2])
