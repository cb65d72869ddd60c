"""`rhp sas`: the security associations themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from rhp.cli.options import ask_node, chosen_options, config_option, output_option, quick, show_json, show_lines
from rhp.cli.table import render, room, span

IKE_HEAD = (
    "IKE SA",
    "PEER",
    "STATE",
    "ROLE",
    "SPI OF INITIATOR",
    "SPI OF RESPONDER",
    "AGE",
    "REKEY IN",
    "ENDS IN",
    "SUITE",
)
CHILD_HEAD = ("CHILD SA", "IKE SA", "STATE", "SPI IN", "SPI OUT", "LANE", "AGE", "REKEY IN", "ENDS IN", "SUITE")


@click.command()
@chosen_options
@output_option
@config_option
@quick
def sas(connection: str | None, peer: str | None, output: str, config_file: Path) -> None:
    """Show the IKE SAs and Child SAs

    Each with its SPIs as they stand in the packets, its algorithms, and how long it lives. Half-open IKE SAs are
    listed too, unless --peer asks for somebody. With -o json also selectors, counters and the path.

    \b
    Example: rhp sas
             rhp sas --connection office -o json
    """
    found = ask_node(config_file, "sas", connection=connection, peer=peer)
    if output == "json":
        show_json(found)
        return
    show_lines(lines(found["ike_sas"], room()))


def lines(ike_sas: list[dict[str, Any]], columns: int | None) -> Iterator[str]:
    """The two tables, for that many columns."""
    yield from render(IKE_HEAD, map(_ike, ike_sas), columns)
    children = [row for sa in ike_sas for row in _children(sa)]
    if children:
        yield ""
        yield from render(CHILD_HEAD, children, columns)


def _ike(sa: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        f"{sa['connection'] or 'unknown'} #{sa['ike_id']}",
        sa["peer"],
        sa["ike_state"],
        sa["role"],
        sa["ike_spi_i"],
        sa["ike_spi_r"],
        span(sa["age_s"]),
        span(sa["rekey_in_s"]),
        span(sa["expires_in_s"]),
        sa["suite"],
    )


def _children(sa: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    for child in sa["children"]:
        yield (
            f"{child['name']} #{child['child_id']}",
            f"#{sa['ike_id']}",
            child["state"],
            child["spi_in"],
            child["spi_out"],
            "all" if child["lane"] is None else child["lane"],
            span(child["age_s"]),
            span(child["rekey_in_s"]),
            span(child["expires_in_s"]),
            child["suite"],
        )
