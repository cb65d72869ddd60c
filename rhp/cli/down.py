"""`rhp down`: end the running node."""

from __future__ import annotations

from pathlib import Path

import click

from rhp.cli.options import config_option, control_socket, give_up
from rhp.node.control.client import ControlError, stop


@click.command()
@config_option
def down(config_file: Path) -> None:
    """End the running node

    Peers are told, then links and routes are taken back. Returns when all of that is done; ends with 3 when there is
    none.

    \b
    Example: rhp down
             rhp down -c /etc/rhp/branch.toml
    """
    try:
        stop(control_socket(config_file))
    except ControlError as error:
        give_up(error)
    click.echo("the node has ended")
