"""The programs that are measured: each connects a pair of namespaces of its own and offers an address to talk to."""

from collections.abc import Callable
from dataclasses import dataclass

from rhp.lab.certificates import Authority
from rhp.lab.lab import Lab
from rhp.lab.namespace import Namespace
from rhp.lab.openvpn import OpenVpn, OpenVpnEnd
from rhp.lab.pair import PairOptions, start_pair
from rhp.lab.process import Background
from rhp.lab.rhpnode import RhpNode
from rhp.lab.strongswan import StrongSwan
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection
from rhp.lab.topology import cable

SECRET = "a shared secret of the benchmark"


@dataclass(frozen=True, slots=True)
class Contender:
    """One program at work: traffic from `client` to `address` goes through it; `processes` are its two ends."""

    name: str
    client: Namespace
    server: Namespace
    address: str
    processes: tuple[Background, ...] = ()
    nodes: tuple[RhpNode, ...] = ()


def veth(lab: Lab) -> Contender:
    """No program at all: what the machine and iperf3 can do."""
    client, server = cable(lab, ("v1", "v2"))
    return Contender("veth", client, server, "192.0.2.2")


def rhp(lab: Lab) -> Contender:
    """Two nodes with an Ethernet child, AES-128-GCM in ESP in UDP."""
    client, server = cable(lab, ("r1", "r2"))
    pair = start_pair(lab, (client, server), PairOptions(child={"esp_proposals": ["aes128gcm16"]}))
    pair.wait_established()
    nodes = (pair.a, pair.b)
    return Contender("rhp", client, server, pair.inner[1], tuple(node.process for node in nodes), nodes)


def openvpn_tap(lab: Lab) -> Contender:
    """OpenVPN over UDP with a TAP and AES-128-GCM."""
    client, server = cable(lab, ("o1", "o2"))
    authority = Authority(lab.path("openvpn-ca"))
    ends = [
        OpenVpnEnd(namespace, outer, inner, authority.issue(name))
        for namespace, outer, inner, name in (
            (server, "192.0.2.2", "10.78.0.2/24", "b.example.org"),
            (client, "192.0.2.1", "10.78.0.1/24", "a.example.org"),
        )
    ]
    tunnel = lab.keep(OpenVpn(ends[0], ends[1], lab.path("openvpn")))
    return Contender("openvpn-tap", client, server, "10.78.0.2", tuple(tunnel.processes))


def strongswan_libipsec(lab: Lab) -> Contender:
    """Two strongSwans with ESP in user space, IP in tunnel mode, AES-128-GCM."""
    client, server = cable(lab, ("s1", "s2"))
    daemons = []
    ends = (("b", "a", server, "2", "1"), ("a", "b", client, "1", "2"))
    for local, remote, namespace, own, other in ends:
        namespace.address("lo", f"10.79.0.{own}/32")
        child = SwanChild("bench", (f"10.79.0.{own}/32",), (f"10.79.0.{other}/32",))
        connection = SwanConnection(
            "bench",
            f"192.0.2.{own}",
            f"192.0.2.{other}",
            SwanAuth(f"{local}.example.org"),
            SwanAuth(f"{remote}.example.org"),
            (child,),
            psk=SECRET,
        )
        daemons.append(lab.keep(StrongSwan(namespace, lab.path(f"swan-{local}"), [connection])))
    daemons[-1].initiate("bench")
    return Contender("strongswan-libipsec", client, server, "10.79.0.2", tuple(end.process for end in daemons))


CONTENDERS: dict[str, Callable[[Lab], Contender]] = {
    "rhp": rhp,
    "openvpn-tap": openvpn_tap,
    "strongswan-libipsec": strongswan_libipsec,
    "veth": veth,
}
