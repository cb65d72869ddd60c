"""The two rounds: what a start would need (`rhp check`), and all that usually goes wrong (`rhp doctor`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rhp.config.errors import ConfigError, Problem
from rhp.config.loading import Loaded, load
from rhp.diagnosis import certificates, clock, firewall, hooks, interfaces, kernel, paths, ports, running, start
from rhp.diagnosis.finding import Finding, fine, note, problem

Status = Mapping[str, Any]

_SENTENCE = re.compile(r"(.*)(?:; |: (?=run ))(.+)", re.DOTALL)
"""A mistake of the configuration says what is wrong, and then what to do."""
_READ = "mend that line; docs/configuration.md says what it may hold"


def configuration(file: Path) -> tuple[Loaded | None, list[Finding]]:
    """The configuration, None with a mistake, and what was found in it."""
    try:
        loaded = load(file)
    except ConfigError as error:
        return None, [_finding(file, one) for one in error.problems]
    return loaded, [*(_finding(file, one) for one in loaded.warnings), fine("configuration", f"{file} is good")]


def check(loaded: Loaded, status: Status | None) -> Iterator[Finding]:
    """What `rhp up` would need on this machine; with a node at work here, `status` is what it says of itself."""
    settings, live = loaded.settings, status is not None
    yield from start.file_modes(loaded.file)
    yield from start.machine(loaded)
    yield from start.users(loaded)
    yield from start.folders(loaded)
    yield from ports.look((settings.port, settings.natt_port), running=live)
    yield from interfaces.look(loaded, None if status is None else _served(status))
    if status is not None:
        yield note("node", f"a node runs here already, process {status['pid']}")


def doctor(loaded: Loaded | None, status: Status | None) -> Iterator[Finding]:
    """All there is to look at; without a configuration, what does not need one."""
    yield from clock.look()
    yield from kernel.look()
    if loaded is not None:
        yield from check(loaded, None) if status is None else _beside(loaded, status)
        yield from certificates.look(loaded)
        yield from firewall.look(loaded, running=status is not None)
        yield from hooks.look(loaded)
        yield from interfaces.forwarding(loaded, running=status is not None)
        yield from interfaces.reverse_path(loaded)
        yield from paths.look(loaded)
    if status is not None:
        places = {} if loaded is None else {one.name: one.policy.hub for one in loaded.engine.connections}
        yield from running.look(status, places)
    else:
        yield note("node", "no node runs here", "run rhp up")


def _beside(loaded: Loaded, status: Status) -> Iterator[Finding]:
    """What can be seen of the machine while the node runs."""
    settings = loaded.settings
    yield from start.file_modes(loaded.file)
    yield from start.users(loaded)
    yield from start.folders(loaded)
    yield from ports.look((settings.port, settings.natt_port), running=True)
    yield from interfaces.look(loaded, _served(status))


def _served(status: Status) -> list[str]:
    """The interfaces of a running node."""
    return [one["interface"]["name"] for one in (status, *status["hubs"])]


def _finding(file: Path, one: Problem) -> Finding:
    place = f"{file}:{one.line}" if one.line else str(file)
    parts = _SENTENCE.fullmatch(one.message)
    said, advice = parts.groups() if parts else (one.message, None)
    words = f"{place}: {one.where + ': ' if one.where else ''}{said}"
    if one.warning:
        return note("configuration", words, advice)
    return problem("configuration", words, advice or _READ)
