"""How many there are of each thing, kept up to date, so that nobody has to look through all tunnels to know."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Tally(Generic[T]):
    """What is there at least once. Iterating gives each thing once."""

    def __init__(self) -> None:
        self._counts: dict[T, int] = {}

    def __contains__(self, thing: object) -> bool:
        return thing in self._counts

    def __iter__(self) -> Iterator[T]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, thing: T) -> bool:
        """One more of it; whether it is the first."""
        self._counts[thing] = count = self._counts.get(thing, 0) + 1
        return count == 1

    def remove(self, thing: T) -> bool:
        """One less of it; whether that was the last. KeyError where there is none."""
        count = self._counts[thing] - 1
        if count:
            self._counts[thing] = count
            return False
        del self._counts[thing]
        return True
