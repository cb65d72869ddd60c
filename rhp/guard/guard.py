"""The guard as the node sees it: one verb."""

from __future__ import annotations

from typing import Protocol

from rhp.guard.protocol import Answer, Question


class Guard(Protocol):
    """Answers questions about long-term secrets and privileged operations, in this process or in another one."""

    async def ask(self, question: Question) -> Answer:
        """Answer one question; never raises for a question that cannot be fulfilled, but answers `Refused`."""
        ...
