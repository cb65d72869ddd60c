"""From the model to what the rooms below take: plain settings, the engine's connections, the guard's policy."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from rhp.config.checks import auth_methods, starts
from rhp.config.credentials import Chains
from rhp.config.model import Child, Configuration, Connection, Interface, Pool
from rhp.config.reach import reach
from rhp.crypto.proposal import default_esp_proposals, default_ike_proposals
from rhp.guard.brief import Identities
from rhp.guard.policy import GuardPolicy, PpkSecret, PrivateKey, PskSecret
from rhp.guard.secrets import decode_psk
from rhp.ike.config import AuthKind, ChildConfig, ConnectionConfig, EngineConfig, LocalAuth, Ppk, RemoteAuth
from rhp.node.metrics.address import MetricsAddress, UnixAddress
from rhp.node.settings import HubSettings, InterfaceSettings, NodeSettings, StaticMac
from rhp.pki.identity import ANONYMOUS, format_identity, parse_identity
from rhp.realm.pattern import IdentityPattern
from rhp.realm.pool import PoolConfig

DEFAULT_CHILD = "ethernet"
_OVER_SHARE = 10
_MOST_LANES = 127


def to_settings(configuration: Configuration, folder: Path) -> NodeSettings:
    """The tables [node], [interface] and [hub], and the host names that stand for addresses; paths from `folder`."""
    node, interface, hub = configuration.node, configuration.interface, configuration.hub
    return NodeSettings(
        port=node.port,
        natt_port=node.natt_port,
        path_mtu=None if node.path_mtu == "auto" else node.path_mtu,
        lanes=None if node.lanes == "auto" else node.lanes,
        cpus=tuple(node.cpus),
        spare_lanes=node.spare_lanes,
        steering=node.steering,
        state_dir=folder / node.state_dir,
        run_dir=folder / node.run_dir,
        log_level=node.log_level,
        log_levels=node.log_levels,
        log_format=node.log_format,
        audit_file=folder / node.audit_file if node.audit_file is not None else None,
        metrics=_place(node.metrics, folder),
        interface=InterfaceSettings(
            name=interface.name,
            addresses=tuple(interface.addresses),
            mtu=None if interface.mtu == "auto" else interface.mtu,
            bridge=interface.bridge,
            mac=interface.mac,
            queue_length=interface.queue_length,
            segments=interface.segments,
        ),
        hub=HubSettings(
            mac_ageing=hub.mac_ageing,
            isolate=hub.isolate,
            arp_proxy=hub.arp_proxy,
            static=tuple(StaticMac(entry.mac, entry.connection) for entry in hub.static),
            mss_clamp=hub.mss_clamp,
            oversize=hub.oversize,
            ordering=hub.ordering,
        ),
        hosts={
            name: tuple(remote for remote in connection.remote_addrs if isinstance(remote, str))
            for name, connection in configuration.connections.items()
            if any(isinstance(remote, str) for remote in connection.remote_addrs)
        },
    )


def to_engine(configuration: Configuration, chains: dict[str, Chains]) -> EngineConfig:
    """Every connection as the engine wants it."""
    return EngineConfig(
        connections=tuple(
            _connection(name, connection, chains[name], configuration.node.port)
            for name, connection in configuration.connections.items()
        ),
        natt_port=configuration.node.natt_port,
        pools=tuple(_pool(name, pool, configuration.interface) for name, pool in configuration.pools.items()),
        extensions=tuple(configuration.node.extensions),
    )


def to_policy(configuration: Configuration, folder: Path) -> GuardPolicy:
    """Which secrets belong to which connection, by file where they stand in one, and which interface is ours."""
    psks: list[PskSecret] = []
    keys: list[PrivateKey] = []
    ppks: list[PpkSecret] = []
    for name, connection in configuration.connections.items():
        ours, theirs = auth_methods(connection)
        if "psk" in (ours, theirs):
            psks.append(_psk(name, connection, folder))
        if connection.ppk_id is not None:
            ppks.append(_ppk(name, connection, folder))
        if ours == "pubkey" and connection.local.key is not None:
            file = str(folder / connection.local.key)
            keys.append(PrivateKey(name, file=file, rsa_pss=connection.local.rsa_pss))
    bridge = configuration.interface.bridge
    return GuardPolicy(
        psks=tuple(psks),
        keys=tuple(keys),
        ppks=tuple(ppks),
        interfaces=(configuration.interface.name,),
        bridges=(bridge,) if bridge else (),
        assigned=any(connection.request_addresses for connection in configuration.connections.values()),
        # Beside the node's folder and not in it, for what stands there decides what becomes of resolv.conf.
        state_dir=str(guard_folder(folder / configuration.node.state_dir)),
        addresses=tuple(map(str, configuration.interface.addresses)),
        ports=(configuration.node.port, configuration.node.natt_port),
        reach=reach(configuration),
        lanes=_MOST_LANES,
        by_station=configuration.node.steering == "station",
    )


def to_identities(configuration: Configuration) -> Identities:
    """Whom the two processes run as."""
    node = configuration.node
    return Identities(node.user, node.group, node.guard_user)


def guard_folder(state_dir: Path) -> Path:
    """The guard's folder that goes with a node's."""
    return state_dir.with_name(f"{state_dir.name}-guard")


def _psk(name: str, connection: Connection, folder: Path) -> PskSecret:
    local_id = format_identity(connection.local.id) if connection.local.id is not None else "%any"
    remote_id = connection.remote.id.text if connection.remote.id is not None else "%any"
    ours, theirs = auth_methods(connection)
    key = decode_psk(connection.psk.get_secret_value().encode()) if connection.psk is not None else None
    file = str(folder / str(connection.psk_file)) if key is None else None
    return PskSecret(name, local_id, remote_id, key, file, proves=ours == "psk", checks=theirs == "psk")


def _ppk(name: str, connection: Connection, folder: Path) -> PpkSecret:
    ppk_id = str(connection.ppk_id).encode()
    key = decode_psk(connection.ppk.get_secret_value().encode()) if connection.ppk is not None else None
    return PpkSecret(name, ppk_id, key, str(folder / str(connection.ppk_file)) if key is None else None)


def _connection(name: str, connection: Connection, chains: Chains, port: int) -> ConnectionConfig:
    ours, theirs = auth_methods(connection)
    local_id = ANONYMOUS if ours == "null" else connection.local.id
    remote_id = IdentityPattern.parse("%null") if theirs == "null" else connection.remote.id
    if local_id is None or remote_id is None:
        raise ValueError(f"connections.{name} has no ids")  # The checks come first, so this is a mistake of ours.
    over = connection.over_time
    if over is None:
        over = connection.rekey_time // _OVER_SHARE
    named = any(isinstance(remote, str) for remote in connection.remote_addrs)
    networks = tuple(one for one in connection.remote_addrs if isinstance(one, IPv4Network | IPv6Network))
    children = connection.children or {DEFAULT_CHILD: Child()}
    return ConnectionConfig(
        name=name,
        local=LocalAuth(_kind(ours), local_id, chains.own),
        remote=RemoteAuth(_kind(theirs), remote_id, chains.cas),
        proposals=tuple(connection.proposals) or default_ike_proposals(),
        children=tuple(_child(child_name, child) for child_name, child in children.items()),
        local_addrs=tuple(connection.local_addrs),
        # A peer known by its host name may call from anywhere: the name is only looked up when we call.
        remote_addrs=() if named else networks,
        local_port=port,
        remote_port=connection.remote_port,
        remote_natt_port=connection.remote_natt_port,
        encapsulation=connection.encapsulation,
        childless=connection.childless,
        resumption=connection.resumption,
        follow_redirects=connection.follow_redirects,
        mobike=connection.mobike,
        start="initiate" if starts(connection) == "initiate" else "wait",
        dpd_delay=float(connection.dpd_delay),
        unique=connection.unique,
        rekey_time=float(connection.rekey_time),
        life_time=float(connection.rekey_time + over) if connection.rekey_time else 0.0,
        pools=tuple(connection.pools),
        request_addresses=connection.request_addresses,
        reauth_time=float(connection.reauth_time),
        ppk=Ppk(connection.ppk_id.encode(), connection.ppk_required) if connection.ppk_id is not None else None,
    )


def _place(address: MetricsAddress | None, folder: Path) -> MetricsAddress | None:
    return UnixAddress(folder / address.path) if isinstance(address, UnixAddress) else address


def _pool(name: str, pool: Pool, interface: Interface) -> PoolConfig:
    first = pool.addresses[0]
    # On an Ethernet the link's own prefix counts, which the interface tells best; else how the pool was written.
    links = (one.network.prefixlen for one in interface.addresses if first.span.first in one.network)
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
        reserved=frozenset(one.ip for one in interface.addresses),
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
