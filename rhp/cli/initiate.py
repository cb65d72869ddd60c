"""`rhp initiate`: bring a connection up."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rhp.cli import exits
from rhp.cli.options import ask_node, config_option, connection_argument, control_socket, fail, give_up
from rhp.cli.progress import Failed, bring_up
from rhp.node.control.client import ControlError


@click.command()
@connection_argument
@click.option("--wait/--no-wait", default=None, help="Wait for the tunnel, by default where a person looks on")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 3600), default=60.0, show_default=True, help="Seconds to wait for it"
)
@config_option
def initiate(connection: str, wait: bool | None, timeout: float, config_file: Path) -> None:
    """Bring a connection up now

    Also after rhp terminate, and instead of waiting for the next try. On a terminal it shows how far the tunnel is,
    and ends when it carries traffic, or with 1 when it does not come up. Elsewhere it only asks, unless --wait is
    there.

    \b
    Example: rhp initiate office
             rhp initiate office --wait --timeout 10 && ping -c1 10.77.0.2
    """
    live = sys.stderr.isatty()
    if not (live if wait is None else wait):
        ask_node(config_file, "initiate", connection=connection)
        click.echo(f"{connection}: asked for")
        return
    try:
        said = bring_up(control_socket(config_file), connection, timeout, live=live)
    except Failed as error:
        fail(f"{connection}: {error}", exits.FAILED)
    except ControlError as error:
        give_up(error)
    except KeyboardInterrupt:
        fail(f"{connection}: still asked for; rhp terminate {connection} ends it", exits.FAILED)
    click.echo(f"{connection}: {said}")
