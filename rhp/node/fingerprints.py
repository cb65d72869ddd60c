"""Which shared keys stand behind each connection: the guard tells by a keyed digest, and tickets are bound to it."""

from __future__ import annotations

from dataclasses import replace

from rhp.guard.guard import Guard
from rhp.guard.protocol import Fingerprint, FingerprintSecrets
from rhp.ike.config import ConnectionConfig, EngineConfig


async def bind_to_secrets(config: EngineConfig, guard: Guard, key: bytes) -> EngineConfig:
    """The configuration with the digest of each connection's secrets, keyed with `key` (32 octets)."""
    bound = [await _bind(connection, guard, key) for connection in config.connections]
    return replace(config, connections=tuple(bound))


async def _bind(connection: ConnectionConfig, guard: Guard, key: bytes) -> ConnectionConfig:
    if not connection.resumption:
        return connection
    answer = await guard.ask(FingerprintSecrets(connection.name, key))
    if isinstance(answer, Fingerprint):
        return replace(connection, secrets=answer.data)
    # A ticket that would outlive its key is worse than none.
    return replace(connection, resumption=False)
