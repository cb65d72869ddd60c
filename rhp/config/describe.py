"""What a node would do with a configuration, in prose for `rhp config check`."""

from __future__ import annotations

from collections.abc import Iterator

from rhp.config.loading import Loaded
from rhp.ike.config import ChildConfig, ConnectionConfig
from rhp.node.selectors import format_selectors
from rhp.node.settings import InterfaceSettings
from rhp.pki.identity import format_identity


def describe(loaded: Loaded) -> Iterator[str]:
    """Give the lines: the interface, the ports, then each connection with its children."""
    settings = loaded.settings
    yield f"interface {settings.interface.name}: {_interface(settings.interface)}"
    yield f"listens on UDP ports {settings.port} and {settings.natt_port}; run folder {settings.run_dir}"
    for connection in loaded.engine.connections:
        yield f"connection {connection.name}: {_connection(connection, loaded.settings.hosts.get(connection.name, ()))}"
        for child in connection.children:
            yield f"  child {child.name}: {_child(child)}"


def _interface(interface: InterfaceSettings) -> str:
    parts = [", ".join(map(str, interface.addresses)) or "no address"]
    if interface.bridge:
        parts.append(f"joins bridge {interface.bridge}")
    parts.append(f"MTU {interface.mtu or 'as the suite allows'}")
    return "; ".join(parts)


def _connection(connection: ConnectionConfig, hosts: tuple[str, ...]) -> str:
    remotes = ", ".join([*hosts, *(_short(str(net)) for net in connection.remote_addrs)]) or "any address"
    verb = f"calls {remotes}" if connection.start == "initiate" else f"waits for {remotes}"
    proofs = {"psk": "a shared key", "pubkey": "a certificate"}
    us, them = format_identity(connection.local.identity), connection.remote.pattern.text
    return (
        f"{verb}; as {us} with {proofs[connection.local.method]}, "
        f"expects {them} with {proofs[connection.remote.method]}; "
        f"ESP {'in UDP' if connection.encapsulation == 'udp' else 'plain, in UDP behind a NAT'}"
    )


def _child(child: ChildConfig) -> str:
    if child.mode == "ethernet":
        return "Ethernet"
    return f"IP from {format_selectors(child.local_ts)} to {format_selectors(child.remote_ts)}"


def _short(network: str) -> str:
    return network.removesuffix("/32").removesuffix("/128")
