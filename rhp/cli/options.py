"""Options that several commands share, and the way from them to the running node. Standard library and click only."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import click

from rhp.cli import exits
from rhp.cli.names import complete_connection
from rhp.config.tomlfile import TomlFileError, parse, read_text
from rhp.node.control.client import ControlError, NotRunning, ask
from rhp.node.control.protocol import Request
from rhp.node.paths import CONTROL_SOCKET, DEFAULT_CONFIG, DEFAULT_RUN_DIR

SCHEMA_VERSION = 1
"""Of every JSON object that a command prints: fields may be added under it, never renamed."""

F = TypeVar("F", bound=Callable[..., Any])


def config_option(function: F) -> F:
    """Add -c FILE."""
    return click.option(
        "-c",
        "--config",
        "config_file",
        type=click.Path(path_type=Path, readable=False),
        default=DEFAULT_CONFIG,
        show_default=True,
        metavar="FILE",
        help="Configuration file",
    )(function)


def output_option(function: F) -> F:
    """Add -o table|json."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="How to show it",
    )(function)


def connection_argument(function: F) -> F:
    """Add CONNECTION, a name that the shell completes."""
    return click.argument("connection", shell_complete=complete_connection)(function)


def chosen_options(function: F) -> F:
    """Add --connection NAME and --peer IDENTITY, which choose among the peers."""
    named = click.option(
        "--connection", metavar="NAME", shell_complete=complete_connection, help="Show only what is of this connection"
    )
    peer = click.option(
        "--peer", metavar="IDENTITY", help="Show only this peer, or with * in it, all whose identity fits"
    )
    return named(peer(function))


def quick(function: F) -> F:
    """Run a command that looks and ends without the cycle collector, which would go through all it was told."""

    @wraps(function)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401  # Whatever click gives.
        was_on = gc.isenabled()
        gc.disable()
        try:
            function(*arguments, **options)
        finally:
            if was_on:
                gc.enable()

    return cast("F", run)


def fail(sentence: str, code: int = exits.FAILED) -> NoReturn:
    """Say one sentence on standard error and end, with exit code 1 unless another one tells more."""
    click.echo(f"rhp: {sentence}", err=True)
    sys.exit(code)


def give_up(error: ControlError) -> NoReturn:
    """End because the node does not answer, or refuses."""
    fail(str(error), exits.NOT_RUNNING if isinstance(error, NotRunning) else exits.FAILED)


def no_file(config_file: Path) -> NoReturn:
    """End because there is no such configuration file."""
    fail(f"there is no configuration file {config_file}; rhp init makes one, -c FILE names another", exits.USAGE)


def show_lines(lines: Iterable[str]) -> None:
    """Print lines in one go, for thousands of them are written in no time then."""
    click.echo("\n".join(lines))


def show_json(value: dict[str, Any]) -> None:
    """Print one object; `schema_version` comes first, whoever made it."""
    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **value}))


def control_socket(config_file: Path) -> Path:
    """Where the node of that configuration listens; ends with a sentence when the file cannot be read."""
    try:
        return node_socket(config_file)
    except FileNotFoundError:
        no_file(config_file)
    except TomlFileError as error:
        fail(f"{config_file}{f':{error.line}' if error.line else ''}: {error}", exits.USAGE)


def node_socket(config_file: Path) -> Path:
    """The same for who goes on without: raises what `read_toml` does.

    Only node.run_dir is read: the node checked the rest at its start. Without the default file a node may still run in
    the default folder, so that file may be absent.
    """
    try:
        text = read_text(config_file)
    except FileNotFoundError:
        if config_file != DEFAULT_CONFIG:
            raise
        text = ""
    usual = DEFAULT_RUN_DIR / CONTROL_SOCKET
    # To parse a thousand connections takes as long as all the rest. With a backslash the key may be written otherwise.
    if "run_dir" not in text and "\\" not in text and os.access(usual, os.F_OK):
        return usual
    node = parse(text).get("node")
    run_dir = node.get("run_dir") if isinstance(node, dict) else None
    return config_file.absolute().parent / run_dir / CONTROL_SOCKET if isinstance(run_dir, str) else usual


def running_node(config_file: Path) -> dict[str, Any] | None:
    """The status of the node of that configuration; None when none answers, whatever the reason."""
    try:
        return ask(node_socket(config_file), Request("status"))
    except (ControlError, OSError, TomlFileError):
        return None


def ask_node(config_file: Path, command: str, **fields: str | None) -> dict[str, Any]:
    """Put a command to the running node; ends with a sentence when none answers or it refuses."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return ask(control_socket(config_file), Request(command, given))
    except ControlError as error:
        give_up(error)
