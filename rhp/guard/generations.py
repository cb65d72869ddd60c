"""The configuration that is in force, and the one that was read last and may follow it.

Reading changes nothing: file, certificates and keys are read and checked to the end by a process of its own, the
secrets of the new policy are loaded, and all of it waits. Adopting takes it at once. So a file with a mistake, or one
that the node cannot take, leaves the guard as it was, and a secret that is used is always one that was checked.

Of the node's share the guard keeps a digest of each part, and passes on the parts that are others than before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from rhp.guard.brief import Brief, Mistaken, Outcome, Revision, Shares, write_revision
from rhp.guard.freshness import fresh
from rhp.guard.protocol import (
    AdoptConfiguration,
    ConfigurationRead,
    ConfigurationWrong,
    Done,
    ReadConfiguration,
    Refused,
)
from rhp.guard.secrets import SecretsError, SecretStore
from rhp.node.errors import StartError

Read = Callable[[], Awaitable[Outcome]]
"""Has the configuration read; raises `StartError` where it could not be read at all."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One state of the configuration: the guard's share, its secrets, and a digest of each part of the node's."""

    number: int
    brief: Brief
    parts: Mapping[str, bytes]
    secrets: SecretStore = field(repr=False)


class Generations:
    """Keeps the generation in force (`current`) and the one read last. One reading at a time."""

    def __init__(self, read: Read, first: Shares, secrets: SecretStore) -> None:
        self._read = read
        self._first = first.guard
        self.current = Generation(1, first.guard, _digests(first.node), secrets)
        self._waiting: Generation | None = None
        self._numbers = 1

    async def read(self, question: ReadConfiguration) -> ConfigurationRead | ConfigurationWrong | Refused:
        """Have the file read once more; what was read before and not adopted is forgotten."""
        self._forget()
        try:
            outcome = await self._read()
        except StartError as error:
            return Refused(str(error))
        if isinstance(outcome, Mistaken):
            return ConfigurationWrong(outcome.file, outcome.found)
        try:
            # A thousand keys take a moment, in which handshakes go on.
            secrets = await asyncio.to_thread(SecretStore, outcome.guard.policy)
        except SecretsError as error:
            return Refused("; ".join(error.problems))
        return self._keep(outcome, secrets, question.base)

    def adopt(self, question: AdoptConfiguration) -> Done | Refused:
        """Make what was read last the one in force; `current` is another one then."""
        following, before = self._waiting, self.current
        if following is None or following.number != question.generation:
            return Refused("this configuration was not the last one read; read it again")
        self.current, self._waiting = following, None
        before.secrets.wipe()
        return Done()

    def _keep(self, outcome: Shares, secrets: SecretStore, base: int) -> ConfigurationRead:
        before = self.current
        self._numbers += 1
        self._waiting = Generation(self._numbers, outcome.guard, _digests(outcome.node), secrets)
        known = before.parts if base == before.number else {}
        others = tuple(part for part in outcome.node.parts if known.get(part.name) != self._waiting.parts[part.name])
        both = self._waiting.parts.keys() & before.parts.keys()
        revision = replace(outcome.node, parts=others, fresh=fresh(before.secrets, secrets, both))
        restart = tuple(_fixed(self._first, outcome.guard))
        return ConfigurationRead(self._numbers, write_revision(revision), outcome.guard.warnings, restart)

    def _forget(self) -> None:
        if self._waiting is not None:
            self._waiting.secrets.wipe()
            self._waiting = None


def _digests(revision: Revision) -> dict[str, bytes]:
    return {part.name: blake2b(part.content, digest_size=16).digest() for part in revision.parts}


def _fixed(first: Brief, now: Brief) -> list[str]:
    """Keys that the guard goes by at its start alone, and of which the node does not know."""
    pairs = {
        "node.user": (first.identities.node_user, now.identities.node_user),
        "node.group": (first.identities.node_group, now.identities.node_group),
        "node.guard_user": (first.identities.guard_user, now.identities.guard_user),
        "node.crypto_providers": (first.crypto_providers, now.crypto_providers),
        "firewall": (first.policy.firewall, now.policy.firewall),
        "hooks": (first.policy.hooks, now.policy.hooks),
    }
    return [key for key, (before, after) in pairs.items() if before != after]
