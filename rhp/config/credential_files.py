"""The key and certificate files of one configuration: each is read and judged once, however many realms name it.

A large RSA key is checked at length when it is read, and three hundred realms may share one. What is remembered goes
with this object, which nobody keeps after the configuration was read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar, cast

from rhp.config.files import read_file
from rhp.guard.keyfile import decode_psk
from rhp.pki.certificate import check_private_key, key_matches_certificate, read_certificates
from rhp.pki.revocation import holds_only_crls

T = TypeVar("T")


class CredentialFiles:
    """The files next to a configuration. Every method raises ValueError with one sentence, the same one every time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Hashable, object] = {}

    def certificates(self, name: str) -> tuple[bytes, ...]:
        """The certificates of a PEM file, in DER."""
        return self._once(("certificates", name), lambda: self._certificates(name))

    def authorities(self, name: str) -> tuple[bytes, ...]:
        """The same of a file that may hold revocation lists, too; none where it holds them alone."""
        return self._once(("authorities", name), lambda: self._certificates(name, lists=True))

    def shared_key(self, name: str, *, ppk: bool = False) -> bytes:
        """The octets of a shared key's file, or of a PPK's."""
        return self._once(
            ("shared key", name, ppk), lambda: decode_psk(read_file(self.folder, name, secret=True), ppk=ppk)
        )

    def key_belongs_to(self, name: str, certificate: bytes | None) -> bool:
        """Whether a private key's file belongs to a certificate (DER); without one, whether there is a key at all."""
        return self._once(("private key", name, certificate), lambda: self._belongs(name, certificate))

    def _certificates(self, name: str, *, lists: bool = False) -> tuple[bytes, ...]:
        content = read_file(self.folder, name, secret=False)
        if lists and holds_only_crls(content):
            return ()
        try:
            return read_certificates(content)
        except ValueError as error:
            raise ValueError(f"{error}; write the name of a PEM file with certificates") from None

    def _belongs(self, name: str, certificate: bytes | None) -> bool:
        pem = read_file(self.folder, name, secret=True)
        check_private_key(pem)
        return certificate is None or key_matches_certificate(pem, certificate)

    def _once(self, key: Hashable, find: Callable[[], T]) -> T:
        if key not in self._known:
            try:
                self._known[key] = find()
            except ValueError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, ValueError):
            raise ValueError(str(found))
        return cast("T", found)
