"""The undo log: every change to the machine leaves behind how it is taken back."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count

Step = Callable[[], Awaitable[object]]

_GONE = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENXIO})
"""What the kernel says when the thing to take back is gone already, often together with its interface."""


@dataclass(frozen=True, slots=True)
class _Entry:
    what: str
    step: Step


class UndoLog:
    """Steps to run in reverse order; each names what it takes back. A gateway has one for every tunnel's route."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._named: dict[str, list[int]] = {}
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, what: str, step: Step) -> None:
        """Remember how to take `what` back."""
        number = next(self._numbers)
        self._entries[number] = _Entry(what, step)
        self._named.setdefault(what, []).append(number)

    def forget(self, what: str) -> bool:
        """Drop the newest entry of this name, because it was taken back by other means; whether there was one."""
        if what not in self._named:
            return False
        del self._entries[self._newest(what)]
        return True

    async def run(self) -> list[str]:
        """Take everything back, newest first.

        Return a sentence for each step that failed. The log is empty afterwards.
        """
        problems = []
        while self._entries:
            entry = self._entries.popitem()[1]
            self._newest(entry.what)
            try:
                await entry.step()
            except Exception as error:
                # Netlink's errors are no OSErrors. Whatever fails here, the older entries still have to be taken back.
                if error_number(error) not in _GONE:
                    problems.append(f"{entry.what} could not be taken back: {error}")
        return problems

    def _newest(self, what: str) -> int:
        """The number of the newest entry of this name, which is forgotten here."""
        numbers = self._named[what]
        newest = numbers.pop()
        if not numbers:
            del self._named[what]
        return newest


def error_number(error: Exception) -> int | None:
    """Return the errno of an OSError, or of a netlink error, which has it in `code`; None for others."""
    number = error.errno if isinstance(error, OSError) else getattr(error, "code", None)
    return number if isinstance(number, int) else None
