"""What the node may ask the guard, and what the guard may answer.

The guard holds the long-term secrets and the privileges over the network. A question is plain data and so is its
answer: no object of `cryptography`, no socket and no key travels, only octets, numbers, text and file descriptors.
Identities are pairs `(id_type, data)` as in the IDi and IDr payloads (RFC 7296 section 3.5), without the three
reserved octets.

A question that breaks the policy, or that the machine does not allow, is answered by `Refused` with one clear sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
class OpenTap:
    """Create the TAP `name` with `queues` queues; answered by `Descriptors`, one per queue, non-blocking."""

    name: str
    queues: int = 1


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
class ConfigureLink:
    """Set what is given of an interface; answered by `Done` or `Refused`.

    `mac` is six octets, `addresses` are texts like "10.1.0.1/24", `bridge` is the name of an existing bridge to join.
    None leaves a property as it is.
    """

    name: str
    mtu: int | None = None
    up: bool = True
    mac: bytes | None = None
    addresses: tuple[str, ...] = ()
    bridge: str | None = None


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
class ReleaseAll:
    """Take back every link, address and route the guard made, newest first; answered by `Done` or `Refused`."""


@dataclass(frozen=True, slots=True)
class AuthData:
    """The content of our AUTH payload: the method and the authentication data (RFC 7296 section 3.8)."""

    method: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The peer's proof is right."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """File descriptors that now belong to the asker, who closes them."""

    fds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The work is done and there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The guard does not do it; `reason` is one sentence for a person, and never holds a secret."""

    reason: str


SecretQuestion = SignOctets | ProvePsk | CheckPsk
NetworkQuestion = OpenTap | OpenUdp | OpenRawEsp | ConfigureLink | AddRoute | RemoveRoute | ReleaseAll
Question = SecretQuestion | NetworkQuestion
Answer = AuthData | Accepted | Descriptors | Done | Refused
