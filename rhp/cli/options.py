"""Options that several commands share, and the way from them to the running node. Standard library and click only."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from rhp.config.tomlfile import TomlFileError, read_toml
from rhp.node.control.client import ControlError, ask
from rhp.node.control.protocol import Request
from rhp.node.paths import CONTROL_SOCKET, DEFAULT_CONFIG, DEFAULT_RUN_DIR

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


def fail(sentence: str) -> NoReturn:
    """Say one sentence on standard error and end with exit code 1."""
    click.echo(f"rhp: {sentence}", err=True)
    sys.exit(1)


def control_socket(config_file: Path) -> Path:
    """Where the node of that configuration listens. Only node.run_dir is read: the node checked the rest at its start.

    Without the default file a node may still run in the default folder, so that file may be absent.
    """
    try:
        node = read_toml(config_file)[1].get("node")
    except FileNotFoundError:
        if config_file != DEFAULT_CONFIG:
            fail(f"there is no configuration file {config_file}")
        node = None
    except TomlFileError as error:
        fail(f"{config_file}{f':{error.line}' if error.line else ''}: {error}")
    run_dir = node.get("run_dir") if isinstance(node, dict) else None
    folder = config_file.absolute().parent
    return (folder / run_dir if isinstance(run_dir, str) else DEFAULT_RUN_DIR) / CONTROL_SOCKET


def ask_node(config_file: Path, command: str, **fields: str | None) -> dict[str, Any]:
    """Put a command to the running node; ends with a sentence when none answers or it refuses."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return ask(control_socket(config_file), Request(command, given))
    except ControlError as error:
        fail(str(error))
