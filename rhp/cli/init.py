"""`rhp init`: a first gateway and its first client, in five questions or one line."""

from __future__ import annotations

import shlex
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rhp.cli.asking import Dialogue, said
from rhp.cli.options import config_option, fail
from rhp.cli.placing import Draft, NewFile, taken
from rhp.node.paths import DEFAULT_CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rhp.config.invitation import Invitation

AUTH = ("certificate", "psk")
_NEW_CA = "for one more client run rhp init invite NAME. --force makes a new CA, and no client invited so far gets in"

_yes = click.option("-y", "--yes", is_flag=True, help="Ask nothing, and take the default of what is not given")
_force = click.option("--force", is_flag=True, help="Write over files that are there")
_print = click.option("--print", "show", is_flag=True, help="Print the invitation, too; it holds a secret")


@click.group()
def init() -> None:
    """Write a first configuration

    First rhp init gateway on the gateway, which also makes an invitation; then rhp init client with that invitation on
    the other machine.
    """


@init.command()
@click.option("--name", metavar="NAME", help="Name of the gateway, a host name")
@click.option("--address", metavar="ADDRESS", help="Where clients call it, if not at its name")
@click.option("--pool", metavar="NETWORK", help="Network that clients get their addresses of")
@click.option("--networks", metavar="NETWORKS", help="Networks behind the gateway, with commas between them")
@click.option("--auth", type=click.Choice(AUTH), help="How the first client proves itself")
@click.option("--client", metavar="CLIENT", help="Name of the first client")
@_yes
@_force
@_print
@config_option
def gateway(
    name: str | None,
    address: str | None,
    pool: str | None,
    networks: str | None,
    auth: str | None,
    client: str | None,
    yes: bool,
    force: bool,
    show: bool,
    config_file: Path,
) -> None:
    """Write a gateway's first configuration, and an invitation for its first client

    Asks for what is not given. With certificates it makes a CA, and rhp init invite makes further invitations; a shared
    key is for one client alone. Nothing that is there already is written over without --force. With it
    there is a new CA, and no client invited so far gets in.

    \b
    Example: rhp init gateway
             rhp init gateway --name vpn.example.org --pool 10.88.0.0/24 --yes
    """
    from rhp.cli.firstkeys import certified_gateway, gateway_with_key
    from rhp.config.first import CA_KEY, Plan, networks_behind, pool_network
    from rhp.config.invitation import client_name, host_name, host_to_call

    talk = Dialogue(yes)
    known = talk.ask("--name", "Name of this gateway, as clients call it", name, _own_name(), host_name)
    lent = talk.ask("--pool", "Network for the clients' addresses", pool, "10.88.0.0/24", pool_network)
    behind = talk.ask(
        "--networks", "Networks behind it for clients", networks, "none", lambda text: networks_behind(text, lent)
    )
    proof = talk.ask("--auth", "Clients have a certificate, or a psk", auth, AUTH[0], _auth)
    first = talk.ask("--client", "Name of the first client", client, "laptop", client_name)
    called = known if address is None else said("--address", address, host_to_call)
    plan = Plan(known, called, lent, behind)
    make = gateway_with_key if proof == "psk" else certified_gateway
    files, invitation = make(plan, first, config_file.name)
    name_of_it = _invitation_name(invitation)
    lost = f"; {_NEW_CA}" if CA_KEY in files and (config_file.absolute().parent / CA_KEY).exists() else ""
    _write(config_file, {**files, name_of_it: NewFile(invitation.text().encode(), secret=True)}, force, lost)
    click.echo(f"wrote {config_file} and the keys beside it")
    _tell_invitation(config_file.parent / name_of_it, invitation, show)
    _tell_next(config_file)
    if behind:
        version = "ipv4.ip_forward" if lent.version == 4 else "ipv6.conf.all.forwarding"
        click.echo(f"for the networks behind it this machine has to forward:\n  sysctl -w net.{version}=1")


@init.command()
@click.argument("client")
@click.option("--address", metavar="ADDRESS", help="Where this client calls the gateway, if not where all do")
@_force
@_print
@config_option
def invite(client: str, address: str | None, force: bool, show: bool, config_file: Path) -> None:
    """Make an invitation for one more client

    Needs the CA that rhp init gateway made. Without --address the client calls the gateway where the gateway's
    certificate says, as rhp init gateway was told, or else at its name. The running node need not be told.

    \b
    Example: rhp init invite laptop-2
    """
    from rhp.cli.firstkeys import further_invitation
    from rhp.config.invitation import client_name, host_to_call

    known = said("CLIENT", client, client_name)
    try:
        invitation = further_invitation(config_file, known, address and said("--address", address, host_to_call))
    except ValueError as error:
        fail(str(error))
    name_of_it = _invitation_name(invitation)
    _write(config_file, {name_of_it: NewFile(invitation.text().encode(), secret=True)}, force, check=False)
    click.echo(f"{invitation.client} calls the gateway at {invitation.address}")
    _tell_invitation(config_file.parent / name_of_it, invitation, show)


@init.command("client")
@click.argument("invitation", type=click.Path(path_type=Path, allow_dash=True), metavar="INVITATION")
@_yes
@_force
@config_option
def client_(invitation: Path, yes: bool, force: bool, config_file: Path) -> None:
    """Write a client's first configuration from an invitation

    INVITATION is the file that rhp init gateway wrote, or - to paste its text. Nothing that is there already is written
    over without --force.

    \b
    Example: rhp init client laptop.invitation
    """
    from rhp.cli.firstkeys import client_files
    from rhp.config.invitation import read_invitation

    try:
        found = read_invitation(_text_of(invitation))
    except ValueError as error:
        fail(f"{'what was pasted' if str(invitation) == '-' else invitation}: {error}")
    if str(invitation) != "-":
        question = f"Write {config_file} for {found.identity}, which calls {found.address}?"
        Dialogue(yes).agree(question)
    _write(config_file, client_files(found, config_file.name), force)
    click.echo(f"wrote {config_file} and the keys beside it, for {found.identity}")
    _tell_next(config_file)


def _auth(text: str) -> str:
    found = next((one for one in AUTH if text and one.startswith(text.lower())), None)
    if found is None:
        raise ValueError(f'"{text}" is neither; write {AUTH[0]} or {AUTH[1]}')
    return found


def _own_name() -> str:
    """What this machine calls itself, where that can be a gateway's name; no name server is asked."""
    from rhp.config.invitation import host_name

    name = socket.gethostname()
    try:
        return "" if name.startswith("localhost") else host_name(name)
    except ValueError:
        return ""


def _text_of(invitation: Path) -> str:
    from rhp.config.invitation import END, LARGEST

    if str(invitation) == "-":
        read = ""
        while len(read) <= LARGEST and (line := sys.stdin.readline(LARGEST)):
            read += line
            if END in line:
                break
        return read
    try:
        with invitation.open(encoding="utf-8", errors="replace") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        fail(f"{invitation} cannot be read: {error.strerror or error}")


def _write(config_file: Path, files: Mapping[str, NewFile], force: bool, lost: str = "", *, check: bool = True) -> None:
    """Put the files beside the configuration, once it has been seen that they make a good one.

    `lost` ends the sentence about a file that is there: what --force costs beyond that file.
    """
    from rhp.config.errors import ConfigError
    from rhp.config.loading import load

    folder = config_file.absolute().parent
    if not force and (there := taken(folder, files)):
        fail(f"{there[0]} exists already; nothing was written (--force writes over it){lost}")
    try:
        with Draft(folder, files) as draft:
            if check:
                load(draft.folder / config_file.name)
            draft.put()
    except ConfigError as error:
        fail(f"this makes no good configuration, and nothing was written:\n{error}")
    except OSError as error:
        fail(f"{folder} cannot be written: {error.strerror or error}")


def _invitation_name(invitation: Invitation) -> str:
    return f"{invitation.client}.invitation"


def _tell_invitation(path: Path, invitation: Invitation, show: bool) -> None:
    click.echo(f"wrote {path}, the invitation for {invitation.client}")
    if show:
        click.echo(invitation.text(), nl=False)
    click.echo("it holds a secret: bring it to the client over a safe way, then delete it here and there")
    click.echo(f"on the client:\n  rhp init client {shlex.quote(path.name)}\n  rhp up")


def _tell_next(config_file: Path) -> None:
    where = "" if config_file == DEFAULT_CONFIG else f" -c {shlex.quote(str(config_file))}"
    click.echo(f"here, next:\n  rhp config check{where}\n  rhp up{where}")
