"""The keys and certificates that a connection or a realm names: read, and checked against each other.

What comes back holds certificates only. Private keys and pre-shared keys are looked at, to find mistakes before a node
starts, and forgotten; the guard reads them for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from rhp.config.credential_files import CredentialFiles
from rhp.config.model import FILES, Configuration, Peering
from rhp.config.peering_checks import auth_methods
from rhp.config.providers import read_trust
from rhp.config.reading import Findings, Place
from rhp.config.suggest import one_of
from rhp.guard.keyfile import decode_psk
from rhp.pki.certificate import (
    certificate_is_ca,
    certificate_names,
    certificate_validity,
    identity_in_certificate,
)
from rhp.pki.chain import Trust
from rhp.pki.identity import format_identity

SHORTEST_PSK = 16
SHORTEST_PPK = 32
"""Octets: 256 bits, because a quantum computer makes a key worth half its bits (RFC 8784 section 6)."""
FEWEST_OCTETS = 8
SOON = timedelta(days=30)
"""Before a certificate's end: when it is time for another one."""


@dataclass(frozen=True, slots=True)
class Chains:
    """The certificates of one connection or realm in DER: our own chain, the end entity first, and what is trusted."""

    own: tuple[bytes, ...] = ()
    trust: Trust = field(default_factory=Trust)


def read_credentials(
    configuration: Configuration, folder: Path, findings: Findings, now: datetime
) -> dict[str, Chains]:
    """Read every file that connections and realms name; mistakes go to `findings`. `now` is aware."""
    files = CredentialFiles(folder)
    return {
        here[-1]: _read_peering(here, peering, files, findings, now.astimezone(UTC))
        for here, peering in configuration.peerings()
    }


def _read_peering(
    here: tuple[str, ...], peering: Peering, files: CredentialFiles, findings: Findings, now: datetime
) -> Chains:
    ours, theirs = auth_methods(peering)
    if "psk" in (ours, theirs):
        _check_psk(here, peering, files, findings)
    _check_ppk(here, peering, files, findings)
    own: tuple[bytes, ...] = ()
    if ours == "pubkey":
        own = _certificates((*here, "local", "certs"), peering.local.certs, files.certificates, findings, now)
        _check_identity(here, peering, own, findings)
        _check_key(here, peering, own, files, findings)
    trust = Trust()
    if theirs == "pubkey":
        if peering.remote.certificate_store == FILES:
            # Each mistake with its place; what is in order is read again by the store.
            _certificates((*here, "remote", "cas"), peering.remote.cas, files.authorities, findings, now)
        trust = read_trust(here, peering, files, findings, now)
        cas = trust.anchors
        if cas and not any(map(_vouches, cas)):
            findings.add(
                (*here, "remote", "cas"),
                "no certificate here is a CA's, so only a peer with exactly this one is believed; write the CA's file",
                warning=True,
            )
    return Chains(own, trust)


def _check_psk(here: tuple[str, ...], peering: Peering, files: CredentialFiles, findings: Findings) -> None:
    found = [_shared_key(here, "psk", peering.psk, peering.psk_file, files, findings)]
    for who, file in peering.psk_files.items():
        found.append(_read_key((*here, "psk_files", who), file, files, findings))
    for place, key in found:
        _check_length(place, key, findings)


def _check_length(place: tuple[str, ...], key: bytes | None, findings: Findings) -> None:
    if key is not None and len(key) < SHORTEST_PSK:
        findings.add(
            place,
            f"this key has {len(key)} octets and can be guessed; make a longer one with rhp keygen psk",
            warning=True,
        )


def _check_ppk(here: tuple[str, ...], peering: Peering, files: CredentialFiles, findings: Findings) -> None:
    place, key = _shared_key(here, "ppk", peering.ppk, peering.ppk_file, files, findings)
    if key is None:
        return
    if len(key) < SHORTEST_PPK:
        short = f"this key has {len(key)} octets, and {SHORTEST_PPK} are needed against a quantum computer"
        findings.add(place, f"{short}; make one with rhp keygen ppk", warning=True)
    elif len(set(key)) < FEWEST_OCTETS:
        findings.add(place, "this key repeats itself and can be guessed; make one with rhp keygen ppk", warning=True)


def _shared_key(
    here: tuple[str, ...],
    name: str,
    inline: SecretStr | None,
    file: str | None,
    files: CredentialFiles,
    findings: Findings,
) -> tuple[tuple[str, ...], bytes | None]:
    """Where the key stands, and the key; None where there is none or it is wrong, which is noted."""
    place = (*here, name if inline is not None else f"{name}_file")
    try:
        if inline is not None:
            return place, decode_psk(inline.get_secret_value().encode(), ppk=name == "ppk")
    except ValueError as error:
        findings.add(place, str(error))
    if inline is not None or file is None:
        return place, None
    return _read_key(place, file, files, findings, ppk=name == "ppk")


def _read_key(
    place: tuple[str, ...], file: str, files: CredentialFiles, findings: Findings, *, ppk: bool = False
) -> tuple[tuple[str, ...], bytes | None]:
    """Where the file is named, and the key in it; None where it is wrong, which is noted."""
    try:
        return place, files.shared_key(file, ppk=ppk)
    except ValueError as error:
        findings.add(place, str(error))
    return place, None


def _certificates(
    place: tuple[str, ...],
    names: Iterable[str],
    read: Callable[[str], tuple[bytes, ...]],
    findings: Findings,
    now: datetime,
) -> tuple[bytes, ...]:
    found: list[bytes] = []
    for index, name in enumerate(names):
        here: Place = (*place, index)
        try:
            ders = read(name)
        except ValueError as error:
            findings.add(here, str(error))
            continue
        for der in ders:
            _check_validity(here, name, der, findings, now)
        found += ders
    return tuple(found)


def _check_validity(place: Place, name: str, der: bytes, findings: Findings, now: datetime) -> None:
    """Warn only: dates are judged at each handshake, and one certificate must not keep the other tunnels down.

    Also a board without a clock of its own does not know the date at its start, but later.
    """
    first, last = certificate_validity(der)
    if now > last:
        said = f"ended on {last:%Y-%m-%d}, and whoever needs it is refused; write one that is valid"
    elif now < first:
        said = f"begins on {first:%Y-%m-%d}, and whoever needs it is refused; set the clock, or write another one"
    elif now + SOON > last:
        said = f"ends on {last:%Y-%m-%d}; renew it soon"
    else:
        return
    findings.add(place, f"the certificate in {name} {said}", warning=True)


def _check_identity(here: tuple[str, ...], peering: Peering, own: tuple[bytes, ...], findings: Findings) -> None:
    identity = peering.local.id
    if identity is None or not own or identity_in_certificate(own[0], identity):
        return
    names = _usual_names(own[0])
    hint = f"write {one_of(names)}, or" if names else "write"
    written, file = format_identity(identity), peering.local.certs[0]
    findings.add(
        (*here, "local", "id"), f"{written} is not a name in the certificate {file}; {hint} a certificate for {written}"
    )


def _check_key(
    here: tuple[str, ...], peering: Peering, own: tuple[bytes, ...], files: CredentialFiles, findings: Findings
) -> None:
    if peering.local.key is None:
        return
    place = (*here, "local", "key")
    try:
        matches = files.key_belongs_to(peering.local.key, own[0] if own else None)
    except ValueError as error:
        findings.add(place, str(error))
        return
    if not matches:
        file = peering.local.certs[0]
        findings.add(place, f"this key does not belong to the certificate {file}; write the key it was made with")


def _vouches(der: bytes) -> bool:
    """Whether a certificate is a CA's; one that cannot be read is somebody else's finding."""
    try:
        return certificate_is_ca(der)
    except ValueError:
        return True


def _usual_names(der: bytes) -> list[str]:
    """The names of a certificate that a person would write: each once, key identifiers only where there is no other."""
    names = list(dict.fromkeys(certificate_names(der)))
    return [name for name in names if not name.startswith("@#")] or names
