"""The guard in this process: secrets and network administration behind the same questions as the process to come."""

from __future__ import annotations

from dataclasses import dataclass

from rhp.guard.protocol import Answer, Question


@dataclass(frozen=True, slots=True)
class ConnectionSecrets:
    """What the guard holds for one connection; paths are absolute, `psk` is the key itself when it stands in the configuration."""

    connection: str
    local_id: tuple[int, bytes] | None = None
    remote_id: str = "%any"
    psk: bytes | None = None
    psk_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """What the guard allows: the secrets of each connection and the interface names that are ours."""

    connections: tuple[ConnectionSecrets, ...] = ()
    interfaces: tuple[str, ...] = ("rhp0",)


class LocalGuard:
    """Answers in this process. Make it from a policy; it loads the secrets at once and raises `SecretsError` listing every mistake."""

    def __init__(self, policy: GuardPolicy) -> None:
        raise NotImplementedError

    async def ask(self, question: Question) -> Answer:
        """Answer one question."""
        raise NotImplementedError
