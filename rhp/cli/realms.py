"""`rhp realms`: the roles of the running node, and who is in each. Imports nothing heavy."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from rhp.cli.options import ask_node, config_option, fail, output_option
from rhp.cli.table import octets, render, span
from rhp.config.suggest import nearest, one_of

KEYS = ("schema_version", "realms", "pools")
"""What of the status is about realms, beside their peers."""


@click.command()
@click.argument("name", metavar="[REALM]", required=False)
@output_option
@config_option
def realms(name: str | None, output: str, config_file: Path) -> None:
    """Show the realms and who is in them

    Without a name every realm: whom it takes, by what proof, how many peers are there, their pools and their hub. With
    the name of a realm its peers.

    \b
    Example: rhp realms
             rhp realms sales -o json
    """
    picture = ask_node(config_file, "status")
    known = [one["name"] for one in picture["realms"]]
    if name is not None and name not in known:
        hint = nearest(name, known) or one_of(known)
        fail(f'there is no realm "{name}"; {f"write {hint}" if hint else "none is configured"}')
    peers = [sa for sa in picture["ike_sas"] if sa["realm"] and name in (None, sa["realm"])]
    if output == "json":
        shown = {key: picture[key] for key in KEYS}
        shown["realms"] = [one for one in picture["realms"] if name in (None, one["name"])]
        click.echo(json.dumps({**shown, "peers": peers}, indent=2))
        return
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in realm_lines(picture, room) if name is None else peer_lines(peers, name, room):
        click.echo(line)


def realm_lines(picture: Mapping[str, Any], room: int | None) -> Iterator[str]:
    """The realms as text, for `room` columns."""
    if not picture["realms"]:
        yield "there is no realm; write a table [realms.NAME] with match = [..] in the configuration"
        return
    usage = {one["name"]: one for one in picture["pools"]}
    head = ("REALM", "PEERS", "PROOF", "HUB", "POOLS", "MATCH")
    yield from render(head, (_realm(one, usage) for one in picture["realms"]), room)


def peer_lines(peers: list[dict[str, Any]], name: str, room: int | None) -> Iterator[str]:
    """The peers of one realm as text."""
    if not peers:
        yield f"nobody is in the realm {name} now"
        return
    head = ("PEER", "ADDRESS", "LENT", "AGE", "RECEIVED", "SENT", "SUITE")
    yield from render(head, map(_peer, peers), room)


def _realm(one: Mapping[str, Any], usage: Mapping[str, Mapping[str, Any]]) -> tuple[object, ...]:
    pools = [f"{pool} {usage[pool]['online']}/{usage[pool]['size']}" for pool in one["pools"] if pool in usage]
    hub = f"{one['hub'] or 'own'}{', isolated' if one['isolate'] else ''}"
    return one["name"], one["peers"], one["auth"]["remote"], hub, ", ".join(pools) or None, ", ".join(one["match"])


def _peer(sa: Mapping[str, Any]) -> tuple[object, ...]:
    # Pairs for single lanes are counted with the one that serves all.
    children = [child for child in sa["children"] if child["lane"] is None]
    carried = (octets(sum(child[key] for child in children)) for key in ("bytes_in", "bytes_out"))
    return sa["peer"], sa["path"]["remote"], " ".join(sa["leased"]) or None, span(sa["age_s"]), *carried, sa["suite"]
