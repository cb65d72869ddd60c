"""The configuration file as a model: swanctl's nouns, every key with its default and the reason for it.

Unknown keys are errors. What a key's value may be stands in rhp.config.values; what must hold between several keys, and
in the files they name, is checked in rhp.config.checks and rhp.config.credentials, after every key was read by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, SecretStr

from rhp.config import crypto_values, selectors, values
from rhp.config.values import IpInterface, IpNetwork
from rhp.crypto.proposal import EspProposal, IkeProposal
from rhp.node.paths import DEFAULT_RUN_DIR, DEFAULT_STATE_DIR
from rhp.pki.identity import IdentityPattern
from rhp.wire.identity import Identity
from rhp.wire.ts import TrafficSelector

Auto = Literal["auto"]
AuthMethod = Literal["psk", "pubkey"]
Text = Annotated[str, PlainValidator(values.text)]
Seconds = Annotated[int, PlainValidator(values.duration)]
Port = Annotated[int, PlainValidator(values.whole(1, 65535, "a port"))]
Lanes = Annotated[int | Auto, PlainValidator(values.whole(1, 64, "a number of lanes", "auto"))]
Mtu = Annotated[int | Auto, PlainValidator(values.whole(576, 65521, "an MTU", "auto"))]
Mss = Annotated[int | Literal["auto", False], PlainValidator(values.whole(216, 65455, "an MSS", "auto", False))]
Window = Annotated[int, PlainValidator(values.whole(32, 4096, "a replay window"))]
LogLevel = Annotated[str, PlainValidator(values.log_level)]
Mac = Annotated[bytes, PlainValidator(values.mac)]
Device = Annotated[str, PlainValidator(values.device)]
Folder = Annotated[Path, PlainValidator(lambda value: Path(values.text(value)))]
RunFolder = Annotated[Path, PlainValidator(values.run_folder)]

# A single text may stand for a list of one.
_AS_LIST = BeforeValidator(values.as_list)
Texts = Annotated[list[Text], _AS_LIST]
Networks = Annotated[list[Annotated[IpNetwork, PlainValidator(values.network)]], _AS_LIST]
Remotes = Annotated[list[Annotated[IpNetwork | str, PlainValidator(values.remote_address)]], _AS_LIST]
Addresses = Annotated[list[Annotated[IpInterface, PlainValidator(values.interface_address)]], _AS_LIST]
Selectors = Annotated[list[Annotated[TrafficSelector, PlainValidator(selectors.selector)]], _AS_LIST]
IkeProposals = Annotated[list[Annotated[IkeProposal, PlainValidator(crypto_values.ike_proposal)]], _AS_LIST]
EspProposals = Annotated[list[Annotated[EspProposal, PlainValidator(crypto_values.esp_proposal)]], _AS_LIST]
LocalId = Annotated[Identity | None, PlainValidator(crypto_values.identity)]
RemoteId = Annotated[IdentityPattern | None, PlainValidator(crypto_values.pattern)]


class Table(BaseModel):
    """A TOML table: unknown keys are errors, and a value keeps the type it was written with."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Node(Table):
    """The process: ports, lanes, folders, logging."""

    port: Port = 500
    natt_port: Port = 4500
    # By the number of cores: one lane on two cores or fewer, where a second thread only adds wake-ups.
    lanes: Lanes = "auto"
    state_dir: Folder = DEFAULT_STATE_DIR
    run_dir: RunFolder = DEFAULT_RUN_DIR
    log_level: LogLevel = "info"


class Interface(Table):
    """The one TAP that holds all peers."""

    name: Device = "rhp0"
    addresses: Addresses = Field(default_factory=list)
    # What fits an outer packet of 1500 octets with the suite in use, so that nothing is ever fragmented.
    mtu: Mtu = "auto"
    bridge: Device | None = None
    # Derived from machine, name and identities, so that a restart leaves no stale entry in anybody's ARP cache.
    mac: Mac | None = None


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


class Child(Table):
    """One Child SA: an Ethernet cable, or IP between two sets of selectors."""

    mode: Literal["ethernet", "tunnel"] = "ethernet"
    local_ts: Selectors = Field(default_factory=list)
    remote_ts: Selectors = Field(default_factory=list)
    esp_proposals: EspProposals = Field(default_factory=list)
    rekey_time: Seconds = 3600
    # Wide enough for what several lanes and a reordering network shuffle, at 128 octets of memory.
    replay_window: Window = 1024


class Connection(Table):
    """One peer, or one kind of peer."""

    local_addrs: Networks = Field(default_factory=list)
    remote_addrs: Remotes = Field(default_factory=list)
    remote_port: Port = 500
    remote_natt_port: Port = 4500
    proposals: IkeProposals = Field(default_factory=list)
    # ESP in UDP even without NAT: the kernel moves UDP in trains, and every firewall that lets IKE pass lets this pass.
    encapsulation: Literal["udp", "auto"] = "udp"
    start: Literal["initiate", "wait"] | None = None
    dpd_delay: Seconds = 90
    rekey_time: Seconds = 14400
    # A tenth of rekey_time, so that a rekey that fails can be tried again before the SA ends.
    over_time: Seconds | None = None
    psk: SecretStr | None = None
    psk_file: Text | None = None
    local: Local = Local()
    remote: Remote = Remote()
    children: dict[str, Child] = Field(default_factory=dict)


class Configuration(Table):
    """The whole file."""

    node: Node = Node()
    interface: Interface = Interface()
    hub: Hub = Hub()
    connections: dict[str, Connection] = Field(default_factory=dict)


TABLES: dict[tuple[str, ...], type[Table]] = {
    (): Configuration,
    ("node",): Node,
    ("interface",): Interface,
    ("hub",): Hub,
    ("hub", "static", "*"): StaticEntry,
    ("connections", "*"): Connection,
    ("connections", "*", "local"): Local,
    ("connections", "*", "remote"): Remote,
    ("connections", "*", "children", "*"): Child,
}
"""Where each table stands; "*" is a name or a number."""
