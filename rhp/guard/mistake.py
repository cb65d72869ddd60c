"""A mistake in a configuration, as guard and node are told of it. By itself, so that who reads one loads no more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a configuration, or weak where it is a `warning`: the key's path, the line (from 1), a sentence.

    `where` is empty for the file as a whole, `line` 0 where it is not known.
    """

    where: str
    line: int
    message: str
    warning: bool = False
