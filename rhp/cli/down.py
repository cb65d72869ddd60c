"""`rhp down`: end the running node."""

from __future__ import annotations

from pathlib import Path

import click

from rhp.cli.options import config_option, control_socket, fail
from rhp.node.control.client import ControlError, stop


@click.command()
@config_option
def down(config_file: Path) -> None:
    """End the running node

    Peers are told, then links and routes are taken back. Returns when all of that is done.
    """
    try:
        stop(control_socket(config_file))
    except ControlError as error:
        fail(str(error))
    click.echo("the node has ended")
