"""A certificate store that is a folder: whoever puts a CA's file into it trusts it at the next start or reload.

`remote.cas` names the folder. Its files `*.pem` are trusted; those of its folder `between` may stand in a chain without
being sent; those of its folder `crls` are revocation lists.
"""

from pathlib import Path

from rhp.pki.certificate import read_certificates
from rhp.pki.revocation import read_crls
from rhp.spi.certstore import CertificateStoreProvider, StoreQuestion

LARGEST = 1 << 20


class FolderStore:
    """One such folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def anchors(self) -> list[bytes]:
        """What is trusted."""
        return [der for name, content in _files(self._folder) for der in _certificates(name, content)]

    def intermediates(self) -> list[bytes]:
        """What may stand between."""
        return [der for name, content in _files(self._folder / "between") for der in _certificates(name, content)]

    def crls(self) -> list[bytes]:
        """What is taken back."""
        return [der for name, content in _files(self._folder / "crls") for der in read_crls(content, name)]


class Provider:
    """What the entry point names."""

    api_version = 1

    def open(self, question: StoreQuestion) -> FolderStore:
        """The folder that `remote.cas` names."""
        if len(question.cas) != 1:
            raise ValueError('the certificate store "folder" takes one folder; write remote.cas = "trusted"')
        folder = question.folder / question.cas[0]
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder; make it and put the CAs' PEM files there")
        return FolderStore(folder)


def _files(folder: Path) -> list[tuple[str, bytes]]:
    found = []
    for path in sorted(folder.glob("*.pem")):
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{path} is larger than 1 MiB and cannot be a certificate; take it away")
        found.append((str(path), path.read_bytes()))
    return found


def _certificates(name: str, content: bytes) -> tuple[bytes, ...]:
    try:
        return read_certificates(content)
    except ValueError as error:
        raise ValueError(f"{name}: {error}; take the file away, or put a certificate there") from None


PROVIDER: CertificateStoreProvider = Provider()
