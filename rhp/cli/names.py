"""Names that the shell may complete: the connections of the configuration file on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rhp.config.tomlfile import TomlFileError, read_toml
from rhp.node.paths import DEFAULT_CONFIG

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_connection(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The connections whose names begin so; none where the file cannot be read."""
    from click.shell_completion import CompletionItem

    file = ctx.params.get("config_file") or DEFAULT_CONFIG
    try:
        connections = read_toml(Path(file))[1].get("connections")
    except (OSError, TomlFileError):
        return []
    names = connections if isinstance(connections, dict) else {}
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
