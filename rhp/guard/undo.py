"""The undo log: every change to the machine leaves behind how it is taken back."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from itertools import count

Step = Callable[[], Awaitable[object]]

_GONE = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENXIO})
"""What the kernel says when the thing to take back is gone already, often together with its interface."""


@dataclass(frozen=True, slots=True)
class _Entry:
    what: str
    key: Hashable
    step: Step


class UndoLog:
    """Steps to run in reverse order; each names what it takes back. A gateway has one for every tunnel's route.

    An entry is found again by its key, which is that name where none is given.
    """

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._keyed: dict[Hashable, list[int]] = {}
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, what: str, step: Step, key: Hashable = None) -> None:
        """Remember how to take `what` back."""
        number = next(self._numbers)
        entry = _Entry(what, what if key is None else key, step)
        self._entries[number] = entry
        self._keyed.setdefault(entry.key, []).append(number)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._keyed

    def forget(self, key: Hashable) -> bool:
        """Drop the newest entry of this key, because it was taken back by other means; whether there was one."""
        if key not in self._keyed:
            return False
        del self._entries[self._newest(key)]
        return True

    async def run(self) -> list[str]:
        """Take everything back, newest first.

        Return a sentence for each step that failed. The log is empty afterwards.
        """
        problems = []
        while self._entries:
            entry = self._entries.popitem()[1]
            self._newest(entry.key)
            try:
                await entry.step()
            except Exception as error:
                # Netlink's errors are no OSErrors. Whatever fails here, the older entries still have to be taken back.
                if error_number(error) not in _GONE:
                    problems.append(f"{entry.what} could not be taken back: {error}")
        return problems

    def _newest(self, key: Hashable) -> int:
        """The number of the newest entry of this key, which is forgotten here."""
        numbers = self._keyed[key]
        newest = numbers.pop()
        if not numbers:
            del self._keyed[key]
        return newest


def error_number(error: Exception) -> int | None:
    """Return the errno of an OSError, or of a netlink error, which has it in `code`; None for others."""
    number = error.errno if isinstance(error, OSError) else getattr(error, "code", None)
    return number if isinstance(number, int) else None
