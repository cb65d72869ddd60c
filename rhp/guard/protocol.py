"""What the node may ask the guard, and what the guard may answer.

The guard holds the long-term secrets and the privileges over the network. A question is plain data and so is its
answer: no object of `cryptography`, no socket and no key travels, only octets, numbers, text and file descriptors.
Identities are pairs `(id_type, data)` as in the IDi and IDr payloads (RFC 7296 section 3.5), without the three
reserved octets.

A question that breaks the policy, or that the machine does not allow, is answered by `Refused` with one clear sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rhp.guard.mistake import Mistake

IdentityPair = tuple[int, bytes]
"""An identity as plain data: the ID type and the identification data."""


@dataclass(frozen=True, slots=True)
class SignOctets:
    """Sign `octets` with the private key of a connection; answered by `AuthData` or `Refused`.

    `peer_hashes` are the hash algorithm numbers of the peer's SIGNATURE_HASH_ALGORITHMS notify (RFC 7427 section 4),
    or None when it sent none, which asks for one of the older methods 1 and 9 to 11.
    """

    connection: str
    octets: bytes = field(repr=False)
    peer_hashes: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class ProvePsk:
    """Make our AUTH data from the pre-shared key of this pair (RFC 7296 section 2.15).

    Answered by `AuthData` or `Refused`.
    """

    connection: str
    local_id: IdentityPair
    remote_id: IdentityPair
    prf_id: int
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CheckPsk:
    """Compare the peer's AUTH data with the one its pre-shared key makes; answered by `Accepted` or `Refused`."""

    connection: str
    local_id: IdentityPair
    remote_id: IdentityPair
    prf_id: int
    octets: bytes = field(repr=False)
    auth_data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MixPpk:
    """Mix the post-quantum preshared key of that name into three keys of an IKE SA (RFC 8784 section 3).

    `ppk_id` is the PPK_ID without its type. The keys are SK_d', SK_pi' and SK_pr', as the key exchange alone makes
    them. Answered by `PpkKeys` or `Refused`.
    """

    connection: str
    ppk_id: bytes
    prf_id: int
    sk_d: bytes = field(repr=False)
    sk_pi: bytes = field(repr=False)
    sk_pr: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class FingerprintSecrets:
    """Tell by a keyed digest which shared keys stand behind a connection; answered by `Fingerprint` or `Refused`.

    What is remembered of a peer is worth nothing any more when the digest is another one. `key` has 32 octets, which
    the asker keeps to itself: without them the digest tells nobody whether a guess of a key is right.
    """

    connection: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReadConfiguration:
    """Read the configuration file and all that it names once more, and keep it beside what is in force.

    `base` is the generation that the asker goes by, 0 for none; the answer tells what differs from that. Answered by
    `ConfigurationRead`, by `ConfigurationWrong` or by `Refused`; nothing is changed.
    """

    base: int


@dataclass(frozen=True, slots=True)
class AdoptConfiguration:
    """Go by the secrets and the policy of that generation from now on, which was read last.

    Answered by `Done` or `Refused`; then nothing was changed.
    """

    generation: int


@dataclass(frozen=True, slots=True)
class OpenTap:
    """Create the TAP `name` with `queues` queues; answered by `Descriptors`, one per queue, non-blocking.

    `offload` asks for super-frames and unfinished checksums, and for the header of 10 octets that tells of them.
    """

    name: str
    queues: int = 1
    offload: bool = False


@dataclass(frozen=True, slots=True)
class AddTapQueue:
    """Open one more queue of the TAP that `OpenTap` made; answered by `Descriptors` with one, as its other queues."""

    name: str


@dataclass(frozen=True, slots=True)
class OpenUdp:
    """Bind a UDP socket; answered by `Descriptors` with one descriptor, non-blocking.

    `address` is an IPv4 or IPv6 literal ("0.0.0.0" and "::" for any). `reuse` puts the socket into a SO_REUSEPORT
    group, so that every lane can have one of its own.
    """

    address: str
    port: int
    reuse: bool = False


@dataclass(frozen=True, slots=True)
class OpenRawEsp:
    """Open a raw socket for IP protocol 50; `family` is 4 or 6. Answered by `Descriptors` with one descriptor."""

    family: int


@dataclass(frozen=True, slots=True)
class OpenIcmp:
    """Open a raw socket that hears which packets were too long for their path; `family` is 4 or 6.

    Answered by `Descriptors` with one descriptor.
    """

    family: int


@dataclass(frozen=True, slots=True)
class ConfigureLink:
    """Set what is given of an interface; answered by `Done` or `Refused`.

    `mac` is six octets, `addresses` are texts like "10.1.0.1/24", `bridge` is the name of an existing bridge to join,
    `queue_length` counts frames that wait, `segments` those in one super-frame. None leaves a property as it is.
    """

    name: str
    mtu: int | None = None
    up: bool = True
    mac: bytes | None = None
    addresses: tuple[str, ...] = ()
    bridge: str | None = None
    queue_length: int | None = None
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class AddRoute:
    """Add a route to `destination` ("10.2.0.0/16") over `interface`; answered by `Done` or `Refused`."""

    destination: str
    interface: str
    source: str | None = None
    gateway: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    """Take back a route that `AddRoute` made; answered by `Done` or `Refused`."""

    destination: str
    interface: str
    source: str | None = None
    gateway: str | None = None


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Give `interface` an address that a peer assigned to us ("10.88.0.2/32"); answered by `Done` or `Refused`."""

    interface: str
    address: str


@dataclass(frozen=True, slots=True)
class RemoveAddress:
    """Take back an address that `AddAddress` gave; answered by `Done` or `Refused`."""

    interface: str
    address: str


@dataclass(frozen=True, slots=True)
class SetDns:
    """Have names looked up by `servers`, which a peer told us of and which are reached over `interface`.

    With `domains` only these names are asked of them, which not every machine can do; without, all are. Replaces what
    was set for the interface before. Answered by `Done` or `Refused`.
    """

    interface: str
    servers: tuple[str, ...]
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClearDns:
    """Take back what `SetDns` set for `interface`; answered by `Done` or `Refused`."""

    interface: str


@dataclass(frozen=True, slots=True)
class CaptureTraffic:
    """Send traffic to `destination` ("0.0.0.0/0") over `interface`, but for what goes to `outers`.

    These are the addresses at which the tunnel's other end is reached, or may be tried. `source` is an address of ours,
    `gateway` one that the hub answers for. Where this machine has a narrower route than the default one it goes on to
    use that. Replaces what was set for the same destination. Answered by `Done` or `Refused`.
    """

    interface: str
    destination: str
    outers: tuple[str, ...]
    source: str
    gateway: str


@dataclass(frozen=True, slots=True)
class ReleaseTraffic:
    """Take back what `CaptureTraffic` set for that destination; answered by `Done` or `Refused`."""

    interface: str
    destination: str


@dataclass(frozen=True, slots=True)
class MendCaptures:
    """Rules of this machine were taken away: set those of `CaptureTraffic` again that are missing, if any.

    Answered by `Done` or `Refused`.
    """


@dataclass(frozen=True, slots=True)
class ReleaseAll:
    """Take back every link, address, route and name server that the guard set, newest first.

    Answered by `Done` or `Refused`.
    """


@dataclass(frozen=True, slots=True)
class TellState:
    """Tell the service manager that the node is "running", or "stopping"; answered by `Done` or `Refused`."""

    state: str


@dataclass(frozen=True, slots=True)
class TellAlive:
    """Answer a heartbeat of that number; `tunnels` is how many IKE SAs stand. Answered by `Done` or `Refused`."""

    beat: int
    tunnels: int


@dataclass(frozen=True, slots=True)
class RunHook:
    """Run what the configuration has for this event; answered by `Done`, before it has run, or `Refused`.

    All of it is text for the environment of these programs; what is not known is empty. `local` and `remote` are outer
    addresses, `addresses` inner ones with spaces between.
    """

    event: str
    connection: str = ""
    peer: str = ""
    local: str = ""
    remote: str = ""
    addresses: str = ""
    interface: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AuthData:
    """The content of our AUTH payload: the method and the authentication data (RFC 7296 section 3.8)."""

    method: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The peer's proof is right."""


@dataclass(frozen=True, slots=True)
class PpkKeys:
    """SK_d, SK_pi and SK_pr with the PPK in them, each as long as before. They live as long as their IKE SA."""

    sk_d: bytes = field(repr=False)
    sk_pi: bytes = field(repr=False)
    sk_pr: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The digest of the pre-shared keys and PPKs of a connection, with their names, 32 octets."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConfigurationRead:
    """The file is good. `content` is what the node may know of it, a `rhp.guard.brief.Revision`, without secrets.

    `restart` are keys that are others than at the start of the guard, which cannot follow them.
    """

    generation: int
    content: bytes = field(repr=False)
    warnings: tuple[Mistake, ...] = ()
    restart: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigurationWrong:
    """The file cannot be used; every mistake in it, in the file's order."""

    file: str
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True)
class Descriptors:
    """File descriptors that now belong to the asker, who closes them.

    `offloads` are the TUN_F_* bits that a TAP was opened with; 0, where no header leads the frames.
    """

    fds: tuple[int, ...]
    offloads: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """The work is done and there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The guard does not do it; `reason` is one sentence for a person, and never holds a secret."""

    reason: str


SecretQuestion = SignOctets | ProvePsk | CheckPsk | MixPpk | FingerprintSecrets
AssignedQuestion = AddAddress | RemoveAddress | SetDns | ClearDns | CaptureTraffic | ReleaseTraffic
NetworkQuestion = (
    OpenTap
    | AddTapQueue
    | OpenUdp
    | OpenRawEsp
    | OpenIcmp
    | ConfigureLink
    | AddRoute
    | RemoveRoute
    | AssignedQuestion
    | MendCaptures
    | ReleaseAll
)
STATES = ("starting", "running", "stopping")
"""What a node goes through, never back."""

ServiceQuestion = TellState | TellAlive | RunHook
ConfigurationQuestion = ReadConfiguration | AdoptConfiguration
Question = SecretQuestion | ConfigurationQuestion | NetworkQuestion | ServiceQuestion
ConfigurationAnswer = ConfigurationRead | ConfigurationWrong
Answer = AuthData | Accepted | PpkKeys | Fingerprint | ConfigurationAnswer | Descriptors | Done | Refused
