"""`rhp capture`: the traffic of the tunnels, inside and outside, in a file for Wireshark."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, BinaryIO

import click

from rhp.capture.match import Wanted
from rhp.capture.pcapng import PcapngWriter
from rhp.capture.session import Limits, Session, Summary
from rhp.cli.options import ask_node, config_option, control_socket, fail, output_option
from rhp.node.control.client import ControlError
from rhp.node.control.unknown import no_connection

IpAddress = IPv4Address | IPv6Address
_STDOUT = Path("-")
_ENDS = {"count": "as many as asked", "size": "the file is full", "time": "the time is over", "node": "the node ended"}
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def _size(ctx: click.Context, param: click.Parameter, value: str) -> int:
    digits, unit = (value[:-1], value[-1].upper()) if value[-1:].upper() in _UNITS else (value, "")
    if not digits.isascii() or not digits.isdigit() or not int(digits[:12]):
        raise click.BadParameter(f"{value!r} is no size; write it like 500K, 100M or 2G", ctx, param)
    return int(digits[:12]) * _UNITS.get(unit, 1)


def _host(ctx: click.Context, param: click.Parameter, value: str | None) -> IpAddress | None:
    try:
        return None if value is None else ip_address(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no IP address", ctx, param) from None


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--inner", "what", flag_value="inner", help="Only what the tunnels carry")
@click.option("--outer", "what", flag_value="outer", help="Only IKE and ESP")
@click.option("--connection", metavar="NAME", help="Only this connection's")
@click.option("--host", metavar="ADDRESS", callback=_host, help="Only packets from or to this address")
@click.option("--port", type=click.IntRange(1, 65535), metavar="PORT", help="Only inner packets from or to this port")
@click.option("--octets", type=click.IntRange(1, 65550), default=65550, metavar="N", help="Keep N octets of a packet")
@click.option(
    "--limit", callback=_size, metavar="SIZE", default="100M", show_default=True, help="End when the file is that long"
)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N packets")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), metavar="S", help="End after S seconds")
@click.option("--force", is_flag=True, help="Write over FILE when it is there")
@output_option
@config_option
def capture(file: Path, what: str | None, force: bool, output: str, config_file: Path, **chosen: Any) -> None:  # noqa: ANN401
    """Write the traffic of the tunnels to a file for Wireshark

    FILE is pcapng: one interface for what the tunnels carry, in clear, with the peer's name beside each frame, and one
    for each outer interface with IKE and ESP as they stand on the wire. It ends with Ctrl-C, with the node, or by a
    limit. --host with an inner address chooses among the inner frames only. The file holds people's traffic: its
    owner alone can read it.

    \b
    Example: rhp capture office.pcapng --connection office --seconds 10
             rhp capture - --inner | wireshark -k -i -
    """
    status = ask_node(config_file, "status")
    name = chosen["connection"]
    known = [one["name"] for one in status["connections"]]
    if name is not None and name not in known:
        fail(no_connection(name, known))
    with _open(file, force) as opened:
        session = Session(
            PcapngWriter(opened, f"rhp {status['version']}"),
            status["interface"]["name"],
            Wanted(chosen["host"], chosen["port"]),
            _outer_filter(status, name, chosen["host"]),
            Limits(chosen["limit"], chosen["count"], chosen["seconds"]),
        )
        try:
            if what != "outer":
                session.hear_inner(control_socket(config_file), name, chosen["octets"])
            if what != "inner":
                session.hear_outer(status["ports"].values(), chosen["octets"])
        except ControlError as error:
            fail(str(error))
        except PermissionError:
            fail("this user may not listen on the outer interfaces; try as root, or with --inner")
        if output == "table":
            click.echo("Capturing; Ctrl-C ends it", err=True)
        summary = session.run()
    if output == "json":
        click.echo(json.dumps({"schema_version": 1, "file": str(file), **asdict(summary)}), err=file == _STDOUT)
    else:
        click.echo(_sentence(summary), err=True)


@contextmanager
def _open(file: Path, force: bool) -> Iterator[BinaryIO]:
    """The file, for its owner's eyes only; one that is there stays unless `force` is given."""
    if file == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        if force:
            file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        fail(f"{file} is there already; --force writes over it")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror or error}")
    with os.fdopen(descriptor, "wb") as opened:
        try:
            yield opened
        except SystemExit:
            # The capture did not begin.
            file.unlink()
            raise


def _outer_filter(status: dict[str, Any], connection: str | None, host: IpAddress | None) -> Callable[[bytes], bool]:
    """Which outer packets belong to that connection's peers of now and to that host."""
    takers = [Wanted(host).takes_packet] if host is not None and host in _peers(status, None) else []
    if connection is not None:
        peers = [Wanted(peer).takes_packet for peer in _peers(status, connection)]
        takers.append(lambda packet: any(takes(packet) for takes in peers))
    return lambda packet: all(takes(packet) for takes in takers)


def _peers(status: dict[str, Any], connection: str | None) -> set[IpAddress]:
    """The outer addresses of a connection's peers, or of all."""
    remotes = (sa["path"]["remote"] for sa in status["ike_sas"] if connection in (None, sa["connection"]))
    return {ip_address(remote.rpartition(":")[0].strip("[]")) for remote in remotes}


def _sentence(summary: Summary) -> str:
    lost = f", {summary.lost} lost" if summary.lost else ""
    why = f" ({_ENDS[summary.ended]})" if summary.ended in _ENDS else ""
    return f"{summary.inner} inner frames{lost} and {summary.outer} outer packets in {summary.octets} octets{why}"
