"""The built-in certificate store, "files": the PEM files that `remote.cas` names, CRLs among them."""

from __future__ import annotations

from pathlib import Path

from rhp.pki.certificate import read_certificates
from rhp.pki.revocation import holds_crl, holds_only_crls, read_crls
from rhp.spi.certstore import CertificateStore, CertificateStoreProvider, StoreQuestion

LARGEST = 1 << 20
"""Octets, as for every file that a configuration names."""


class FileStore:
    """What a row of PEM files holds."""

    def __init__(self, cas: tuple[str, ...], folder: Path) -> None:
        self._anchors: list[bytes] = []
        self._crls: list[bytes] = []
        for name in cas:
            content = _read(folder / name, name)
            if holds_crl(content):
                self._crls += read_crls(content, name)
            if not holds_only_crls(content):
                self._anchors += _certificates(content, name)

    def anchors(self) -> list[bytes]:
        """Every certificate of the files."""
        return self._anchors

    def intermediates(self) -> list[bytes]:
        """None beside them: one that stands in a file is an anchor itself."""
        return []

    def crls(self) -> list[bytes]:
        """Every list of the files."""
        return self._crls


class FileStores:
    """Opens them."""

    api_version = 1

    def open(self, question: StoreQuestion) -> CertificateStore:
        """See `rhp.spi.certstore.CertificateStoreProvider`."""
        return FileStore(question.cas, question.folder)


def _certificates(content: bytes, name: str) -> list[bytes]:
    try:
        return list(read_certificates(content))
    except ValueError as error:
        raise ValueError(f"{name}: {error}; write the name of a PEM file with certificates") from None


def _read(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror or error}; write the name of a PEM file") from None
    if len(content) > LARGEST:
        raise ValueError(f"{name} has more than {LARGEST} octets; write the name of a PEM file with certificates")
    return content


PROVIDER: CertificateStoreProvider = FileStores()
