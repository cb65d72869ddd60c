"""What the guard is told of a configuration: its policy, and what it needs to know to keep a node in bounds.

Plain data, for it comes from a process of its own, which reads the configuration and ends; so the guard never holds
what reading takes. The node's share of the configuration is octets here: the guard passes it on and does not read it.
It comes in parts, one for each connection, so that the guard can tell which of them are not as before.
"""

from __future__ import annotations

from dataclasses import dataclass

from rhp.guard.codec import Codec
from rhp.guard.mistake import Mistake
from rhp.guard.policy import GuardPolicy


@dataclass(frozen=True, slots=True)
class Identities:
    """The users and the group, by name, that the two processes run as."""

    node_user: str = "rhp"
    node_group: str = "rhp"
    guard_user: str = "rhp-guard"


@dataclass(frozen=True, slots=True)
class Brief:
    """The guard's share of a configuration that was read from `file`. `lowest_port` is the lowest that it has to open.

    `crypto_providers` are the names of packages that have algorithms which proofs are made by.

    `warnings` are what works and should not stay.
    """

    file: str
    policy: GuardPolicy
    identities: Identities
    run_dir: str
    state_dir: str
    log_level: str
    log_levels: tuple[tuple[str, str], ...]
    log_format: str
    lowest_port: int
    crypto_providers: tuple[str, ...] = ()
    warnings: tuple[Mistake, ...] = ()


@dataclass(frozen=True, slots=True)
class Mistaken:
    """The configuration cannot be used: every mistake on a line of its own, and how many there are.

    `found` are the same and the warnings, in the order of `file`.
    """

    text: str
    mistakes: int
    file: str
    found: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What the node is told of one connection or realm: its name, and octets."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Fresh:
    """Behind a connection stand other secrets than before: those for the `peers` of these patterns, or all."""

    connection: str
    peers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """The node's share of a configuration, or what is new in it.

    `common` holds everything but the connections; `order` names all of these, and `parts` has those that are new or
    not as before.
    """

    common: bytes
    order: tuple[str, ...]
    parts: tuple[Part, ...]
    fresh: tuple[Fresh, ...] = ()


@dataclass(frozen=True, slots=True)
class Shares:
    """A configuration apart: the guard's share, which has the secrets, and the node's, which has none."""

    guard: Brief
    node: Revision


codec = Codec()

Outcome = Shares | Mistaken


def write(outcome: Outcome) -> bytes:
    """As it goes from the process that reads the configuration to the guard."""
    return codec.encode(Outcome, outcome)


def read(octets: bytes) -> Outcome:
    """Read it again. Raises DecodeError."""
    found: Outcome = codec.decode(Outcome, octets)
    return found


def write_revision(revision: Revision) -> bytes:
    """As it goes from the guard to the node."""
    return codec.encode(Revision, revision)


def read_revision(octets: bytes) -> Revision:
    """Read it again. Raises DecodeError."""
    found: Revision = codec.decode(Revision, octets)
    return found
