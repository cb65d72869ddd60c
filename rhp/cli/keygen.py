"""`rhp keygen`: shared keys, and a small CA with node certificates, so that nobody needs openssl commands."""

from __future__ import annotations

import base64
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from rhp.cli.options import fail

if TYPE_CHECKING:
    from rhp.pki.ca import KeyType

PSK_OCTETS = 32
CA_CERTIFICATE, CA_KEY = "ca.pem", "ca.key"
KEY_TYPES = ("ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "ed25519")

_key_type = click.option(
    "--type",
    "key_type",
    type=click.Choice(KEY_TYPES),
    default="ecdsa-p256",
    show_default=True,
    help="Kind of key",
)


@click.group()
def keygen() -> None:
    """Make shared keys and certificates"""


@keygen.command()
@click.option("-o", "--output", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file")
def psk(file: Path | None) -> None:
    """Make a pre-shared key of 256 random bits

    Prints it, or writes it to a file that only its owner can read, in a folder that is made where there is none. Both
    ends of a connection need the same key.

    \b
    Example: rhp keygen psk -o /etc/rhp/office.psk
    """
    _shared_key(file, "psk_file", new_psk())


def new_psk() -> str:
    """A pre-shared key of 256 random bits, as text that every end takes as it stands.

    Behind "0x" or "0s" a file has something else than the text, here and in swanctl.
    """
    while (key := base64.b64encode(secrets.token_bytes(PSK_OCTETS)).decode()).startswith("0"):
        pass
    return key


@keygen.command()
@click.option("-o", "--output", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file")
def ppk(file: Path | None) -> None:
    """Make a post-quantum preshared key of 256 random bits

    It is mixed into the keys of a connection (RFC 8784) beside whatever proves the two ends to each other. Prints it,
    or writes it as rhp keygen psk does. Both ends need the same key, under the same ppk_id.

    \b
    Example: rhp keygen ppk -o /etc/rhp/office.ppk
    """
    _shared_key(file, "ppk_file", f"0x{secrets.token_hex(PSK_OCTETS)}")


def _shared_key(file: Path | None, setting: str, key: str) -> None:
    """Print a key, or write it to a file of its owner's alone and print the setting that names it."""
    if file is None:
        click.echo(key)
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        taken = file if file.parent.is_dir() else file.parent
        fail(f"{taken} exists already; name another file, or remove it first")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror or error}")
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(key + "\n")
    click.echo(f'{setting} = "{file.name}"')


@keygen.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", required=True, metavar="NAME", help="Name of the CA, as it stands in its certificate")
@click.option("--days", type=click.IntRange(1, 36500), default=3650, show_default=True, help="Days of validity")
@_key_type
def ca(folder: Path, name: str, days: int, key_type: str) -> None:
    """Make a certificate authority in FOLDER

    Writes ca.pem, which every node needs, and ca.key, which stays in this folder.

    \b
    Example: rhp keygen ca pki --name 'Example CA'
    """
    from rhp.pki.ca import create_ca

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = create_ca(name, datetime.now(UTC), key_type=cast("KeyType", key_type), days=days)
        made.write(folder / CA_CERTIFICATE, folder / CA_KEY)
    except FileExistsError as error:
        fail(f"{_existing(error)} exists already; name another folder, or remove it first")
    except OSError as error:
        fail(f"the CA cannot be made in {folder}: {error.strerror or error}")
    except ValueError as error:
        fail(f"the CA cannot be made: {error}")
    click.echo(f'remote.cas = ["{CA_CERTIFICATE}"]')


@keygen.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--days", type=click.IntRange(1, 36500), default=825, show_default=True, help="Days of validity")
@_key_type
def node(folder: Path, names: tuple[str, ...], days: int, key_type: str) -> None:
    """Make a node's certificate with the CA in FOLDER

    Each NAME is an identity the node may use: a host name, a mail address or an IP address. The files are called after
    the first. Copy both, and ca.pem, to the node beside its configuration.

    \b
    Example: rhp keygen node pki gate.example.org 192.0.2.1
    """
    from rhp.pki.ca import Credentials, issue

    try:
        authority = Credentials((folder / CA_CERTIFICATE).read_bytes(), (folder / CA_KEY).read_bytes())
    except FileNotFoundError as error:
        fail(f"there is no {error.filename}; make the CA first with rhp keygen ca {folder} --name ...")
    except OSError as error:
        fail(f"the CA in {folder} cannot be read: {error.strerror or error}")
    stem = "".join(char if char.isalnum() or char in "-._@" else "_" for char in names[0])
    certificate, key = folder / f"{stem}.pem", folder / f"{stem}.key"
    try:
        made = issue(authority, names, datetime.now(UTC), key_type=cast("KeyType", key_type), days=days)
        made.write(certificate, key)
    except FileExistsError as error:
        fail(f"{_existing(error)} exists already; remove it first, or use another name")
    except OSError as error:
        fail(f"the certificate cannot be made in {folder}: {error.strerror or error}")
    except ValueError as error:
        fail(f"the certificate cannot be made: {error}")
    click.echo(f'local.id = "{names[0]}"')
    click.echo(f'local.certs = ["{certificate.name}"]')
    click.echo(f'local.key = "{key.name}"')
    click.echo(f'remote.cas = ["{CA_CERTIFICATE}"]')


def _existing(error: FileExistsError) -> str:
    return str(error.filename or error).removesuffix(" exists already")
