"""`rhp peers`: one line for each peer that is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from rhp.cli.options import ask_node, chosen_options, config_option, output_option, quick, show_json, show_lines
from rhp.cli.table import octets, render, room, span

HEAD = ("PEER", "CONNECTION", "ADDRESS", "FOR", "TUNNEL", "RECEIVED", "SENT")


@click.command()
@chosen_options
@output_option
@config_option
@quick
def peers(connection: str | None, peer: str | None, output: str, config_file: Path) -> None:
    """Show who is connected, one line a peer

    Who it proved to be, from where it speaks, for how long, through which tunnels, and what it sent and got. rhp watch
    shows the same as rates, and rhp sas the keys behind it.

    \b
    Example: rhp peers
             rhp peers --peer '*@sales.example.com' -o json
    """
    found = ask_node(config_file, "peers", connection=connection, peer=peer)
    if output == "json":
        show_json(found)
        return
    show_lines(render(HEAD, map(_row, found["peers"]), room()))


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        one["peer"],
        one["connection"],
        one["address"],
        span(one["age_s"]),
        ", ".join(tunnels(one)),
        octets(one["bytes_in"]),
        octets(one["bytes_out"]),
    )


def tunnels(one: Mapping[str, Any]) -> Iterator[str]:
    """What a peer's tunnels carry, in a word or two each."""
    for tunnel in one["tunnels"]:
        yield "Ethernet" if tunnel["mode"] == "ethernet" else f"IP to {tunnel['remote_ts']}"
