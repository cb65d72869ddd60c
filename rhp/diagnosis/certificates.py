"""The certificates that a configuration names: how long they are valid still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rhp.config.credentials import SOON
from rhp.config.loading import Loaded
from rhp.diagnosis.finding import Finding, fine, problem
from rhp.pki.certificate import certificate_names, certificate_validity
from rhp.pki.identity import format_identity

SUBJECT = "certificates"


def look(loaded: Loaded, now: datetime | None = None) -> Iterator[Finding]:
    """Judge our own certificates and the CAs, each once. That names and keys fit was seen when the file was loaded."""
    now = now or datetime.now(UTC)
    seen: set[bytes] = set()
    for connection in loaded.engine.connections:
        for place, chain in (("local.certs", connection.local.chain), ("remote.cas", connection.remote.cas)):
            for der in chain:
                if der not in seen:
                    seen.add(der)
                    yield _judge(f"connections.{connection.name}.{place}", der, now)
        if connection.local.method == "pubkey" and connection.local.chain:
            us = format_identity(connection.local.identity)
            yield fine(SUBJECT, f"connection {connection.name}: certificate and key belong together, and name {us}")


def _judge(where: str, der: bytes, now: datetime) -> Finding:
    begin, end = certificate_validity(der)
    name = next(iter(certificate_names(der)), "a certificate without a name")
    days = (end - now).days
    if now < begin:
        said = f"{name} ({where}) is valid from {begin:%Y-%m-%d %H:%M} UTC on, and not yet"
        return problem(SUBJECT, said, "set the clock of this machine, or make the certificate anew")
    if now > end:
        said = f"{name} ({where}) ended on {end:%Y-%m-%d}"
        return problem(SUBJECT, said, "make a new one, as with rhp keygen node, and give it to the node")
    if now + SOON > end:
        said = f"{name} ({where}) ends on {end:%Y-%m-%d}, in {days} day{'' if days == 1 else 's'}"
        return problem(SUBJECT, said, "make a new one now, as with rhp keygen node")
    return fine(SUBJECT, f"{name} ({where}) is valid for {days} days")
