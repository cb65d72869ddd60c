"""A small certificate authority for `rhp keygen`: nobody needs openssl commands to try certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

KeyType = Literal["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "ed25519"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate and its private key, both in PEM."""

    certificate: bytes
    private_key: bytes = field(repr=False)

    def write(self, certificate_path: Path, key_path: Path) -> None:
        """Write both files anew, the key with mode 0600; FileExistsError when one of them exists."""
        raise NotImplementedError


def create_ca(name: str, now: datetime, *, key_type: KeyType = "ecdsa-p256", days: int = 3650) -> Credentials:
    """Make a CA with subject "CN=name", valid from `now` (aware)."""
    raise NotImplementedError


def issue(
    ca: Credentials,
    identities: Sequence[str],
    now: datetime,
    *,
    key_type: KeyType = "ecdsa-p256",
    days: int = 825,
    subject: str | None = None,
) -> Credentials:
    """Make a node's certificate whose subjectAltName holds `identities` (FQDN, mail address or IP address).

    `subject` is a DN ("C=CH, O=rhp, CN=a"), "CN=" and the first identity by default. The EKUs are ipsecIKE,
    serverAuth and clientAuth.
    """
    raise NotImplementedError
