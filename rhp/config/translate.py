"""From the model to what the rooms below take: plain settings, the engine's connections, the guard's policy."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from rhp.config.checks import auth_methods, starts
from rhp.config.credentials import Chains
from rhp.config.model import Child, Configuration, Connection
from rhp.crypto.proposal import default_esp_proposals, default_ike_proposals
from rhp.guard.policy import GuardPolicy, PrivateKey, PskSecret
from rhp.guard.secrets import decode_psk
from rhp.ike.config import AuthKind, ChildConfig, ConnectionConfig, EngineConfig, LocalAuth, RemoteAuth
from rhp.node.settings import HubSettings, InterfaceSettings, NodeSettings, StaticMac
from rhp.pki.identity import format_identity

DEFAULT_CHILD = "ethernet"
_OVER_SHARE = 10


def to_settings(configuration: Configuration, folder: Path) -> NodeSettings:
    """The tables [node], [interface] and [hub], and the host names that stand for addresses; paths from `folder`."""
    node, interface, hub = configuration.node, configuration.interface, configuration.hub
    return NodeSettings(
        port=node.port,
        natt_port=node.natt_port,
        lanes=None if node.lanes == "auto" else node.lanes,
        state_dir=folder / node.state_dir,
        run_dir=folder / node.run_dir,
        log_level=node.log_level,
        interface=InterfaceSettings(
            name=interface.name,
            addresses=tuple(interface.addresses),
            mtu=None if interface.mtu == "auto" else interface.mtu,
            bridge=interface.bridge,
            mac=interface.mac,
        ),
        hub=HubSettings(
            mac_ageing=hub.mac_ageing,
            isolate=hub.isolate,
            arp_proxy=hub.arp_proxy,
            static=tuple(StaticMac(entry.mac, entry.connection) for entry in hub.static),
            mss_clamp=hub.mss_clamp,
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
    )


def to_policy(configuration: Configuration, folder: Path) -> GuardPolicy:
    """Which secrets belong to which connection, by file where they stand in one, and which interface is ours."""
    psks: list[PskSecret] = []
    keys: list[PrivateKey] = []
    for name, connection in configuration.connections.items():
        ours, theirs = auth_methods(connection)
        if "psk" in (ours, theirs):
            psks.append(_psk(name, connection, folder))
        if ours == "pubkey" and connection.local.key is not None:
            file = str(folder / connection.local.key)
            keys.append(PrivateKey(name, file=file, rsa_pss=connection.local.rsa_pss))
    bridge = configuration.interface.bridge
    return GuardPolicy(
        psks=tuple(psks),
        keys=tuple(keys),
        interfaces=(configuration.interface.name,),
        bridges=(bridge,) if bridge else (),
    )


def _psk(name: str, connection: Connection, folder: Path) -> PskSecret:
    local_id = format_identity(connection.local.id) if connection.local.id is not None else "%any"
    remote_id = connection.remote.id.text if connection.remote.id is not None else "%any"
    if connection.psk is not None:
        return PskSecret(name, local_id, remote_id, key=decode_psk(connection.psk.get_secret_value().encode()))
    return PskSecret(name, local_id, remote_id, file=str(folder / str(connection.psk_file)))


def _connection(name: str, connection: Connection, chains: Chains, port: int) -> ConnectionConfig:
    ours, theirs = auth_methods(connection)
    if connection.local.id is None or connection.remote.id is None:
        raise ValueError(f"connections.{name} has no ids")  # The checks come first, so this is a mistake of ours.
    over = connection.over_time
    if over is None:
        over = connection.rekey_time // _OVER_SHARE
    named = any(isinstance(remote, str) for remote in connection.remote_addrs)
    networks = tuple(one for one in connection.remote_addrs if isinstance(one, IPv4Network | IPv6Network))
    children = connection.children or {DEFAULT_CHILD: Child()}
    return ConnectionConfig(
        name=name,
        local=LocalAuth(_kind(ours), connection.local.id, chains.own),
        remote=RemoteAuth(_kind(theirs), connection.remote.id, chains.cas),
        proposals=tuple(connection.proposals) or default_ike_proposals(),
        children=tuple(_child(child_name, child) for child_name, child in children.items()),
        local_addrs=tuple(connection.local_addrs),
        # A peer known by its host name may call from anywhere: the name is only looked up when we call.
        remote_addrs=() if named else networks,
        local_port=port,
        remote_port=connection.remote_port,
        remote_natt_port=connection.remote_natt_port,
        encapsulation=connection.encapsulation,
        start="initiate" if starts(connection) == "initiate" else "wait",
        dpd_delay=float(connection.dpd_delay),
        rekey_time=float(connection.rekey_time),
        life_time=float(connection.rekey_time + over) if connection.rekey_time else 0.0,
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
        replay_window=child.replay_window,
    )


def _kind(method: str) -> AuthKind:
    return "pubkey" if method == "pubkey" else "psk"
