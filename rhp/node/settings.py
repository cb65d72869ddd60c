"""What a node needs to know beside the engine's connections: plain data, made by rhp.config, read by rhp.node.

No pydantic and no `cryptography` here, so that every part of the node, and the tests, can build one by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Literal

from rhp.node.metrics.address import MetricsAddress
from rhp.node.paths import CONTROL_SOCKET, DEFAULT_RUN_DIR, DEFAULT_STATE_DIR


@dataclass(frozen=True, slots=True)
class StaticMac:
    """One MAC address (6 octets) pinned to a connection's hub port."""

    mac: bytes
    connection: str


@dataclass(frozen=True, slots=True)
class InterfaceSettings:
    """The one TAP. `mtu` None follows the paths; `mac` None makes one that stays the same over restarts.

    `queue_length` in frames and `segments` in one super-frame are the kernel's own where they are None.
    """

    name: str = "rhp0"
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    mtu: int | None = None
    bridge: str | None = None
    mac: bytes | None = None
    queue_length: int | None = None
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class HubSettings:
    """The virtual hub. `mac_ageing` in seconds; `mss_clamp` "auto" follows the path, False is off, else octets.

    `oversize` says what becomes of frames that are too long for a path, `ordering` of those that overtake others or
    are overtaken on their way here.
    """

    mac_ageing: int = 600
    isolate: bool = False
    arp_proxy: bool = True
    static: tuple[StaticMac, ...] = ()
    mss_clamp: int | bool | Literal["auto"] = "auto"
    oversize: Literal["fragment", "answer"] = "fragment"
    ordering: Literal["off", "drop", "hold"] = "off"


@dataclass(frozen=True, slots=True)
class NamedHubSettings:
    """A hub beside the node's own, `[hubs.NAME]`: what connections and realms of that `policy.hub` are in."""

    name: str
    interface: InterfaceSettings
    hub: HubSettings


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """The whole of `[node]`, `[interface]`, `[hub]` and `[hubs]`.

    `lanes` None means one for each of `cpus`, or without them by the number of cores;
    `spare_lanes` may be added while the node runs. `steering` says whether the
    frames of a flow or those to a station keep to one lane.

    `esp_provider`, `crypto_providers` and `event_sinks` are names of entry points, see `rhp.spi.find`.

    `path_mtu` None finds out how long outer packets may be; a number is taken for it, whatever ICMP says.

    `log_levels` are those of subsystems that differ from `log_level`; `log_format` is one of rhp.node.logforms.FORMS.
    `metrics` says where they are served, None for not at all; so does `audit_file`.

    `hooked` are the events of `rhp.node.hooks` that the guard runs something for.

    `hosts` maps a connection to the host names in its remote_addrs, which are resolved at every initiation.
    """

    port: int = 500
    natt_port: int = 4500
    path_mtu: int | None = None
    lanes: int | None = None
    cpus: tuple[int, ...] = ()
    spare_lanes: int = 0
    steering: Literal["flow", "station"] = "flow"
    esp_provider: str = "fast"
    crypto_providers: tuple[str, ...] = ()
    event_sinks: tuple[str, ...] = ()
    state_dir: Path = DEFAULT_STATE_DIR
    run_dir: Path = DEFAULT_RUN_DIR
    log_level: str = "info"
    log_levels: dict[str, str] = field(default_factory=dict)
    log_format: str = "auto"
    audit_file: Path | None = None
    hooked: tuple[str, ...] = ()
    metrics: MetricsAddress | None = None
    interface: InterfaceSettings = field(default_factory=InterfaceSettings)
    hub: HubSettings = field(default_factory=HubSettings)
    hubs: tuple[NamedHubSettings, ...] = ()
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def control_socket(self) -> Path:
        """Where `rhp status` and its siblings find the running node."""
        return self.run_dir / CONTROL_SOCKET
