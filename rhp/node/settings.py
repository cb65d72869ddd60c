"""What a node needs to know beside the engine's connections: plain data, made by rhp.config, read by rhp.node.

No pydantic and no `cryptography` here, so that every part of the node, and the tests, can build one by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Literal

from rhp.node.paths import CONTROL_SOCKET, DEFAULT_RUN_DIR, DEFAULT_STATE_DIR


@dataclass(frozen=True, slots=True)
class StaticMac:
    """One MAC address (6 octets) pinned to a connection's hub port."""

    mac: bytes
    connection: str


@dataclass(frozen=True, slots=True)
class InterfaceSettings:
    """The one TAP. `mtu` None follows the suites; `mac` None makes one that stays the same over restarts."""

    name: str = "rhp0"
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    mtu: int | None = None
    bridge: str | None = None
    mac: bytes | None = None


@dataclass(frozen=True, slots=True)
class HubSettings:
    """The virtual hub. `mac_ageing` in seconds; `mss_clamp` "auto" follows the suite, False is off, else octets."""

    mac_ageing: int = 600
    isolate: bool = False
    arp_proxy: bool = True
    static: tuple[StaticMac, ...] = ()
    mss_clamp: int | bool | Literal["auto"] = "auto"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """The whole of `[node]`, `[interface]` and `[hub]`. `lanes` None means by the number of cores.

    `hosts` maps a connection to the host names in its remote_addrs, which are resolved at every initiation.
    """

    port: int = 500
    natt_port: int = 4500
    lanes: int | None = None
    state_dir: Path = DEFAULT_STATE_DIR
    run_dir: Path = DEFAULT_RUN_DIR
    log_level: str = "info"
    interface: InterfaceSettings = field(default_factory=InterfaceSettings)
    hub: HubSettings = field(default_factory=HubSettings)
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def control_socket(self) -> Path:
        """Where `rhp status` and its siblings find the running node."""
        return self.run_dir / CONTROL_SOCKET
