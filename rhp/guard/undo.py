"""The undo log: every change to the machine leaves behind how it is taken back."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Step = Callable[[], Awaitable[object]]

_GONE = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENXIO})
"""What the kernel says when the thing to take back is gone already, often together with its interface."""


@dataclass(frozen=True, slots=True)
class _Entry:
    what: str
    step: Step


class UndoLog:
    """Steps to run in reverse order; each names what it takes back."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, what: str, step: Step) -> None:
        """Remember how to take `what` back."""
        self._entries.append(_Entry(what, step))

    def forget(self, what: str) -> bool:
        """Drop the newest entry of this name, because it was taken back by other means; whether there was one."""
        for position in range(len(self._entries) - 1, -1, -1):
            if self._entries[position].what == what:
                del self._entries[position]
                return True
        return False

    async def run(self) -> list[str]:
        """Take everything back, newest first.

        Return a sentence for each step that failed. The log is empty afterwards.
        """
        problems = []
        while self._entries:
            entry = self._entries.pop()
            try:
                await entry.step()
            except Exception as error:
                # Netlink's errors are no OSErrors. Whatever fails here, the older entries still have to be taken back.
                if error_number(error) not in _GONE:
                    problems.append(f"{entry.what} could not be taken back: {error}")
        return problems


def error_number(error: Exception) -> int | None:
    """Return the errno of an OSError, or of a netlink error, which has it in `code`; None for others."""
    number = error.errno if isinstance(error, OSError) else getattr(error, "code", None)
    return number if isinstance(number, int) else None
