"""A configuration taken apart: what the guard has to know, and what the node may know."""

from __future__ import annotations

from collections.abc import Iterable

from rhp.config.errors import ConfigError, Problem
from rhp.config.loading import Loaded
from rhp.guard.brief import Brief, Mistaken, Shares
from rhp.guard.mistake import Mistake
from rhp.node.share import NodeShare, divide


def apart(loaded: Loaded) -> Shares:
    """Both shares of a configuration."""
    settings = loaded.settings
    brief = Brief(
        file=str(loaded.file),
        policy=loaded.policy,
        identities=loaded.identities,
        run_dir=str(settings.run_dir),
        state_dir=str(settings.state_dir),
        log_level=settings.log_level,
        log_levels=tuple(settings.log_levels.items()),
        log_format=settings.log_format,
        lowest_port=min(settings.port, settings.natt_port),
        crypto_providers=settings.crypto_providers,
        warnings=_told(loaded.warnings),
    )
    return Shares(brief, divide(NodeShare(settings, loaded.engine)))


def mistaken(error: ConfigError) -> Mistaken:
    """What is wrong with a configuration, as the guard is told."""
    wrong = sum(not problem.warning for problem in error.problems)
    return Mistaken(str(error), wrong, str(error.file), _told(error.problems))


def _told(problems: Iterable[Problem]) -> tuple[Mistake, ...]:
    return tuple(Mistake(one.where, one.line or 0, one.message, one.warning) for one in problems)
