"""The keys behind a first configuration, and the files that it then consists of; all in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rhp.cli.keygen import new_psk
from rhp.cli.placing import NewFile
from rhp.config.first import (
    CA_CERTIFICATE,
    CA_KEY,
    CLIENTS,
    Plan,
    client_configuration,
    gateway_certificates,
    gateway_psk,
)
from rhp.config.invitation import Invitation, host_to_call
from rhp.config.tomlfile import TomlFileError, read_toml
from rhp.pki.ca import Credentials, create_ca, issue
from rhp.pki.certificate import certificate_identities, read_certificates
from rhp.pki.identity import format_identity
from rhp.wire.iana import IdType

Files = dict[str, NewFile]
_LONGEST_CA_NAME = 64
_HOSTS = (IdType.FQDN, IdType.IPV4_ADDR, IdType.IPV6_ADDR)


def gateway_with_key(plan: Plan, client: str, config_name: str) -> tuple[Files, Invitation]:
    """A gateway and a client that share a key. The configuration comes last, so that it finds all that it names."""
    key = new_psk()
    psk_file = f"{client}.psk"
    files = {
        psk_file: NewFile(key.encode() + b"\n", secret=True),
        config_name: NewFile(gateway_psk(plan, client, psk_file).encode()),
    }
    return files, Invitation(plan.name, plan.address, client, plan.reachable, psk=key)


def certified_gateway(plan: Plan, client: str, config_name: str) -> tuple[Files, Invitation]:
    """A gateway with a CA of its own, and a client with a certificate of that."""
    now = datetime.now(UTC)
    authority = create_ca(f"CA of {plan.name}"[:_LONGEST_CA_NAME], now)
    # Where it is called belongs into a gateway's certificate: other programs look for what they dialled, and the next
    # invitation is made from there.
    ours = issue(authority, list(dict.fromkeys((plan.name, plan.address))), now)
    certificate, key = f"{plan.name}.pem", f"{plan.name}.key"
    files = {
        CA_KEY: NewFile(authority.private_key, secret=True),
        CA_CERTIFICATE: NewFile(authority.certificate),
        key: NewFile(ours.private_key, secret=True),
        certificate: NewFile(ours.certificate),
        config_name: NewFile(gateway_certificates(plan, certificate, key).encode()),
    }
    return files, _certified(plan.name, plan.address, client, plan.reachable, authority)


def further_invitation(config_file: Path, client: str, address: str | None) -> Invitation:
    """An invitation of the gateway that `certified_gateway` made.

    It is called at `address`, else where its certificate says beside its name, else at its name. ValueError with a
    sentence where there is no such gateway.
    """
    folder = config_file.absolute().parent
    try:
        table = read_toml(config_file)[1]
        connection = table["connections"][CLIENTS]
        name, reachable = connection["local"]["id"], connection["children"]["net"]["local_ts"]
        certificate = folder / connection["local"]["certs"][0]
        authority = Credentials((folder / CA_CERTIFICATE).read_bytes(), (folder / CA_KEY).read_bytes())
    except (TomlFileError, KeyError, IndexError, TypeError):
        raise ValueError(
            f"{config_file} is not what rhp init gateway writes for clients with certificates; name the gateway's file "
            "with -c, or make a key with rhp keygen node"
        ) from None
    except OSError as error:
        raise ValueError(f"{error.filename} cannot be read: {error.strerror}") from None
    return _certified(name, address or _called(certificate, name) or name, client, tuple(reachable), authority)


def _called(certificate: Path, name: str) -> str | None:
    """The one other name that a gateway's certificate has; None where there is none, or more than one."""
    try:
        found = certificate_identities(read_certificates(certificate.read_bytes())[0])
        hosts = [format_identity(one) for one in found if one.id_type in _HOSTS]
        (other,) = dict.fromkeys(host for host in hosts if host.lower() != name.lower())
        return host_to_call(other)
    except (OSError, ValueError):
        return None


def client_files(invitation: Invitation, config_name: str) -> Files:
    """What a client of that gateway needs, the configuration last."""
    stem = invitation.identity
    names = f"{invitation.gateway}.psk", f"{stem}.pem", f"{stem}.key", f"{invitation.gateway}-ca.pem"
    psk_file, certificate, key, ca = names
    files: Files = {}
    if invitation.psk:
        files[psk_file] = NewFile(invitation.psk.encode() + b"\n", secret=True)
    else:
        files[key] = NewFile(invitation.key.encode(), secret=True)
        files[certificate] = NewFile(invitation.certificate.encode())
        files[ca] = NewFile(invitation.ca.encode())
    files[config_name] = NewFile(client_configuration(invitation, *names).encode())
    return files


def _certified(
    gateway: str, address: str, client: str, reachable: tuple[str, ...], authority: Credentials
) -> Invitation:
    theirs = issue(authority, [f"{client}@{gateway}"], datetime.now(UTC))
    return Invitation(
        gateway,
        address,
        client,
        reachable,
        ca=authority.certificate.decode(),
        certificate=theirs.certificate.decode(),
        key=theirs.private_key.decode(),
    )
