"""`rhp watch`: what each peer sends and gets, as it changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rhp.cli.options import chosen_options, config_option, control_socket, give_up, output_option, show_json
from rhp.cli.peers import tunnels
from rhp.cli.rates import Rates
from rhp.cli.table import plain, rate, render, room, span
from rhp.node.control.client import ControlError, Session
from rhp.node.control.protocol import Request

if TYPE_CHECKING:
    from rich.table import Table

HEAD = ("PEER", "CONNECTION", "ADDRESS", "FOR", "TUNNEL", "RECEIVES", "SENDS", "PACKETS IN", "PACKETS OUT")


@click.command()
@chosen_options
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after so many looks")
@click.option(
    "--interval", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True, help="Seconds from look to look"
)
@output_option
@config_option
def watch(
    connection: str | None, peer: str | None, count: int | None, interval: float, output: str, config_file: Path
) -> None:
    """Watch what each peer sends and gets

    The rates of the last second, the busiest peer first, until Ctrl-C. Received and sent are this node's view, and
    count what the tunnel carries, not what it adds. With -o json each look is one object on a line.

    \b
    Example: rhp watch
             rhp watch --count 5 -o json | jq '.peers[].bits_in_s'
    """
    fields = {name: value for name, value in (("connection", connection), ("peer", peer)) if value is not None}
    try:
        with Session(control_socket(config_file)) as session:
            looks = _looks(session, Request("peers", fields), interval, count)
            if output == "json":
                for look in looks:
                    show_json(look)
            elif sys.stdout.isatty():
                _live(looks)
            else:
                _lines(looks)
    except ControlError as error:
        give_up(error)
    except KeyboardInterrupt:
        return


def _looks(session: Session, request: Request, interval: float, count: int | None) -> Iterator[dict[str, Any]]:
    """The peers with their rates, again and again; the first look is only there to count from."""
    rates = Rates()
    rates.take(session.ask(request))
    due = time.monotonic()
    number = 0
    while count is None or number < count:
        due = max(due + interval, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
        yield rates.take(session.ask(request))
        number += 1


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    return (
        one["peer"],
        one["connection"],
        one["address"],
        span(one["age_s"]),
        ", ".join(tunnels(one)),
        rate(one["bits_in_s"] / 8),
        rate(one["bits_out_s"] / 8),
        f"{one['packets_in_s']:.0f}/s",
        f"{one['packets_out_s']:.0f}/s",
    )


def _lines(looks: Iterator[dict[str, Any]]) -> None:
    for look in looks:
        click.echo(look["time"])
        for line in render(HEAD, map(_row, look["peers"]), room()):
            click.echo(line)


def _live(looks: Iterator[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with Live(console=console, auto_refresh=False, screen=True) as live:
        for look in looks:
            live.update(_table(look, console.height), refresh=True)


def _table(look: dict[str, Any], height: int) -> Table:
    """As many of the busiest peers as there is room for."""
    from rich.table import Table
    from rich.text import Text

    fits = max(1, height - 6)
    left = len(look["peers"]) - fits
    table = Table(
        title=f"{look['total']} peers at {look['time']}",
        caption=f"{left} more" if left > 0 else None,
        title_justify="left",
        pad_edge=False,
        expand=True,
    )
    for number, name in enumerate(HEAD):
        table.add_column(name, justify="right" if number >= 5 else "left", no_wrap=True, overflow="ellipsis")
    for one in look["peers"][:fits]:
        # Text, not markup: a peer's identity is its own words.
        table.add_row(*(Text(plain(str(cell))) for cell in _row(one)))
    return table
