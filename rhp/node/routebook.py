"""Which route each lineage wants, and which one of those to the same destination was set.

The kernel holds one route to a destination, and the guard takes back exactly the one that it was asked for. Two
children may lead to the same network and be sourced from different addresses, so what was set is noted, not inferred.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rhp.guard.protocol import AddRoute
from rhp.node.children import Lineage


@dataclass(slots=True)
class _Entry:
    """One destination: the route that was set, and who wants which, the oldest first."""

    standing: AddRoute
    wanted: dict[int, tuple[Lineage, AddRoute]] = field(default_factory=dict)


class RouteBook:
    """Keeps one entry for a destination as long as a lineage wants a route there."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def add(self, lineage: Lineage, route: AddRoute) -> bool:
        """A lineage wants that route; whether it is the one to set, because there is no other."""
        entry = self._entries.get(route.destination)
        if fresh := entry is None:
            entry = self._entries[route.destination] = _Entry(route)
        entry.wanted[lineage.group] = lineage, route
        return fresh

    def remove(self, lineage: Lineage, destination: str) -> tuple[AddRoute | None, tuple[Lineage, AddRoute] | None]:
        """A lineage wants its route there no more: the one to take back, if any, and the one to set in its place.

        KeyError for a lineage that wants none.
        """
        entry = self._entries[destination]
        del entry.wanted[lineage.group]
        if any(route == entry.standing for _, route in entry.wanted.values()):
            return None, None
        return entry.standing, self._follow(destination)

    def is_standing(self, route: AddRoute) -> bool:
        """Whether that very route is the one that was set, and not another one like it."""
        entry = self._entries.get(route.destination)
        return entry is not None and entry.standing is route

    def refuse(self, route: AddRoute) -> tuple[list[tuple[Lineage, AddRoute]], tuple[Lineage, AddRoute] | None]:
        """The standing route could not be set: who wanted one like it, and the one to set in its place."""
        entry = self._entries[route.destination]
        losers = [one for one in entry.wanted.values() if one[1] == route]
        for lineage, _ in losers:
            del entry.wanted[lineage.group]
        return losers, self._follow(route.destination)

    def _follow(self, destination: str) -> tuple[Lineage, AddRoute] | None:
        entry = self._entries[destination]
        heir = next(iter(entry.wanted.values()), None)
        if heir is None:
            del self._entries[destination]
        else:
            entry.standing = heir[1]
        return heir
