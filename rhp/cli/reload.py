"""`rhp reload`: have the running node read its configuration again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from rhp.cli import exits
from rhp.cli.options import config_option, give_up, no_file, node_socket, output_option
from rhp.config.tomlfile import TomlFileError
from rhp.node.control.client import ControlError, ask
from rhp.node.control.protocol import Request

NOT_APPLIED = exits.USAGE
"""The exit code when the file cannot be used, or not without a restart; nothing was changed then."""

PATIENCE = 90.0
"""Seconds to wait for the node; the guard gives up on a file after 60."""

_EFFECTS = {
    "swap": "its tunnels stay",
    "renew": "its tunnels are proved anew",
    "anew": "its tunnels begin anew",
}


@click.command()
@output_option
@config_option
def reload(output: str, config_file: Path) -> None:
    """Read the configuration again

    The node takes over what was added, changed and removed; the tunnels of connections that did not change stay as they
    are. A file with a mistake changes nothing, nor does one with a setting that needs a restart: all of these are
    listed, and the command ends with 2. It ends with 1 when the machine refused a part of the new configuration, or the
    node could not do it at all, and with 3 when none answers.

    \b
    Example: rhp reload
             rhp reload -o json
    """
    try:
        result = _ask(config_file)
    except TomlFileError as error:
        result = _no_toml(error)
    if output == "json":
        click.echo(json.dumps(result))
    else:
        _show(config_file, result)
    sys.exit(NOT_APPLIED if not result["applied"] else 1 if result["refused"] else 0)


def _ask(config_file: Path) -> dict[str, Any]:
    """What the node tells. Reading thousands of connections takes longer than anything else that it is asked.

    Raises `TomlFileError` for a file that does not even tell where its node is.
    """
    try:
        return ask(node_socket(config_file), Request("reload"), timeout=PATIENCE)
    except FileNotFoundError:
        no_file(config_file)
    except ControlError as error:
        give_up(error)


def _no_toml(error: TomlFileError) -> dict[str, Any]:
    """The same as the node would tell of it."""
    mistake = {"where": "", "line": error.line or 0, "message": str(error), "warning": False}
    lists: dict[str, Any] = {name: [] for name in ("added", "removed", "changed", "settings", "restart", "refused")}
    return {"schema_version": 1, "applied": False, **lists, "mistakes": [mistake]}


def _show(config_file: Path, result: Mapping[str, Any]) -> None:
    file = result.get("file", config_file)
    for mistake in result["mistakes"]:
        click.echo(_mistake(file, mistake), err=True)
    if not result["applied"]:
        for line in _obstacles(file, result):
            click.echo(line, err=True)
        return
    for line in _changes(result):
        click.echo(line)
    for sentence in result["refused"]:
        click.echo(f"refused: {sentence}", err=True)


def _mistake(file: str | Path, mistake: Mapping[str, Any]) -> str:
    """As `rhp config check` writes it."""
    place = f"{file}:{mistake['line']}" if mistake["line"] else str(file)
    subject = f"{mistake['where']}: " if mistake["where"] else ""
    return f"{place}: {'warning: ' if mistake['warning'] else ''}{subject}{mistake['message']}"


def _obstacles(file: str | Path, result: Mapping[str, Any]) -> Iterator[str]:
    for key in result["restart"]:
        yield f"{key} needs a restart: rhp down, rhp up"
    if wrong := sum(not mistake["warning"] for mistake in result["mistakes"]):
        yield f"{wrong} mistake{'s' if wrong > 1 else ''} in {file}; nothing was changed"
    else:
        yield "nothing was changed"


def _changes(result: Mapping[str, Any]) -> Iterator[str]:
    for name in result["removed"]:
        yield f"removed {name}"
    for one in result["changed"]:
        yield f"changed {one['name']}: {', '.join(one['keys'])}; {_EFFECTS.get(one['effect'], one['effect'])}"
    for name in result["added"]:
        yield f"added {name}"
    for key in result["settings"]:
        yield f"set {key}"
    if not any(result[kind] for kind in ("removed", "changed", "added", "settings")):
        yield "nothing is different"
