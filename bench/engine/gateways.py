"""Handshakes per second of processor time of a whole gateway: an rhp node, then strongSwan's charon.

Each is a process in a namespace and does all that belongs to a handshake: sockets, keys, both SAs of a child in tunnel
mode in its own ESP, routes. The clients are the same for both, and their time does not count.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from bench.engine.load import Clients, client_address, tunnel_child
from bench.engine.pair import DOMAIN, GATE, IKE, PSK, Kind, authority, connection, credentials
from rhp.ike.config import ConnectionConfig
from rhp.lab.lab import Lab
from rhp.lab.namespace import Namespace
from rhp.lab.nodeconf import Table, psk, pubkey, tunnel
from rhp.lab.process import Background
from rhp.lab.rhpnode import RhpNode
from rhp.lab.strongswan import StrongSwan
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection
from rhp.lab.topology import cable

CLIENTS = 400
MANY = 2000
GATEWAY = IPv4Address("192.0.2.2")
BEHIND = "10.99.0.0/24"
_BEHIND = (IPv4Address("10.99.0.0"), IPv4Address("10.99.0.255"))
_CLIENTS_NET = "10.10.0.0/16"
_CLIENTS_AT = "10.9.0.0/16"
_SETTINGS: Table = {
    "proposals": [IKE],
    "children": {"net": tunnel([BEHIND], [_CLIENTS_NET], esp_proposals=["aes128gcm16"])},
}
KINDS = {"psk": Kind(), "ecdsa_p256": Kind(key_type="ecdsa-p256")}

Start = Callable[[Lab, Namespace, Kind], Background]


def peer(number: int) -> str:
    """A client's identity."""
    return f"peer{number}.{DOMAIN}"


def clients(kind: Kind, count: int) -> list[ConnectionConfig]:
    """As many connections to the gateway, each with its own identity and inner address."""
    made = [connection(f"c{one}", peer(one), GATE, kind) for one in range(count)]
    return [replace(one, children=(tunnel_child(number, _BEHIND),)) for number, one in enumerate(made)]


def files(lab: Lab, kind: Kind) -> tuple[Path, Path, Path]:
    """The gateway's certificate, its key and its CA."""
    if kind.key_type is None:
        raise ValueError("a PSK needs no files")
    own, trusted = credentials(GATE, kind.key_type), authority(kind.key_type)
    folder = lab.path("keys/x").parent
    paths = folder / "gate.pem", folder / "gate.key", folder / "ca.pem"
    for path, octets in zip(paths, (own.certificate, own.private_key, trusted.certificate), strict=True):
        path.write_bytes(octets)
        path.chmod(0o600)
    return paths


def rhp(lab: Lab, namespace: Namespace, kind: Kind) -> Background:
    """An rhp node as the gateway, with one connection for all."""
    if kind.key_type is None:
        one = psk(GATE, f"*.{DOMAIN}", PSK.decode(), **_SETTINGS)
    else:
        cert, key, trusted = files(lab, kind)
        one = pubkey(GATE, f"*.{DOMAIN}", cert, key, trusted, **_SETTINGS)
    return _node(lab, namespace, {"gate": one})


def rhp_each(lab: Lab, namespace: Namespace, count: int) -> Background:
    """The same with a connection, and a shared key, for each client."""
    ones = {f"c{number}": psk(GATE, peer(number), PSK.decode(), **_SETTINGS) for number in range(count)}
    return _node(lab, namespace, ones)


def _node(lab: Lab, namespace: Namespace, connections: Table) -> Background:
    interface: Table = {"name": "rhp0", "addresses": ["10.99.0.1/24"]}
    node = RhpNode(namespace, lab.path("rhp"), {"interface": interface, "connections": connections})
    return lab.keep(node).process


def strongswan(lab: Lab, namespace: Namespace, kind: Kind) -> Background:
    """A charon as the gateway, which logs as little as a gateway does that serves many."""
    local, remote = SwanAuth(GATE), SwanAuth(f"*.{DOMAIN}")
    secret: str | None = PSK.decode()
    key: Path | None = None
    if kind.key_type is not None:
        secret = None
        cert, key, trusted = files(lab, kind)
        local = SwanAuth(GATE, "pubkey", (cert,))
        remote = SwanAuth(f"*.{DOMAIN}", "pubkey", (), (trusted,))
    child = SwanChild("net", (BEHIND,), (_CLIENTS_NET,))
    one = SwanConnection("gate", str(GATEWAY), "%any", local, remote, (child,), IKE, secret, key)
    # Its routes need an address of its own within what it protects.
    namespace.address("lo", "10.99.0.1/32")
    settings = {"init_limit_half_open": 0, "cookie_threshold": 0, "block_threshold": 0}
    return lab.keep(StrongSwan(namespace, lab.path("swan"), [one], settings)).process


PROGRAMS: dict[str, Start] = {"rhp": rhp, "strongswan": strongswan}


@contextmanager
def gateway(start: Start, kind: Kind, count: int) -> Iterator[tuple[Background, Callable[[], None]]]:
    """A gateway that serves, and what has all of its clients come up.

    A router is in front of them: the kernel remembers a thousand neighbours.
    """
    with Lab() as lab:
        here, there = cable(lab)
        here.address("eth0", *(f"{client_address(number)}/32" for number in range(count)))
        there.ip(f"route add {_CLIENTS_AT} via 192.0.2.1")
        process = start(lab, there, kind)
        yield process, lambda: asyncio.run(Clients(here, GATEWAY, clients(kind, count), kind).run())


def handshakes_per_second(start: Start, kind: Kind, count: int) -> float:
    """One gateway and all of its clients."""
    with gateway(start, kind, count) as (process, call):
        before = process.processor_seconds()
        call()
        return count / (process.processor_seconds() - before)


def measure() -> dict[str, dict[str, float]]:
    """Both gateways with each kind of handshake."""
    parts = {f"gateway_{kind}": (KINDS[kind], CLIENTS) for kind in KINDS}
    parts[f"gateway_psk_of_{MANY}"] = (KINDS["psk"], MANY)
    return {
        f"{part}_handshakes_per_core_s": {
            name: round(handshakes_per_second(start, kind, count), 1) for name, start in PROGRAMS.items()
        }
        for part, (kind, count) in parts.items()
    }
