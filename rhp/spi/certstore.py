"""Certificate store: where a connection finds whom to trust, when no files say so.

A store is asked when the configuration is read, at start and at each reload; what it answers is kept until then, so a
handshake never waits for one. Whatever a store reaches out for it does in `open`, within a bounded time. What a peer's
chain has to fulfil stays with `rhp.pki.chain`: a store says what is trusted and what is revoked, never who is let in.

The entry point (group `rhp.certstore`) names an object with `api_version` and `open`, see `CertificateStoreProvider`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoreQuestion:
    """For whom a store is opened.

    The name of a connection or a realm, its `remote.cas` as they are written, and the configuration file's folder.
    """

    connection: str
    cas: tuple[str, ...]
    folder: Path


class CertificateStore(Protocol):
    """What one connection trusts, in DER. ValueError with a sentence for what cannot be had."""

    def anchors(self) -> Sequence[bytes]:
        """The certificates at which a peer's chain may end; without one, no peer is believed."""
        ...

    def intermediates(self) -> Sequence[bytes]:
        """Certificates that may stand between a peer's own and an anchor, for peers that do not send them all."""
        ...

    def crls(self) -> Sequence[bytes]:
        """Certificate revocation lists (RFC 5280 section 5); each counts for what its issuer has signed."""
        ...


class CertificateStoreProvider(Protocol):
    """What the entry point names: it opens stores."""

    @property
    def api_version(self) -> int:
        """The version of this page that it was written for."""
        ...

    def open(self, question: StoreQuestion) -> CertificateStore:
        """The store of one connection; ValueError with a sentence that says what is wrong and what to write instead."""
        ...
