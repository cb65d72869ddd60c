"""`rhp leases`: which inner addresses are whose, and giving one back that its owner no longer needs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from rhp.cli.options import ask_node, config_option, output_option
from rhp.cli.table import ago, render


@click.group(invoke_without_command=True)
@output_option
@config_option
@click.pass_context
def leases(context: click.Context, output: str, config_file: Path) -> None:
    """List the inner addresses that are lent

    In use, or kept for a peer that is away and gets the same one when it comes back, also after a restart of the node.

    \b
    Example: rhp leases
             rhp leases release 10.88.0.7
    """
    if context.invoked_subcommand is not None:
        context.obj = config_file
        return
    answer = ask_node(config_file, "leases")
    if output == "json":
        click.echo(json.dumps(answer, indent=2))
        return
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines(answer["leases"], datetime.now(UTC), room):
        click.echo(line)


@leases.command()
@click.argument("address")
@click.option(
    "-c",
    "--config",
    "config_file",
    type=click.Path(path_type=Path, readable=False),
    metavar="FILE",
    help="Configuration file",
)
@click.pass_obj
def release(earlier: Path, address: str, config_file: Path | None) -> None:
    """Let a kept address be anybody's

    Its owner loses it, and gets another one when it comes back. An address that is in use cannot be released.

    \b
    Example: rhp leases release 10.88.0.7
    """
    answer = ask_node(config_file or earlier, "release-lease", address=address)
    click.echo(f"{address} is free; {' and '.join(answer['released'])} had it")


def lines(found: list[dict[str, Any]], now: datetime, room: int | None = None) -> Iterator[str]:
    """The leases as text, for `room` columns; `now` is aware."""
    if not found:
        yield "no address is lent"
        return
    rows = [
        (one["address"], one["identity"], one["state"], ago(one["since"], now), ago(one["changed"], now), one["pool"])
        for one in found
    ]
    yield from render(("ADDRESS", "PEER", "STATE", "SINCE", "CHANGED", "POOL"), rows, room)
