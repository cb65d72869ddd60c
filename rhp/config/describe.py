"""What a node would do with a configuration, in prose for `rhp config check`."""

from __future__ import annotations

from collections.abc import Iterator

from rhp.config.loading import Loaded
from rhp.ike.config import ChildConfig, ConnectionConfig
from rhp.node.selectors import format_selectors
from rhp.node.settings import InterfaceSettings, NodeSettings
from rhp.pki.identity import format_identity
from rhp.realm.pool import PoolConfig


def describe(loaded: Loaded) -> Iterator[str]:
    """Give the lines: the interface, the ports, then each connection with its children."""
    settings = loaded.settings
    yield f"interface {settings.interface.name}: {_interface(settings.interface)}"
    served = f"; metrics at {settings.metrics}" if settings.metrics is not None else ""
    yield f"listens on UDP ports {settings.port} and {settings.natt_port}; run folder {settings.run_dir}{served}"
    for hub in settings.hubs:
        yield f"hub {hub.name}: interface {hub.interface.name}: {_interface(hub.interface)}"
    if parts := _providers(settings):
        yield f"providers: {parts}"
    for pool in loaded.engine.pools:
        yield f"pool {pool.name}: {_pool(pool)}"
    for connection in loaded.engine.connections:
        kind = "realm" if connection.match else "connection"
        yield f"{kind} {connection.name}: {_connection(connection, loaded.settings.hosts.get(connection.name, ()))}"
        for child in connection.children:
            yield f"  child {child.name}: {_child(child)}"


def _providers(settings: NodeSettings) -> str:
    """Those that a file names beside the usual ones."""
    parts = [f"ESP by {settings.esp_provider}"] if settings.esp_provider != NodeSettings().esp_provider else []
    parts += [f"algorithms of {name}" for name in settings.crypto_providers]
    parts += [f"events to {name}" for name in settings.event_sinks]
    return "; ".join(parts)


def _interface(interface: InterfaceSettings) -> str:
    parts = [", ".join(map(str, interface.addresses)) or "no address"]
    if interface.bridge:
        parts.append(f"joins bridge {interface.bridge}")
    parts.append(f"MTU {interface.mtu or 'as path and suite allow'}")
    return "; ".join(parts)


def _connection(connection: ConnectionConfig, hosts: tuple[str, ...]) -> str:
    remotes = ", ".join([*hosts, *(_short(str(net)) for net in connection.remote_addrs)]) or "any address"
    verb = f"calls {remotes}" if connection.start == "initiate" else f"waits for {remotes}"
    proofs = {"psk": "a shared key", "pubkey": "a certificate", "null": "no proof at all"}
    ppk = f"; with the PPK {connection.ppk.ppk_id.decode()}" if connection.ppk is not None else ""
    if connection.ppk is not None and not connection.ppk.required:
        ppk += " where the peer has it"
    us, them = format_identity(connection.local.identity), connection.expects
    return (
        f"{verb}; as {us} with {proofs[connection.local.method]}, "
        f"expects {them} with {proofs[connection.remote.method]}; "
        f"ESP {'in UDP' if connection.encapsulation == 'udp' else 'plain, in UDP behind a NAT'}{ppk}"
        f"{'; asks for its inner addresses' if connection.request_addresses else ''}"
        f"{'; lends from ' + ', '.join(connection.pools) if connection.pools else ''}"
        f"{'; in hub ' + connection.policy.hub if connection.policy.hub else ''}"
    )


def _child(child: ChildConfig) -> str:
    if child.mode == "ethernet":
        return "Ethernet"
    ours = format_selectors(child.local_ts) or "the address that we are given"
    theirs = format_selectors(child.remote_ts) or "the address that the peer is lent"
    return f"IP from {ours} to {theirs}"


def _pool(pool: PoolConfig) -> str:
    ranges = ", ".join(f"{span.first}-{span.last}" if span.size > 1 else str(span.first) for span in pool.spans)
    parts = [f"lends {ranges}"]
    if pool.fixed:
        parts.append(f"{len(pool.fixed)} of them fixed")
    if pool.dns:
        asked = ", ".join(pool.domains) or "everything"
        parts.append(f"name servers {', '.join(map(str, pool.dns))} for {asked}")
    return "; ".join(parts)


def _short(network: str) -> str:
    return network.removesuffix("/32").removesuffix("/128")
