"""What the guard is told at its start: its policy, and what it needs to know to start a node and keep it in bounds.

Plain data, for it comes from a process of its own, which reads the configuration and ends; so the guard never holds
what reading takes. The node's share of the configuration is octets here: the guard passes it on and does not read it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rhp.guard.codec import Codec
from rhp.guard.policy import GuardPolicy


@dataclass(frozen=True, slots=True)
class Identities:
    """The users and the group, by name, that the two processes run as."""

    node_user: str = "rhp"
    node_group: str = "rhp"
    guard_user: str = "rhp-guard"


@dataclass(frozen=True, slots=True)
class Warned:
    """Something in the configuration that works and should not stay: where it stands, and a sentence."""

    place: str
    detail: str


@dataclass(frozen=True, slots=True)
class Brief:
    """The guard's share of a configuration. `lowest_port` is the lowest that it has to open."""

    policy: GuardPolicy
    identities: Identities
    run_dir: str
    state_dir: str
    log_level: str
    log_levels: tuple[tuple[str, str], ...]
    log_format: str
    lowest_port: int
    warnings: tuple[Warned, ...] = ()


@dataclass(frozen=True, slots=True)
class Mistaken:
    """The configuration cannot be used: every mistake on a line of its own, and how many there are."""

    text: str
    mistakes: int


@dataclass(frozen=True, slots=True)
class Shares:
    """A configuration apart: the guard's share, which has the secrets, and the node's, which has none."""

    guard: Brief
    node: bytes


codec = Codec()

Outcome = Shares | Mistaken


def write(outcome: Outcome) -> bytes:
    """As it goes from the process that reads the configuration to the guard."""
    return codec.encode(Outcome, outcome)


def read(octets: bytes) -> Outcome:
    """Read it again. Raises DecodeError."""
    found: Outcome = codec.decode(Outcome, octets)
    return found
