"""The programs that are measured: each connects a pair of namespaces of its own and offers an address to talk to.

Each is what its own people ship, with its own defaults, in the cipher that it is known for; the outer MTU is 1500.
"""

from collections.abc import Callable
from pathlib import Path

from bench.netns.contender import Contender
from rhp.lab.certificates import Authority
from rhp.lab.errors import LabError
from rhp.lab.fastd import Fastd, FastdEnd
from rhp.lab.lab import Lab
from rhp.lab.openvpn import OpenVpn, OpenVpnEnd
from rhp.lab.pair import PairOptions, start_pair
from rhp.lab.strongswan import StrongSwan
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection
from rhp.lab.topology import cable
from rhp.lab.wireguard import WireGuard, WireGuardEnd

SECRET = "a shared secret of the benchmark"
BUILD = Path(__file__).parents[2] / "build"
WIREGUARD_GO = BUILD / "wireguard-go/wireguard-go"
WHEEL = BUILD / "wheel/bin/rhp"
"""The `rhp` of the wheel, which carries an OpenSSL of its own, newer than the system's."""

Start = Callable[[Lab], Contender]


def veth(lab: Lab) -> Contender:
    """No program at all: what the machine and iperf3 can do."""
    client, server = cable(lab, ("v1", "v2"))
    return Contender("veth", client, server, "192.0.2.2")


def rhp(name: str, labels: tuple[str, str], suite: str = "aes128gcm16", program: Path | None = None) -> Start:
    """Two nodes with an Ethernet child, ESP in UDP."""

    def start(lab: Lab) -> Contender:
        if program is not None and not program.exists():
            raise LabError(f"{program} is missing: run make wheel")
        client, server = cable(lab, labels)
        options = PairOptions(child={"esp_proposals": [suite]}, program=program)
        pair = start_pair(lab, (client, server), options)
        pair.wait_established()
        nodes = (pair.a, pair.b)
        return Contender(name, client, server, pair.inner[1], tuple(node.process for node in nodes), nodes)

    return start


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


def wireguard_go(lab: Lab) -> Contender:
    """The newest wireguard-go, IP over UDP, ChaCha20-Poly1305."""
    client, server = cable(lab, ("w1", "w2"))
    ends = WireGuardEnd(client, "192.0.2.1", "10.80.0.1"), WireGuardEnd(server, "192.0.2.2", "10.80.0.2")
    tunnel = lab.keep(WireGuard(ends, WIREGUARD_GO, lab.path("wireguard")))
    return Contender("wireguard-go", client, server, "10.80.0.2", tuple(tunnel.processes))


def fastd(lab: Lab) -> Contender:
    """fastd over UDP with a TAP, in the cipher that it recommends."""
    client, server = cable(lab, ("f1", "f2"))
    ends = FastdEnd(client, "192.0.2.1", "10.81.0.1/24"), FastdEnd(server, "192.0.2.2", "10.81.0.2/24")
    tunnel = lab.keep(Fastd(ends, lab.path("fastd")))
    return Contender("fastd", client, server, "10.81.0.2", tuple(tunnel.processes))


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


CONTENDERS: dict[str, Start] = {
    "rhp": rhp("rhp", ("r1", "r2")),
    "rhp-wheel": rhp("rhp-wheel", ("n1", "n2"), program=WHEEL),
    "wireguard-go": wireguard_go,
    "openvpn-tap": openvpn_tap,
    "fastd": fastd,
    "strongswan-libipsec": strongswan_libipsec,
    "veth": veth,
}
SUITES: dict[str, Start] = {
    "rhp-aes256gcm": rhp("rhp-aes256gcm", ("rg1", "rg2"), "aes256gcm16"),
    "rhp-wheel-aes256gcm": rhp("rhp-wheel-aes256gcm", ("ng1", "ng2"), "aes256gcm16", WHEEL),
    "rhp-chacha20": rhp("rhp-chacha20", ("rc1", "rc2"), "chacha20poly1305"),
    "rhp-wheel-chacha20": rhp("rhp-wheel-chacha20", ("nc1", "nc2"), "chacha20poly1305", WHEEL),
}
"""rhp with other ciphers, for the one measure in which the cipher tells."""
