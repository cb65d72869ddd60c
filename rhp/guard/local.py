"""The guard in this process: secrets and network administration behind the same questions as the process to come."""

from __future__ import annotations

from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import Answer, Question


class LocalGuard:
    """Answers in this process.

    Loads the secrets at once and raises `SecretsError` (`.problems`: every mistake, one sentence each).
    """

    def __init__(self, policy: GuardPolicy) -> None:
        raise NotImplementedError

    async def ask(self, question: Question) -> Answer:
        """Answer one question."""
        raise NotImplementedError

    def update(self, policy: GuardPolicy) -> None:
        """Take over another policy's secrets and names; raises `SecretsError` and changes nothing when one is wrong."""
        raise NotImplementedError
