"""`rhp add-lane`: one more thread for packets."""

from __future__ import annotations

from pathlib import Path

import click

from rhp.cli.options import ask_node, config_option


@click.command("add-lane")
@config_option
def add_lane(config_file: Path) -> None:
    """Add a lane to the running node

    One more thread for packets, out of node.spare_lanes. Tunnels and their traffic go on meanwhile; a peer that takes
    part gets one more Child SA. rhp status --lanes shows what it carries.

    \b
    Example: rhp add-lane
    """
    result = ask_node(config_file, "add-lane")
    click.echo(f"lane {result.get('lane')} is in use")
