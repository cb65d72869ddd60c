"""`rhp hub`: which station the virtual Ethernet has learned where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from rhp.cli.options import ask_node, chosen_options, config_option, output_option, quick, show_json, show_lines
from rhp.cli.table import render, room, span

HEAD = ("STATION", "HUB", "PORT", "BEHIND", "CONNECTION", "HEARD")


@click.command()
@chosen_options
@click.option("--mac", metavar="MAC", help="Show only stations whose MAC address begins so")
@click.option(
    "--most", type=click.IntRange(1, 32768), default=1000, show_default=True, help="Show at most so many stations"
)
@output_option
@config_option
@quick
def hub(connection: str | None, peer: str | None, mac: str | None, most: int, output: str, config_file: Path) -> None:
    """Show the hub's table of stations

    Each MAC address that was heard on the virtual Ethernet, behind which peer it lives, or that it is on this
    machine's side, and how long ago it was heard. The newest come first.

    \b
    Example: rhp hub
             rhp hub --mac 02:00 --peer branch.example.com
    """
    found = ask_node(config_file, "hub", connection=connection, peer=peer, mac=mac, lines=str(most))
    if output == "json":
        show_json(found)
        return
    show_lines(render(HEAD, map(_row, found["stations"]), room()))
    if (left := found["matching"] - len(found["stations"])) > 0:
        click.echo(f"{left} more; --most shows them")


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    behind = "this machine" if one["where"] == "here" else one["peer"]
    heard = "fixed" if one["static"] else f"{span(one['age_s'])} ago"
    return one["mac"], one["hub"] or "-", one["port"], behind, one["connection"], heard
