"""The undo log: every change to the machine leaves behind how it is taken back."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

Step = Callable[[], Awaitable[object]]

_GONE = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENXIO})
"""What the kernel says when the thing to take back is gone already, often together with its interface."""


@dataclass(frozen=True, slots=True)
class _Entry:
    what: str
    step: Step


class UndoLog:
    """Steps to run in reverse order; each names what it takes back. A gateway has one for every tunnel's route.

    An entry has a key, which is that name where none is given. One key is one thing on the machine: what is made again,
    because it went with its interface, is there once and has one entry, the newest.
    """

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, what: str, step: Step, key: Hashable = None) -> None:
        """Remember how to take `what` back."""
        key = what if key is None else key
        self.forget(key)
        self._entries[key] = _Entry(what, step)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def forget(self, key: Hashable) -> None:
        """Drop the entry of this key, if there is one, because it was taken back by other means."""
        self._entries.pop(key, None)

    async def run(self) -> list[str]:
        """Take everything back, newest first.

        Return a sentence for each step that failed. The log is empty afterwards, unless this was cut off: then it holds
        what is not taken back for sure.
        """
        problems = []
        while self._entries:
            key, entry = self._entries.popitem()
            try:
                await entry.step()
            except Exception as error:
                # Netlink's errors are no OSErrors. Whatever fails here, the older entries still have to be taken back.
                if error_number(error) not in _GONE:
                    problems.append(f"{entry.what} could not be taken back: {error}")
            except BaseException:
                self._entries[key] = entry
                raise
        return problems


def error_number(error: Exception) -> int | None:
    """Return the errno of an OSError, or of a netlink error, which has it in `code`; None for others."""
    number = error.errno if isinstance(error, OSError) else getattr(error, "code", None)
    return number if isinstance(number, int) else None
