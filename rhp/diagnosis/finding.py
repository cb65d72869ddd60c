"""What a look at the machine found: one sentence, and what to do where something is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    `subject` is a word that stays the same ("ports"). A "problem" keeps something from working and has `advice`; a
    "note" costs speed or convenience, or may be as it is wanted.
    """

    subject: str
    level: Level
    says: str
    advice: str | None = None


def fine(subject: str, says: str) -> Finding:
    """All is well there."""
    return Finding(subject, "ok", says)


def note(subject: str, says: str, advice: str | None = None) -> Finding:
    """Worth knowing; nothing is broken."""
    return Finding(subject, "note", says, advice)


def problem(subject: str, says: str, advice: str) -> Finding:
    """Something does not work, or will not; `advice` begins with a verb."""
    return Finding(subject, "problem", says, advice)
