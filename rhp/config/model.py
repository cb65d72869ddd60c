"""The configuration file as a model: swanctl's nouns, every key with its default and the reason for it.

Unknown keys are errors. What a key's value may be stands in rhp.config.values; what must hold between several keys, and
in the files they name, is checked in rhp.config.checks and rhp.config.credentials, after every key was read by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, SecretStr

from rhp.config import crypto_values, pool_values, selectors, values
from rhp.config.pool_values import AddressRange, IpAddress
from rhp.config.values import IpInterface, IpNetwork
from rhp.crypto.proposal import EspProposal, IkeProposal
from rhp.node.metrics.address import MetricsAddress
from rhp.node.paths import DEFAULT_RUN_DIR, DEFAULT_STATE_DIR
from rhp.realm.pattern import IdentityPattern
from rhp.wire.identity import Identity
from rhp.wire.ts import TrafficSelector

# A single text may stand for a list of one.
_AS_LIST = BeforeValidator(values.as_list)

FILES = "files"
"""The built-in certificate store."""

Auto = Literal["auto"]
AuthMethod = Literal["psk", "pubkey", "null"]
Text = Annotated[str, PlainValidator(values.text)]
Seconds = Annotated[int, PlainValidator(values.duration)]
Octets = Annotated[int, PlainValidator(values.octets)]
Packets = Annotated[int, PlainValidator(values.whole(0, (1 << 63) - 1, "a number of packets"))]
Port = Annotated[int, PlainValidator(values.whole(1, 65535, "a port"))]
Lanes = Annotated[int | Auto, PlainValidator(values.whole(1, 64, "a number of lanes", "auto"))]
Spare = Annotated[int, PlainValidator(values.whole(0, 63, "a number of spare lanes"))]
Cpus = Annotated[list[Annotated[int, PlainValidator(values.whole(0, 1023, "a processor's number"))]], _AS_LIST]
Mtu = Annotated[int | Auto, PlainValidator(values.whole(576, 65521, "an MTU", "auto"))]
QueueLength = Annotated[int, PlainValidator(values.whole(16, 10000, "a length of the queue"))]
Segments = Annotated[int, PlainValidator(values.whole(1, 65535, "a number of segments"))]
Mss = Annotated[int | Literal["auto", False], PlainValidator(values.whole(216, 65455, "an MSS", "auto", False))]
Window = Annotated[int, PlainValidator(values.whole(32, 4096, "a replay window"))]
Account = Annotated[str, PlainValidator(values.account)]
LogLevel = Annotated[str, PlainValidator(values.log_level)]
LogLevels = Annotated[dict[str, str], PlainValidator(values.log_levels)]
MetricsPlace = Annotated[MetricsAddress, PlainValidator(values.metrics_address)]
Mac = Annotated[bytes, PlainValidator(values.mac)]
PpkId = Annotated[str, PlainValidator(values.ppk_id)]
Device = Annotated[str, PlainValidator(values.device)]
Folder = Annotated[Path, PlainValidator(lambda value: Path(values.text(value)))]
RunFolder = Annotated[Path, PlainValidator(values.run_folder)]

Texts = Annotated[list[Text], _AS_LIST]
Networks = Annotated[list[Annotated[IpNetwork, PlainValidator(values.network)]], _AS_LIST]
Remotes = Annotated[list[Annotated[IpNetwork | str, PlainValidator(values.remote_address)]], _AS_LIST]
Addresses = Annotated[list[Annotated[IpInterface, PlainValidator(values.interface_address)]], _AS_LIST]
Selectors = Annotated[list[Annotated[TrafficSelector, PlainValidator(selectors.selector)]], _AS_LIST]
Ranges = Annotated[list[Annotated[AddressRange, PlainValidator(pool_values.address_range)]], _AS_LIST]
Address = Annotated[IpAddress, PlainValidator(pool_values.address)]
Servers = Annotated[list[Address], _AS_LIST]
Domains = Annotated[list[Annotated[str, PlainValidator(pool_values.domain)]], _AS_LIST]
IkeProposals = Annotated[list[Annotated[IkeProposal, PlainValidator(crypto_values.ike_proposal)]], _AS_LIST]
EspProposals = Annotated[list[Annotated[EspProposal, PlainValidator(crypto_values.esp_proposal)]], _AS_LIST]
LocalId = Annotated[Identity | None, PlainValidator(crypto_values.identity)]
RemoteId = Annotated[IdentityPattern | None, PlainValidator(crypto_values.pattern)]
Match = Annotated[list[Annotated[IdentityPattern, PlainValidator(crypto_values.rule)]], _AS_LIST]


class Table(BaseModel):
    """A TOML table: unknown keys are errors, and a value keeps the type it was written with."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Node(Table):
    """The process: ports, lanes, folders, logging."""

    port: Port = 500
    natt_port: Port = 4500
    # Found out: what the interface carries, at most 1500 octets, and less where a router on the way says so.
    path_mtu: Mtu = "auto"
    # By the number of cores: one lane on two cores or fewer, where a second thread only adds wake-ups.
    lanes: Lanes = "auto"
    # Nowhere in particular: the scheduler keeps a busy lane where its caches are, and moves it away from other work.
    cpus: Cpus = Field(default_factory=list)
    # None, because each costs every peer a little memory.
    spare_lanes: Spare = 0
    # The kernel's own: replies come to the lane that sent the request, and one busy station can use all lanes.
    steering: Literal["flow", "station"] = "flow"
    state_dir: Folder = DEFAULT_STATE_DIR
    run_dir: RunFolder = DEFAULT_RUN_DIR
    log_level: LogLevel = "info"
    # Users of their own, so that the process that talks to the world can touch neither the keys nor the machine.
    user: Account = "rhp"
    group: Account = "rhp"
    guard_user: Account = "rhp-guard"
    log_levels: LogLevels = Field(default_factory=dict)
    # The journal's own fields where systemd reads standard error, and text for people everywhere else.
    log_format: Literal["auto", "text", "json", "journal"] = "auto"
    # None: the same lines are in the log, and a file has to be rotated by somebody.
    audit_file: Folder | None = None
    # Nowhere, because whoever reaches the port can read them.
    metrics: MetricsPlace | None = None
    # None, although some may be installed: each takes part in the protocol of a privileged process.
    extensions: Texts = Field(default_factory=list)
    # The native one. Another one is for comparisons, or for a machine that has something better.
    esp_provider: Text = "fast"
    # None, for the same reason as extensions.
    crypto_providers: Texts = Field(default_factory=list)
    event_sinks: Texts = Field(default_factory=list)


class Interface(Table):
    """The TAP of a hub, for all peers in it."""

    name: Device = "rhp0"
    addresses: Addresses = Field(default_factory=list)
    # What fits an outer packet with the suite in use, so that nothing is fragmented; in a bridge, what the bridge has.
    mtu: Mtu = "auto"
    bridge: Device | None = None
    # Derived from machine, name and identities, so that a restart leaves no stale entry in anybody's ARP cache.
    mac: Mac | None = None
    # The kernel's 1000. A TAP never holds its sender back but drops what finds its queue full: with 64 frames TCP lost
    # some, with 250 none. So a queueing discipline in front of it finds nothing waiting, and is left to the system.
    queue_length: QueueLength | None = None
    # The kernel's: as many as fit 64 KB. With 44 of the usual size, one super-frame is one train on the wire.
    segments: Segments | None = None


class Firewall(Table):
    """What this machine's IP forwarding does for the tunnels, as long as the node runs."""

    # Off: a bridge needs none, and a machine that forwards is a router to everybody who can reach it.
    forward: bool = False
    masquerade: Networks = Field(default_factory=list)
    isolate: bool = False


class Hook(Table):
    """A program that the guard has run when something happens."""

    on: Texts = Field(default_factory=list)
    command: Texts = Field(default_factory=list)
    # Enough to set a route or to tell somebody, and not so much that the next event waits for long.
    timeout: Seconds = 10
    # Off: what it is told comes in part from peers.
    privileged: bool = False
    user: Account = "nobody"


class StaticEntry(Table):
    """A MAC address that always lives behind one connection."""

    mac: Mac
    connection: Text


class Hub(Table):
    """The virtual hub between the TAP and the peers."""

    # Long enough to outlast a quiet station, short enough that a moved one is found again without its help.
    mac_ageing: Seconds = 600
    isolate: bool = False
    arp_proxy: bool = True
    static: list[StaticEntry] = Field(default_factory=list)
    mss_clamp: Mss = "auto"
    # Works for every frame and every host; an answer is for hosts that make shorter packets when they are told to.
    oversize: Literal["fragment", "answer"] = "fragment"
    # TCP mends the order by itself, and whatever waits or is dropped here costs it more than it gains.
    ordering: Literal["off", "drop", "hold"] = "off"


class NamedHub(Hub):
    """A hub beside the node's own, with an interface of its own."""

    # Named after the hub, unless its table says otherwise.
    interface: Interface = Interface()

    def device(self, name: str) -> str:
        """The name of its interface, for a hub of that name."""
        return self.interface.name if "name" in self.interface.model_fields_set else name


class Pool(Table):
    """Inner addresses to lend, and what a client is told of the network behind them."""

    addresses: Ranges = Field(default_factory=list)
    dns: Servers = Field(default_factory=list)
    # Without names, clients ask these servers for everything, as they would in the office.
    domains: Domains = Field(default_factory=list)
    nbns: Servers = Field(default_factory=list)
    # What the child's local_ts say; this is for clients that take their routes from here.
    subnets: Networks = Field(default_factory=list)
    fixed: dict[str, Address] = Field(default_factory=dict)


class Local(Table):
    """Who we are towards this peer."""

    id: LocalId = None
    auth: AuthMethod | None = None
    certs: Texts = Field(default_factory=list)
    key: Text | None = None
    # Off, because some clients read no other RSA signature than PKCS#1 v1.5.
    rsa_pss: bool = False


class Remote(Table):
    """Whom we expect."""

    id: RemoteId = None
    auth: AuthMethod | None = None
    cas: Texts = Field(default_factory=list)
    # The files of `cas`: what one reads by hand, one can also mend by hand.
    certificate_store: Text = FILES


class Child(Table):
    """One Child SA: an Ethernet cable, or IP between two sets of selectors."""

    mode: Literal["ethernet", "tunnel"] = "ethernet"
    local_ts: Selectors = Field(default_factory=list)
    remote_ts: Selectors = Field(default_factory=list)
    esp_proposals: EspProposals = Field(default_factory=list)
    rekey_time: Seconds = 3600
    # None by default: the suites that are offered by default carry more in an hour than any path does.
    rekey_bytes: Octets = 0
    rekey_packets: Packets = 0
    # Wide enough for what several lanes and a reordering network shuffle, at 128 octets of memory.
    replay_window: Window = 1024


class Peering(Table):
    """What we agree on with a peer: the keys that a connection and a realm have in common."""

    proposals: IkeProposals = Field(default_factory=list)
    # ESP in UDP even without NAT: the kernel moves UDP in trains, and every firewall that lets IKE pass lets this pass.
    encapsulation: Literal["udp", "auto"] = "udp"
    # On: a tunnel outlives a change of address, sleep and a lost path. Off for a peer that is said to fail with it.
    mobike: bool = True
    # A gateway that restarts has all its clients back in one round trip fewer and without their signatures; a key
    # exchange follows within five minutes, and the keys that seal tickets are gone after a day.
    resumption: bool = True
    dpd_delay: Seconds = 90
    # One cable for one peer: a second one with the same peer would be a loop.
    unique: Literal["replace", "keep", "never"] = "replace"
    rekey_time: Seconds = 14400
    # Never: a rekey has new keys as well, and a peer that is no longer welcome is better ended by hand at once.
    reauth_time: Seconds = 0
    # A tenth of rekey_time, so that a rekey that fails can be tried again before the SA ends.
    over_time: Seconds | None = None
    pools: Texts = Field(default_factory=list)
    psk: SecretStr | None = None
    psk_file: Text | None = None
    # By who the peer is; who is not among them has the key above, if there is one.
    psk_files: dict[str, Text] = Field(default_factory=dict)
    ppk_id: PpkId | None = None
    ppk: SecretStr | None = None
    ppk_file: Text | None = None
    # Who writes a PPK wants it used; without this, who holds the peer's other credentials decides that it is not.
    ppk_required: bool = True
    # The node's own hub, with the one interface that most nodes have.
    hub: Text | None = None
    isolate: bool = False
    # What the hub has, as for all its peers.
    mss_clamp: Mss | None = None
    # What the node finds out, as for all its peers.
    path_mtu: Mtu = "auto"
    lanes: Lanes = "auto"
    local: Local = Local()
    remote: Remote = Remote()
    children: dict[str, Child] = Field(default_factory=dict)


class Connection(Peering):
    """One peer, or one kind of peer."""

    local_addrs: Networks = Field(default_factory=list)
    remote_addrs: Remotes = Field(default_factory=list)
    remote_port: Port = 500
    remote_natt_port: Port = 4500
    start: Literal["initiate", "wait"] | None = None
    # The first child rides on IKE_AUTH, which saves a round trip; every peer can do that.
    childless: Literal["allow", "prefer", "force"] = "allow"
    # Wherever it leads, only a gateway that proves to be the peer is accepted.
    follow_redirects: bool = True
    # A peer that may give us an address may also give us routes and name servers, so only where it is asked for.
    request_addresses: bool = False


class Realm(Peering):
    """A role: all peers whose identity fits one of the rules of `match`, and what holds for each of them."""

    match: Match = Field(default_factory=list)


class Configuration(Table):
    """The whole file."""

    node: Node = Node()
    interface: Interface = Interface()
    hub: Hub = Hub()
    hubs: dict[str, NamedHub] = Field(default_factory=dict)
    firewall: Firewall = Firewall()
    hooks: list[Hook] = Field(default_factory=list)
    pools: dict[str, Pool] = Field(default_factory=dict)
    connections: dict[str, Connection] = Field(default_factory=dict)
    realms: dict[str, Realm] = Field(default_factory=dict)

    def interfaces(self) -> Iterator[tuple[tuple[str, ...], str, Interface]]:
        """The interface of each hub: where it stands, what it is called, and its keys; the node's own first."""
        yield ("interface",), self.interface.name, self.interface
        for name, hub in self.hubs.items():
            yield ("hubs", name, "interface"), hub.device(name), hub.interface

    def peerings(self) -> Iterator[tuple[tuple[str, str], Peering]]:
        """Every connection, then every realm, with where it stands. They have their names in common."""
        for name, connection in self.connections.items():
            yield ("connections", name), connection
        for name, realm in self.realms.items():
            yield ("realms", name), realm


TABLES: dict[tuple[str, ...], type[Table]] = {
    (): Configuration,
    ("node",): Node,
    ("interface",): Interface,
    ("hub",): Hub,
    ("firewall",): Firewall,
    ("hooks", "*"): Hook,
    ("hub", "static", "*"): StaticEntry,
    ("pools", "*"): Pool,
    ("connections", "*"): Connection,
    ("connections", "*", "local"): Local,
    ("connections", "*", "remote"): Remote,
    ("connections", "*", "children", "*"): Child,
    ("realms", "*"): Realm,
    ("realms", "*", "local"): Local,
    ("realms", "*", "remote"): Remote,
    ("realms", "*", "children", "*"): Child,
    ("hubs", "*"): NamedHub,
    ("hubs", "*", "interface"): Interface,
    ("hubs", "*", "static", "*"): StaticEntry,
}
"""Where each table stands; "*" is a name or a number."""
