"""What each connection has carried so far, its past tunnels included: a port's own counters end with the port."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

NAMES = ("bytes_in", "bytes_out", "packets_in", "packets_out", "drops")
NOTHING: Mapping[str, int] = dict.fromkeys(NAMES, 0)


class Traffic:
    """The sums of the ports that are gone, by connection."""

    def __init__(self) -> None:
        self._past: dict[str, Counter[str]] = {}

    def ended(self, connection: str, counters: Mapping[str, int]) -> None:
        """A port of that connection goes; its last `counters` are added to the past."""
        past = self._past.setdefault(connection, Counter())
        for name in NAMES:
            past[name] += counters[name]

    def past(self, connection: str) -> Mapping[str, int]:
        """What the connection's ended ports have carried, by the names of `NAMES`."""
        return self._past.get(connection, NOTHING)

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop what belongs to connections that have gone."""
        for name in [name for name in self._past if gone(name)]:
            del self._past[name]
