"""A reload: from the file as it is now to a node that goes by it, or to the reason why nothing was changed.

The guard has the file read and checked with all that it names, and keeps the result beside what is in force; the node
hears what is new in its own share, and compares. A mistake, or a setting that a running node cannot change, ends it
here. Else the guard adopts what it has read, its secrets first, and the node follows: hubs, engine, connections,
interfaces. SAs of connections that did not change are not touched. What the machine refuses after that, such as an
address, is told; the new configuration is in force all the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, replace
from typing import Any

from rhp.guard.brief import Revision, read_revision
from rhp.guard.guard import Guard
from rhp.guard.protocol import (
    AdoptConfiguration,
    Answer,
    ConfigurationRead,
    ConfigurationWrong,
    Done,
    Question,
    ReadConfiguration,
    Refused,
)
from rhp.ike.config import ConnectionConfig, EngineConfig
from rhp.node.changes import Able, Changes, difference
from rhp.node.control.server import CommandRefused
from rhp.node.fingerprints import bind_to_secrets
from rhp.node.journal import Journal
from rhp.node.settings import NodeSettings
from rhp.node.share import complete
from rhp.wire.errors import DecodeError

Follow = Callable[[NodeSettings, EngineConfig, Changes], Awaitable[list[str]]]
"""Goes by a configuration before it waits for anything; a sentence for each thing that the machine refused then."""

_LISTED = 20
"""So many keys of one change are written into a line of the log."""


class Reloader:
    """Reloads one after the other.

    `settings` and `engine` are what the node was made with; `key` keys the digests by which tickets are bound to
    secrets. `obstacle` is a sentence where the node cannot go by those settings now, and empty else.
    """

    def __init__(
        self,
        guard: Guard,
        journal: Journal,
        settings: NodeSettings,
        engine: EngineConfig,
        *,
        key: Callable[[], bytes],
        follow: Follow,
        obstacle: Callable[[NodeSettings], str],
    ) -> None:
        self._guard = guard
        self._journal = journal
        self._settings = settings
        self._engine = engine
        self._able = Able.of(engine)
        self._key = key
        self._follow = follow
        self._obstacle = obstacle
        self._bound: dict[str, ConnectionConfig] = {}
        self._generation = 1
        self._lock = asyncio.Lock()
        self.tasks: set[asyncio.Task[None]] = set()

    def begin(self, bound: EngineConfig) -> None:
        """The node begins with these connections, to which the digests of their secrets have been added."""
        self._bound = {one.name: one for one in bound.connections}

    def soon(self, reload: Coroutine[Any, Any, object]) -> None:
        """Have a reload done that nobody waits for, as by a signal; the log tells what came of it."""
        task = asyncio.get_running_loop().create_task(_quietly(reload), name="rhp-reload")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def reload(self, why: str) -> dict[str, Any]:
        """Reload, and tell what was done; raises `CommandRefused` when the guard cannot do its part.

        `applied` says whether the file is in force now; if not, `mistakes` or `restart` say why not, and nothing was
        changed.
        """
        async with self._lock:
            answer = await self.ask(ReadConfiguration(self._generation))
            if isinstance(answer, ConfigurationWrong):
                wrong = sum(not mistake.warning for mistake in answer.mistakes)
                self._refuse(why, f"{answer.file} has {wrong} mistake{'s' if wrong > 1 else ''}")
                return _told(mistakes=[asdict(mistake) for mistake in answer.mistakes], file=answer.file)
            if not isinstance(answer, ConfigurationRead):
                raise self._failure(why, answer)
            return await self._take(answer, why)

    async def _take(self, read: ConfigurationRead, why: str) -> dict[str, Any]:
        warnings = [asdict(warning) for warning in read.warnings]
        try:
            # With a thousand connections this takes a while; it touches nothing but what it is given.
            revision = await asyncio.to_thread(read_revision, read.content)
            changes, settings, engine = await asyncio.to_thread(self._compare, revision)
        except DecodeError as error:
            raise self._failure(why, Refused(f"the guard gave no configuration ({error.reason})")) from None
        if read.restart:
            changes = replace(changes, restart=(*read.restart, *changes.restart))
        if changes.restart:
            self._refuse(why, f"{', '.join(changes.restart)}: this needs a restart")
            return _told(changes, mistakes=warnings)
        if obstacle := self._obstacle(settings):
            raise self._failure(why, Refused(obstacle))
        adopted = await self.ask(AdoptConfiguration(read.generation))
        if not isinstance(adopted, Done):
            raise self._failure(why, adopted)
        self._generation = read.generation
        self._settings, self._engine = settings, _keeping(self._engine, engine, changes)
        bound = await self._bind(self._engine, changes)
        # The reason first, then what comes of it.
        self._audit(changes)
        refused = await self._follow(settings, bound, changes)
        counts = {"added": len(changes.added), "changed": len(changes.changed), "removed": len(changes.removed)}
        self._journal.write("configuration reloaded", reason=why, **counts, detail="; ".join(refused))
        return _told(changes, applied=True, mistakes=warnings, refused=refused)

    def _compare(self, revision: Revision) -> tuple[Changes, NodeSettings, EngineConfig]:
        share = complete(revision, self._engine)
        before, after = (self._settings, self._engine), (share.settings, share.engine)
        fresh = {one.connection: one.peers for one in revision.fresh}
        return difference(before, after, fresh, self._able), share.settings, share.engine

    async def _bind(self, engine: EngineConfig, changes: Changes) -> EngineConfig:
        """Add the digests of the secrets, which have to be asked for where something has changed."""
        others = {*changes.added, *(change.name for change in changes.changed)}
        asked = tuple(one for one in engine.connections if one.name in others)
        found = await bind_to_secrets(replace(engine, connections=asked), self, self._key())
        known = {**self._bound, **{one.name: one for one in found.connections}}
        self._bound = {one.name: known[one.name] for one in engine.connections}
        return replace(engine, connections=tuple(self._bound.values()))

    async def ask(self, question: Question) -> Answer:
        """Ask the guard; where it fails that is a refusal, for whoever asks here has to come to an end."""
        try:
            return await self._guard.ask(question)
        except Exception as error:
            return Refused(f"the guard failed ({type(error).__name__})")

    def _failure(self, why: str, answer: Answer) -> CommandRefused:
        reason = answer.reason if isinstance(answer, Refused) else "the guard gave another answer than it was asked for"
        self._refuse(why, reason)
        return CommandRefused(f"{reason}; nothing was changed")

    def _refuse(self, why: str, detail: str) -> None:
        self._journal.write("configuration refused", reason=why, detail=detail)

    def _audit(self, changes: Changes) -> None:
        """One line for each connection, and one for the node's settings."""
        for name in changes.removed:
            self._journal.write("connection dropped", connection=name)
        for change in changes.changed:
            keys, effect = _listed(change.keys), change.means.name.lower()
            self._journal.write("connection changed", connection=change.name, keys=keys, effect=effect)
        for name in changes.added:
            self._journal.write("connection added", connection=name)
        if changes.settings:
            self._journal.write("settings changed", keys=_listed(changes.settings))


async def _quietly(reload: Coroutine[Any, Any, object]) -> None:
    try:
        await reload
    except CommandRefused:
        pass  # It has been written down where it was refused.
    except Exception:
        logging.getLogger("rhp").exception("step failed")


def _keeping(old: EngineConfig, new: EngineConfig, changes: Changes) -> EngineConfig:
    """The new configuration with the old objects where nothing has changed, so that the next comparison is quick."""
    changed = {change.name for change in changes.changed}
    kept = {one.name: one for one in old.connections if one.name not in changed}
    return replace(new, connections=tuple(kept.get(one.name, one) for one in new.connections))


def _told(
    changes: Changes | None = None, *, applied: bool = False, refused: list[str] | None = None, **more: object
) -> dict[str, Any]:
    changes = changes or Changes()
    changed = [{"name": one.name, "keys": list(one.keys), "effect": one.means.name.lower()} for one in changes.changed]
    return {
        "schema_version": 1,
        "applied": applied,
        "added": list(changes.added),
        "removed": list(changes.removed),
        "changed": changed,
        "settings": list(changes.settings),
        "restart": list(changes.restart),
        "refused": refused or [],
        "mistakes": [],
        **more,
    }


def _listed(keys: tuple[str, ...]) -> str:
    rest = len(keys) - _LISTED
    return " ".join(keys[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
