"""A configuration taken apart: what the guard has to know, and what the node may know."""

from __future__ import annotations

from rhp.config.loading import Loaded
from rhp.config.nodeshare import NodeShare, write_share
from rhp.guard.brief import Brief, Shares, Warned


def apart(loaded: Loaded) -> Shares:
    """Both shares of a configuration."""
    settings = loaded.settings
    warnings = tuple(
        Warned(f"{loaded.file}:{one.line}" if one.line else str(loaded.file), f"{one.where}: {one.message}")
        for one in loaded.warnings
    )
    brief = Brief(
        policy=loaded.policy,
        identities=loaded.identities,
        run_dir=str(settings.run_dir),
        state_dir=str(settings.state_dir),
        log_level=settings.log_level,
        log_levels=tuple(settings.log_levels.items()),
        log_format=settings.log_format,
        lowest_port=min(settings.port, settings.natt_port),
        warnings=warnings,
    )
    return Shares(brief, write_share(NodeShare(settings, loaded.engine)))
