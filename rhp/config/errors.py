"""What is wrong with a configuration: every mistake at once, each one sentence with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake or warning.

    `where` is the key's path ("connections.office.psk_file"), empty for the file as a whole; `line` is 1-based, or
    None where it could not be found; `message` says what is wrong and what to write instead, without a final period.
    """

    where: str
    message: str
    line: int | None = None
    warning: bool = False

    def render(self, file: Path) -> str:
        """Give "file:line: key: sentence", in the form that editors can jump to."""
        place = f"{file}:{self.line}" if self.line else str(file)
        subject = f"{self.where}: " if self.where else ""
        return f"{place}: {'warning: ' if self.warning else ''}{subject}{self.message}"


class ConfigError(Exception):
    """The configuration cannot be used; carries every mistake that was found, in the file's order."""

    def __init__(self, file: Path, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.render(file) for problem in self.problems))
