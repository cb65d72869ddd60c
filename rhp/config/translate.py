"""From the model to what the rooms below take: plain settings, the engine's connections, the guard's policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from rhp.config.credentials import Chains
from rhp.config.model import Child, Configuration, Connection, Firewall, Hook, Hub, Interface, Peering, Pool, Realm
from rhp.config.peering_checks import auth_methods, starts
from rhp.config.reach import reach
from rhp.crypto.proposal import default_esp_proposals, default_ike_proposals
from rhp.guard.brief import Identities
from rhp.guard.keyfile import decode_psk
from rhp.guard.policy import FirewallPolicy, GuardPolicy, HookPolicy, PpkSecret, PrivateKey, PskSecret
from rhp.ike.config import AuthKind, ChildConfig, ConnectionConfig, EngineConfig, LocalAuth, Ppk, RemoteAuth
from rhp.node.metrics.address import MetricsAddress, UnixAddress
from rhp.node.settings import HubSettings, InterfaceSettings, NamedHubSettings, NodeSettings, StaticMac
from rhp.pki.identity import ANONYMOUS, format_identity, parse_identity
from rhp.realm.pattern import IdentityPattern
from rhp.realm.policy import PortPolicy
from rhp.realm.pool import PoolConfig

DEFAULT_CHILD = "ethernet"
_OVER_SHARE = 10
_MOST_LANES = 127


def to_settings(configuration: Configuration, folder: Path) -> NodeSettings:
    """The node, its interfaces and hubs, and the host names that stand for addresses; paths from `folder`."""
    node = configuration.node
    return NodeSettings(
        port=node.port,
        natt_port=node.natt_port,
        path_mtu=None if node.path_mtu == "auto" else node.path_mtu,
        lanes=None if node.lanes == "auto" else node.lanes,
        cpus=tuple(node.cpus),
        spare_lanes=node.spare_lanes,
        steering=node.steering,
        esp_provider=node.esp_provider,
        crypto_providers=tuple(node.crypto_providers),
        event_sinks=tuple(node.event_sinks),
        state_dir=folder / node.state_dir,
        run_dir=folder / node.run_dir,
        log_level=node.log_level,
        log_levels=node.log_levels,
        log_format=node.log_format,
        hooked=tuple(dict.fromkeys(event for hook in configuration.hooks for event in hook.on)),
        audit_file=folder / node.audit_file if node.audit_file is not None else None,
        metrics=_place(node.metrics, folder),
        interface=_interface(configuration.interface.name, configuration.interface),
        hub=_hub(configuration.hub),
        hubs=tuple(
            NamedHubSettings(name, _interface(hub.device(name), hub.interface), _hub(hub))
            for name, hub in configuration.hubs.items()
        ),
        hosts={
            name: tuple(remote for remote in connection.remote_addrs if isinstance(remote, str))
            for name, connection in configuration.connections.items()
            if any(isinstance(remote, str) for remote in connection.remote_addrs)
        },
    )


def _interface(name: str, interface: Interface) -> InterfaceSettings:
    return InterfaceSettings(
        name=name,
        addresses=tuple(interface.addresses),
        mtu=None if interface.mtu == "auto" else interface.mtu,
        bridge=interface.bridge,
        mac=interface.mac,
        queue_length=interface.queue_length,
        segments=interface.segments,
    )


def _hub(hub: Hub) -> HubSettings:
    return HubSettings(
        mac_ageing=hub.mac_ageing,
        isolate=hub.isolate,
        arp_proxy=hub.arp_proxy,
        static=tuple(StaticMac(entry.mac, entry.connection) for entry in hub.static),
        mss_clamp=hub.mss_clamp,
        oversize=hub.oversize,
        ordering=hub.ordering,
    )


def to_engine(configuration: Configuration, chains: dict[str, Chains]) -> EngineConfig:
    """Every connection and every realm as the engine wants it."""
    interfaces = [interface for _, _, interface in configuration.interfaces()]
    return EngineConfig(
        connections=tuple(
            _peering(place[-1], peering, chains[place[-1]], configuration.node.port)
            for place, peering in configuration.peerings()
        ),
        natt_port=configuration.node.natt_port,
        pools=tuple(_pool(name, pool, interfaces) for name, pool in configuration.pools.items()),
        extensions=tuple(configuration.node.extensions),
    )


def to_policy(configuration: Configuration, folder: Path) -> GuardPolicy:
    """Which secrets belong to which connection, by file where they stand in one, and which interface is ours."""
    psks: list[PskSecret] = []
    keys: list[PrivateKey] = []
    ppks: list[PpkSecret] = []
    for (_, name), peering in configuration.peerings():
        ours, theirs = auth_methods(peering)
        if "psk" in (ours, theirs):
            psks += _psks(name, peering, folder)
        if peering.ppk_id is not None:
            ppks.append(_ppk(name, peering, folder))
        if ours == "pubkey" and peering.local.key is not None:
            file = str(folder / peering.local.key)
            keys.append(PrivateKey(name, file=file, rsa_pss=peering.local.rsa_pss))
    interfaces = list(configuration.interfaces())
    return GuardPolicy(
        psks=tuple(psks),
        keys=tuple(keys),
        ppks=tuple(ppks),
        interfaces=tuple(device for _, device, _ in interfaces),
        bridges=tuple(one.bridge for _, _, one in interfaces if one.bridge),
        assigned=any(connection.request_addresses for connection in configuration.connections.values()),
        # Beside the node's folder and not in it, for what stands there decides what becomes of resolv.conf.
        state_dir=str(guard_folder(folder / configuration.node.state_dir)),
        addresses=tuple(str(address) for _, _, one in interfaces for address in one.addresses),
        ports=(configuration.node.port, configuration.node.natt_port),
        reach=reach(configuration),
        queue_lengths=tuple(one.queue_length for _, _, one in interfaces if one.queue_length is not None),
        segments=tuple(one.segments for _, _, one in interfaces if one.segments is not None),
        lanes=_MOST_LANES,
        by_station=configuration.node.steering == "station",
        firewall=_firewall(configuration.firewall),
        hooks=tuple(map(_hook, configuration.hooks)),
    )


def _hook(hook: Hook) -> HookPolicy:
    return HookPolicy(tuple(hook.on), tuple(hook.command), float(hook.timeout), hook.privileged, hook.user)


def _firewall(firewall: Firewall) -> FirewallPolicy:
    return FirewallPolicy(firewall.forward, tuple(map(str, firewall.masquerade)), firewall.isolate)


def to_identities(configuration: Configuration) -> Identities:
    """Whom the two processes run as."""
    node = configuration.node
    return Identities(node.user, node.group, node.guard_user)


def guard_folder(state_dir: Path) -> Path:
    """The guard's folder that goes with a node's."""
    return state_dir.with_name(f"{state_dir.name}-guard")


def _psks(name: str, peering: Peering, folder: Path) -> list[PskSecret]:
    """The key for everybody, where there is one, and those for some."""
    local_id = format_identity(peering.local.id) if peering.local.id is not None else "%any"
    remote_id = peering.remote.id.text if peering.remote.id is not None else "%any"
    ours, theirs = auth_methods(peering)
    made = partial(PskSecret, name, local_id, proves=ours == "psk", checks=theirs == "psk")
    found = [made(who, file=str(folder / file)) for who, file in peering.psk_files.items()]
    if peering.psk is not None:
        found.append(made(remote_id, key=decode_psk(peering.psk.get_secret_value().encode())))
    elif peering.psk_file is not None:
        found.append(made(remote_id, file=str(folder / peering.psk_file)))
    return found


def _ppk(name: str, peering: Peering, folder: Path) -> PpkSecret:
    ppk_id = str(peering.ppk_id).encode()
    key = decode_psk(peering.ppk.get_secret_value().encode(), ppk=True) if peering.ppk is not None else None
    return PpkSecret(name, ppk_id, key, str(folder / str(peering.ppk_file)) if key is None else None)


def _peering(name: str, peering: Peering, chains: Chains, port: int) -> ConnectionConfig:
    common = _common(name, peering, chains, port)
    if isinstance(peering, Realm):
        return replace(common, match=tuple(peering.match) or (common.remote.pattern,))
    return _called(common, peering) if isinstance(peering, Connection) else common


def _called(common: ConnectionConfig, connection: Connection) -> ConnectionConfig:
    """What only a connection has: where its peer is, and how to call it."""
    named = any(isinstance(remote, str) for remote in connection.remote_addrs)
    networks = tuple(one for one in connection.remote_addrs if isinstance(one, IPv4Network | IPv6Network))
    return replace(
        common,
        local_addrs=tuple(connection.local_addrs),
        # A peer known by its host name may call from anywhere: the name is only looked up when we call.
        remote_addrs=() if named else networks,
        remote_port=connection.remote_port,
        remote_natt_port=connection.remote_natt_port,
        childless=connection.childless,
        follow_redirects=connection.follow_redirects,
        start="initiate" if starts(connection) == "initiate" else "wait",
        request_addresses=connection.request_addresses,
    )


def _common(name: str, peering: Peering, chains: Chains, port: int) -> ConnectionConfig:
    ours, theirs = auth_methods(peering)
    local_id = ANONYMOUS if ours == "null" else peering.local.id
    remote_id = peering.remote.id if isinstance(peering, Connection) else IdentityPattern.parse("%any")
    if theirs == "null":
        remote_id = IdentityPattern.parse("%null")
    if local_id is None or remote_id is None:
        raise ValueError(f"{name} has no ids")  # The checks come first, so this is a mistake of ours.
    over = peering.over_time
    if over is None:
        over = peering.rekey_time // _OVER_SHARE
    children = peering.children or {DEFAULT_CHILD: Child()}
    return ConnectionConfig(
        name=name,
        local=LocalAuth(_kind(ours), local_id, chains.own),
        remote=RemoteAuth(
            _kind(theirs), remote_id, chains.trust.anchors, chains.trust.intermediates, chains.trust.crls
        ),
        proposals=tuple(peering.proposals) or default_ike_proposals(),
        children=tuple(_child(child_name, child) for child_name, child in children.items()),
        local_port=port,
        encapsulation=peering.encapsulation,
        resumption=peering.resumption,
        mobike=peering.mobike,
        dpd_delay=float(peering.dpd_delay),
        unique=peering.unique,
        rekey_time=float(peering.rekey_time),
        life_time=float(peering.rekey_time + over) if peering.rekey_time else 0.0,
        pools=tuple(peering.pools),
        reauth_time=float(peering.reauth_time),
        ppk=Ppk(peering.ppk_id.encode(), peering.ppk_required) if peering.ppk_id is not None else None,
        lanes=None if peering.lanes == "auto" else peering.lanes,
        policy=PortPolicy(
            hub=peering.hub or "",
            isolate=peering.isolate,
            mss_clamp=peering.mss_clamp,
            path_mtu=None if peering.path_mtu == "auto" else peering.path_mtu,
        ),
    )


def _place(address: MetricsAddress | None, folder: Path) -> MetricsAddress | None:
    return UnixAddress(folder / address.path) if isinstance(address, UnixAddress) else address


def _pool(name: str, pool: Pool, interfaces: Iterable[Interface]) -> PoolConfig:
    first = pool.addresses[0]
    ours = [one for interface in interfaces for one in interface.addresses]
    # On an Ethernet the link's own prefix counts, which the interface tells best; else how the pool was written.
    links = (one.network.prefixlen for one in ours if first.span.first in one.network)
    alone = 32 if first.span.first.version == 4 else 128
    return PoolConfig(
        name=name,
        spans=tuple(one.span for one in pool.addresses),
        prefix=next(links, first.prefix or alone),
        dns=tuple(pool.dns),
        nbns=tuple(pool.nbns),
        subnets=tuple(pool.subnets),
        domains=tuple(pool.domains),
        fixed=tuple((parse_identity(who), address) for who, address in pool.fixed.items()),
        reserved=frozenset(one.ip for one in ours),
    )


def _child(name: str, child: Child) -> ChildConfig:
    return ChildConfig(
        name=name,
        mode=child.mode,
        local_ts=tuple(child.local_ts),
        remote_ts=tuple(child.remote_ts),
        proposals=tuple(child.esp_proposals) or default_esp_proposals(),
        rekey_time=float(child.rekey_time),
        life_time=float(child.rekey_time + child.rekey_time // _OVER_SHARE),
        rekey_bytes=child.rekey_bytes,
        life_bytes=child.rekey_bytes + child.rekey_bytes // _OVER_SHARE,
        rekey_packets=child.rekey_packets,
        life_packets=child.rekey_packets + child.rekey_packets // _OVER_SHARE,
        replay_window=child.replay_window,
    )


def _kind(method: str) -> AuthKind:
    return "pubkey" if method == "pubkey" else "null" if method == "null" else "psk"
