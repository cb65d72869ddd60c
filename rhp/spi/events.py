"""Event sink: gets every event of the node, as `rhp events -o json` shows them.

A sink has a thread and a bounded queue of its own, so it may be slow, block or fail: then it loses events, which are
counted, and a sink that fails again and again is let go (`rhp.node.sinks`). The node never waits for one.

The entry point (group `rhp.events`) names an object with `api_version` and `open`, see `EventSinkProvider`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Event = Mapping[str, Any]
"""`event` holds its words, `time` the moment (ISO 8601, UTC), the rest is fields; see docs/logging.md. No secrets."""


@dataclass(frozen=True, slots=True)
class SinkPlace:
    """Where a sink is: `state_dir` is the node's folder for what outlives a restart, `name` the sink's own name."""

    name: str
    state_dir: Path


class EventSink(Protocol):
    """One sink of one node. All calls come from one thread, which is the sink's own."""

    def take(self, event: Event) -> None:
        """What the sink is for. Whatever is raised here is counted, and the next event comes all the same."""
        ...

    def close(self) -> None:
        """The node ends; a sink that needs longer than a second is left behind."""
        ...


class EventSinkProvider(Protocol):
    """What the entry point names: it opens sinks."""

    @property
    def api_version(self) -> int:
        """The version of this page that it was written for."""
        ...

    def open(self, place: SinkPlace) -> EventSink:
        """A sink; called in the sink's thread. Whatever is raised here has the node go on without it, and say so."""
        ...
