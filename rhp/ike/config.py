"""What the engine is told: connections, their children, and the limits of the whole engine.

These are plain frozen values which `rhp.config` makes out of the configuration file. Nothing here is secret: keys stay
with the guard and are named by their connection. All times are seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from rhp.crypto.proposal import EspProposal, IkeProposal
from rhp.ike.path import IKE_PORT, NATT_PORT, IpNetwork
from rhp.realm.pattern import IdentityPattern
from rhp.realm.policy import OWN_HUB, PortPolicy
from rhp.realm.pool import PoolConfig
from rhp.wire.identity import Identity
from rhp.wire.ts import TrafficSelector

Mode = Literal["ethernet", "tunnel"]
AuthKind = Literal["psk", "pubkey", "null"]
Encapsulation = Literal["udp", "auto"]
Start = Literal["initiate", "wait"]
Childless = Literal["allow", "prefer", "force"]
Unique = Literal["replace", "keep", "never"]

EXPECTED_SHOWN = 4


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """One Child SA of a connection.

    `mode` "ethernet" is EtherIP (protocol 97) in transport mode, whose selectors are any address and protocol 97 and
    need not be given; "tunnel" is IP in tunnel mode between `local_ts` and `remote_ts`. In tunnel mode without
    `remote_ts` the peer has to ask for an inner address, without `local_ts` we do; it takes the place of the selectors.
    The Child SA is replaced `rekey_time` seconds after it was made (less the connection's jitter) and ends after
    `life_time`; so it does by the octets of payload and by the packets that it has carried in either direction,
    `*_bytes` and `*_packets`, where they are not 0. `replay_window` counts packets, 32 to 4096.
    """

    name: str
    mode: Mode
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]
    proposals: tuple[EspProposal, ...]
    rekey_time: float = 3600.0
    life_time: float = 3960.0
    rekey_bytes: int = 0
    life_bytes: int = 0
    rekey_packets: int = 0
    life_packets: int = 0
    replay_window: int = 1024


@dataclass(frozen=True, slots=True)
class LocalAuth:
    """Who we are: `identity` is sent as our ID payload; `chain` are our certificates in DER, the end entity first.

    The method "null" (RFC 7619) proves nothing; its identity is ID_NULL.
    """

    method: AuthKind
    identity: Identity
    chain: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteAuth:
    """Who the peer has to be: its ID matches `pattern`; its chain, if any, ends at one of `cas` (DER).

    `intermediates` may stand in the chain without being sent, and no list of `crls` may name a certificate of it.
    """

    method: AuthKind
    pattern: IdentityPattern
    cas: tuple[bytes, ...] = ()
    intermediates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Ppk:
    """The post-quantum preshared key (RFC 8784) by its name, which both sides know: `ppk_id` is sent as PPK_ID_FIXED.

    Where it is not `required`, an IKE SA comes up without it when the peer does not know it.
    """

    ppk_id: bytes
    required: bool = True


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
    no NAT. With `mobike` the addresses of both sides may change (RFC 4555); the peer's in `remote_addrs` and ours in
    `local_addrs` are preferred in their order. `unique` says which of two IKE SAs with one peer stays: "replace" the
    newer, "keep" the older, "never" both. `jitter` is the share of a soft lifetime by which it is shortened at random.
    `dpd_delay` 0 turns the liveness check off, `keepalive` 0 the NAT keep-alives, a lifetime of 0 that lifetime.
    `reauth_time` after both sides have proved themselves, the initiator does so anew; 0 is never. From `pools`, in
    their order, a peer gets inner addresses when it asks; `request_addresses` has us ask the peer for ours, and leave
    one that gives none.

    As initiator, `childless` "prefer" leaves the first child to an exchange of its own where the peer can do that,
    "force" takes nothing else. `resumption` asks for tickets as initiator and gives them as responder (RFC 5723).
    `follow_redirects` lets the peer send us to another gateway (RFC 5685). `secrets` is a keyed digest, made by the
    guard, of the shared keys that stand behind the connection: a ticket that was given under others is worth nothing.

    With `match` it is a realm: it takes every peer that one of these patterns fits, calls nobody, and does not look at
    `remote.pattern`. A peer gets pairs of ESP SAs for `lanes` lanes at most (RFC 9611), None is for all that there are;
    `policy` is for the data plane.
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
    mobike: bool = True
    start: Start = "wait"
    unique: Unique = "replace"
    dpd_delay: float = 90.0
    keepalive: float = 20.0
    rekey_time: float = 14400.0
    life_time: float = 15840.0
    jitter: float = 0.1
    pools: tuple[str, ...] = ()
    request_addresses: bool = False
    retransmit: Retransmit = field(default_factory=Retransmit)
    childless: Childless = "allow"
    resumption: bool = False
    follow_redirects: bool = False
    ppk: Ppk | None = None
    reauth_time: float = 0.0
    secrets: bytes = field(default=b"", repr=False)
    match: tuple[IdentityPattern, ...] = ()
    lanes: int | None = None
    policy: PortPolicy = OWN_HUB

    @property
    def patterns(self) -> tuple[IdentityPattern, ...]:
        """What a peer that calls may be: one of these."""
        return self.match or (self.remote.pattern,)

    @property
    def expects(self) -> str:
        """The first few of `patterns`, for people."""
        texts = [pattern.text for pattern in self.patterns[:EXPECTED_SHOWN]]
        return ", ".join(texts) + (" .." if len(self.patterns) > EXPECTED_SHOWN else "")

    def child(self, name: str) -> ChildConfig | None:
        """The child of that name, or None."""
        return next((child for child in self.children if child.name == name), None)


@dataclass(frozen=True, slots=True)
class Station:
    """What we are on the virtual Ethernet: the interface's MAC, six octets, and its first address of each family."""

    mac: bytes
    ip4: IPv4Address | None = None
    ip6: IPv6Address | None = None


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """The connections in the order in which they are considered, and the engine's own limits.

    From `cookie_threshold` half-open SAs on, or beyond `init_rate` in a second, an IKE_SA_INIT has to bring a cookie
    (RFC 7296 section 2.6); from `half_open_limit` on it is dropped, and so it is from `ike_sa_limit` IKE SAs of any
    kind on, because strangers that need no proof could fill the memory. An SA that is not authenticated after
    `half_open_timeout` is forgotten. At most `answer_rate` unprotected answers a second are sent (cookies apart), and
    as many reports of ESP that nobody knows. `natt_port` is our own NAT-T port. A protected message goes in fragments
    where its IP packet would have more than `fragment_size` octets (RFC 7383); 0 turns fragments off. With several
    `lanes` a peer is offered a pair of ESP SAs for each (RFC 9611); `spare_lanes` may still be added. `station` is
    told to peers that ask who is at the other end of the cable, on the node's own hub, and on others what `stations`
    has under the hub's name. `pools` are the inner addresses that connections name.
    """

    connections: tuple[ConnectionConfig, ...] = ()
    cookie_threshold: int = 300
    init_rate: int = 100
    cookie_lifetime: float = 60.0
    half_open_limit: int = 5000
    ike_sa_limit: int = 65536
    half_open_timeout: float = 35.0
    answer_rate: int = 20
    natt_port: int = NATT_PORT
    fragment_size: int = 1280
    max_children: int = 64
    extensions: tuple[str, ...] = ()
    lanes: int = 1
    spare_lanes: int = 0
    station: Station | None = None
    stations: Mapping[str, Station] = field(default_factory=dict)
    pools: tuple[PoolConfig, ...] = ()

    def station_on(self, hub: str) -> Station | None:
        """Who we are on the Ethernet of the hub of that name, "" for the node's own; or None."""
        return self.stations.get(hub) if hub else self.station

    def connection(self, name: str) -> ConnectionConfig | None:
        """The connection of that name, or None."""
        return next((connection for connection in self.connections if connection.name == name), None)
