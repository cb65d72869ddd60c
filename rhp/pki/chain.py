"""Certificate chains: from the peer's end-entity certificate to a CA that the configuration trusts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rhp.crypto.signature import PublicKey
from rhp.wire.identity import Identity


class CertificateRejected(Exception):
    """The chain or the identity is not acceptable; `reason` is one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def validate_chain(
    cert_ders: Sequence[bytes], trusted_ders: Sequence[bytes], now: datetime, identity: Identity
) -> PublicKey:
    """Return the key of the first certificate when it leads to a trusted CA and names the identity.

    The first certificate is the peer's, the others may help as intermediates. Raises `CertificateRejected`.
    """
    raise NotImplementedError
