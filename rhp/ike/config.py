"""What the engine is told: connections, their children, and the limits of the whole engine.

These are plain frozen values which `rhp.config` makes out of the configuration file. Nothing here is secret: keys stay
with the guard and are named by their connection. All times are seconds.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from rhp.crypto.proposal import EspProposal, IkeProposal
from rhp.ike.path import IKE_PORT, NATT_PORT
from rhp.pki.identity import IdentityPattern
from rhp.wire.identity import Identity
from rhp.wire.ts import TrafficSelector

IpNetwork = IPv4Network | IPv6Network
Mode = Literal["ethernet", "tunnel"]
AuthKind = Literal["psk", "pubkey"]
Encapsulation = Literal["udp", "auto"]
Start = Literal["initiate", "wait"]


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """One Child SA of a connection.

    `mode` "ethernet" is EtherIP (protocol 97) in transport mode, whose selectors are any address and protocol 97 and
    need not be given; "tunnel" is IP in tunnel mode between `local_ts` and `remote_ts`. The Child SA is replaced
    `rekey_time` seconds after it was made (less the connection's jitter) and ends after `life_time`. `replay_window`
    counts packets, 32 to 4096.
    """

    name: str
    mode: Mode
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]
    proposals: tuple[EspProposal, ...]
    rekey_time: float = 3600.0
    life_time: float = 3960.0
    replay_window: int = 1024


@dataclass(frozen=True, slots=True)
class LocalAuth:
    """Who we are: `identity` is sent as our ID payload; `chain` are our certificates in DER, the end entity first."""

    method: AuthKind
    identity: Identity
    chain: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteAuth:
    """Who the peer has to be: its ID matches `pattern`; its chain, if any, ends at one of `cas` (DER)."""

    method: AuthKind
    pattern: IdentityPattern
    cas: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Retransmit:
    """`tries` transmissions in all; the first waits `base` seconds, each further one twice as long up to `longest`.

    The default waits 0.5, 1, 2, 4, 8 and 16 s, so that a silent peer is given up after 31.5 s (RFC 7296 section 2.4).
    """

    tries: int = 6
    base: float = 0.5
    longest: float = 16.0

    def wait(self, sent: int) -> float:
        """Seconds to wait for an answer after the transmission number `sent` (from 1)."""
        return min(self.base * 2.0 ** min(sent - 1, 32), self.longest)


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """One peer, or one kind of peer, that we talk to.

    `local_addrs` and `remote_addrs` restrict where the connection serves as responder; empty means any. `encapsulation`
    "udp" forces UDP encapsulation by a NAT_DETECTION_SOURCE_IP that cannot match, "auto" takes raw ESP where there is
    no NAT. `jitter` is the share of a soft lifetime by which it is shortened at random. `dpd_delay` 0 turns the
    liveness check off, `keepalive` 0 the NAT keep-alives, a lifetime of 0 that lifetime.
    """

    name: str
    local: LocalAuth
    remote: RemoteAuth
    proposals: tuple[IkeProposal, ...]
    children: tuple[ChildConfig, ...]
    local_addrs: tuple[IpNetwork, ...] = ()
    remote_addrs: tuple[IpNetwork, ...] = ()
    local_port: int = IKE_PORT
    remote_port: int = IKE_PORT
    remote_natt_port: int = NATT_PORT
    encapsulation: Encapsulation = "udp"
    start: Start = "wait"
    dpd_delay: float = 90.0
    keepalive: float = 20.0
    rekey_time: float = 14400.0
    life_time: float = 15840.0
    jitter: float = 0.1
    retransmit: Retransmit = field(default_factory=Retransmit)

    def child(self, name: str) -> ChildConfig | None:
        """The child of that name, or None."""
        return next((child for child in self.children if child.name == name), None)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """The connections in the order in which they are considered, and the engine's own limits.

    From `cookie_threshold` half-open SAs on, an IKE_SA_INIT has to bring a cookie (RFC 7296 section 2.6); from
    `half_open_limit` on it is dropped. An SA that is not authenticated after `half_open_timeout` is forgotten. At most
    `answer_rate` unprotected answers a second are sent (cookies apart). `natt_port` is our own NAT-T port.
    """

    connections: tuple[ConnectionConfig, ...] = ()
    cookie_threshold: int = 300
    cookie_lifetime: float = 60.0
    half_open_limit: int = 5000
    half_open_timeout: float = 35.0
    answer_rate: int = 20
    natt_port: int = NATT_PORT
    max_children: int = 64

    def connection(self, name: str) -> ConnectionConfig | None:
        """The connection of that name, or None."""
        return next((connection for connection in self.connections if connection.name == name), None)
