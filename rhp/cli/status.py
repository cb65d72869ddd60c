"""`rhp status`: what the running node does. Imports nothing heavy, so that it answers at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from rhp.cli import exits
from rhp.cli.lanes import KEYS, lane_lines
from rhp.cli.options import SCHEMA_VERSION, ask_node, config_option, output_option, quick, show_lines
from rhp.cli.table import octets, render, room, span
from rhp.cli.totals import total_lines

FAILURES_SHOWN = 5
_NO_SA: dict[str, Any] = {
    **dict.fromkeys(("peer", "path", "age_s", "rekey_in_s", "suite")),
    "peer_addresses": [],
}


@click.command()
@click.option("--lanes", is_flag=True, help="Show what each lane carries, and what the kernel does for it")
@click.option("--totals", is_flag=True, help="Show what each connection carried in all its life, over restarts")
@output_option
@config_option
@quick
def status(lanes: bool, totals: bool, output: str, config_file: Path) -> None:
    """Show what the running node does

    The interface, every connection with its tunnels, and what failed lately. With -o json everything, counters too.
    Ends with 4 when the interface has vanished, or when a connection that the node keeps up by itself is down.

    \b
    Example: rhp status
             rhp status -o json | jq .interface.mtu
    """
    if totals:
        _show_totals(ask_node(config_file, "totals"), output)
        return
    # A table has each IKE SA once; the long form, which holds the newest of a connection twice, is for programs.
    picture = ask_node(config_file, "status", form=None if lanes or output == "json" else "brief")
    if output == "json":
        shown = {"schema_version": SCHEMA_VERSION, **{key: picture[key] for key in KEYS}} if lanes else picture
        click.echo(json.dumps(shown, indent=2 if sys.stdout.isatty() else None))
    else:
        _join(picture)
        show_lines(lane_lines(picture, room()) if lanes else lines(picture, datetime.now(UTC), room()))
    if not healthy(picture):
        sys.exit(exits.UNHEALTHY)


def healthy(picture: Mapping[str, Any]) -> bool:
    """Whether the node is as its configuration wants it."""
    wanted = (one for one in picture["connections"] if one.get("start") == "initiate")
    interfaces = (picture["interface"], *(hub["interface"] for hub in picture["hubs"]))
    there = all(one["present"] for one in interfaces)
    return there and all(one["state"] not in ("failed", "connecting") for one in wanted)


def _join(picture: dict[str, Any]) -> None:
    """Give each connection of the brief form what the table shows of its IKE SA."""
    sas = {sa["ike_id"]: sa for sa in picture["ike_sas"]}
    picture["connections"] = [{**sas.get(one["ike_id"], _NO_SA), **one} for one in picture["connections"]]


def _show_totals(answer: dict[str, Any], output: str) -> None:
    if output == "json":
        click.echo(json.dumps(answer, indent=2))
        return
    for line in total_lines(answer["totals"], datetime.now(UTC), room()):
        click.echo(line)


def lines(picture: dict[str, Any], now: datetime, room: int | None = None) -> Iterator[str]:
    """The picture as text, for `room` columns; `now` is aware."""
    interface = picture["interface"]
    program = f"rhp {picture['version']} with {' '.join(picture['openssl'].split()[:2])}"
    yield f"node {picture['state']} for {span(picture['uptime_s'])}, process {picture['pid']}, {program}"
    yield f"interface {interface['name']}: {', '.join(_interface(interface))}"
    for hub in picture["hubs"][1:]:
        yield f"hub {hub['name']}: interface {hub['interface']['name']}, {', '.join(_hub(hub))}"
    yield ""
    yield from render(
        ("CONNECTION", "STATE", "PEER", "ADDRESS", "AGE", "REKEY IN", "SUITE"), _connections(picture), room
    )
    children = list(_children(picture))
    if children:
        yield ""
        head = ("CHILD", "MODE", "OVER", "MTU", "RECEIVED", "SENT", "AGE", "REKEY IN", "SUITE", "SPI IN", "SPI OUT")
        yield from render(head, children, room)
    yield from _addresses(picture, room)
    yield from _troubles(picture, now, room)


def _hub(hub: dict[str, Any]) -> Iterator[str]:
    yield from _interface(hub["interface"])
    yield "1 tunnel" if hub["ports"] == 1 else f"{hub['ports']} tunnels"
    if hub["isolate"]:
        yield "peers kept apart"


def _interface(interface: dict[str, Any]) -> Iterator[str]:
    bridge = interface.get("bridge")
    yield f"in bridge {bridge}" if bridge else " ".join(interface["addresses"]) or "no address"
    if not interface["present"]:
        yield "it has vanished"
        return
    if not interface.get("up", True):
        yield "it is down"
    yield f"mtu {interface['mtu']}"
    yield interface["mac"]


def _connections(picture: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    shown = set()
    for one in picture["connections"]:
        shown.add(one["ike_id"])
        yield _connection(one, one["name"], one["state"])
    for sa in picture["ike_sas"]:
        if sa["ike_id"] not in shown:
            yield _connection(sa, sa["connection"], sa["ike_state"])


def _connection(one: dict[str, Any], name: str | None, state: str) -> tuple[object, ...]:
    remote = one["path"]["remote"] if one["path"] else None
    if others := one["peer_addresses"]:
        remote = f"{remote} +{len(others)}"
    return name, state, one["peer"], remote, span(one["age_s"]), span(one["rekey_in_s"]), one["suite"]


def _children(picture: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for sa in picture["ike_sas"]:
        whole = {child["port"] for child in sa["children"] if child["lane"] is None}
        for child in sa["children"]:
            if child["lane"] is not None and child["port"] in whole:
                continue  # Its traffic is counted with the pair that serves all lanes.
            yield (
                f"{sa['connection']}/{child['name']}",
                child["mode"],
                "UDP" if child["encapsulation"] == "udp" else "ESP",
                child["mtu"],
                octets(child["bytes_in"]),
                octets(child["bytes_out"]),
                span(child["age_s"]),
                span(child["rekey_in_s"]),
                child["suite"],
                child["spi_in"],
                child["spi_out"],
            )


def _addresses(picture: dict[str, Any], room: int | None) -> Iterator[str]:
    """What we were assigned, what we have lent, and how full the pools are."""
    for sa in picture["ike_sas"]:
        if given := sa["assigned"]:
            yield ""
            servers = f"; name servers {' '.join(given['dns'])}" if given["dns"] else ""
            names = f" for {' '.join(given['domains'])}" if given["domains"] else ""
            yield f"{sa['connection']}: we were assigned {' '.join(given['addresses'])}{servers}{names}"
    lent = [(sa["peer"], " ".join(sa["leased"]), sa["connection"]) for sa in picture["ike_sas"] if sa["leased"]]
    if lent:
        yield ""
        yield from render(("LENT TO", "ADDRESSES", "CONNECTION"), lent, room)
    if picture["pools"]:
        yield ""
        rows = [(one["name"], one["size"], one["online"], one["resting"]) for one in picture["pools"]]
        yield from render(("POOL", "ADDRESSES", "IN USE", "KEPT"), rows, room)


def _troubles(picture: dict[str, Any], now: datetime, room: int | None) -> Iterator[str]:
    for one in picture["connections"]:
        if one["redirects_to"]:
            yield ""
            yield f"{one['name']}: who calls is sent to {one['redirects_to']}, until rhp redirect {one['name']} --off"
        if one["last_error"]:
            retry = f"; next try in {span(one['retry_in_s'])}" if one["retry_in_s"] is not None else ""
            yield ""
            yield f"{one['name']}: {one['last_error']}{retry}"
    if picture["failures"]:
        yield ""
        rows = [
            (
                f"{span(max(0.0, (now - datetime.fromisoformat(one['time'])).total_seconds()))} ago",
                one["count"],
                one["event"],
                one.get("connection"),
                one.get("peer"),
                one.get("detail") or one.get("reason"),
            )
            for one in picture["failures"][:FAILURES_SHOWN]
        ]
        yield from render(("FAILED", "TIMES", "WHAT", "CONNECTION", "PEER", "WHY"), rows, room)
