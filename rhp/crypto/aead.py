"""AEAD ciphers behind one small face, whatever the length of their tag.

`cryptography` cuts CCM tags itself, but its GCM class knows the full tag only. A short GCM tag is the head of the
full one, so sealing cuts; opening takes the general cipher, which accepts a minimum tag length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from rhp.crypto.algorithms import Encryption
from rhp.crypto.errors import AuthenticationFailed, UnknownAlgorithm
from rhp.wire.iana import Encr

_GCM = frozenset({Encr.AES_GCM_8, Encr.AES_GCM_12, Encr.AES_GCM_16})
_CCM = frozenset({Encr.AES_CCM_8, Encr.AES_CCM_12, Encr.AES_CCM_16})
_FULL_TAG = 16


class _Primitive(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


class _ShortTagGcm:
    """AES-GCM with a tag of 8 or 12 octets (RFC 4106 section 6)."""

    def __init__(self, key: bytes, tag_bytes: int) -> None:
        self._full = AESGCM(key)
        self._algorithm = algorithms.AES(key)
        self._tag_bytes = tag_bytes

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        sealed = self._full.encrypt(nonce, data, associated_data)
        return sealed[: len(sealed) - _FULL_TAG + self._tag_bytes]

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        if len(data) < self._tag_bytes:
            raise InvalidTag
        tag = data[-self._tag_bytes :]
        mode = modes.GCM(nonce, tag, min_tag_length=self._tag_bytes)
        decryptor = Cipher(self._algorithm, mode).decryptor()
        decryptor.authenticate_additional_data(associated_data or b"")
        return decryptor.update(data[: -self._tag_bytes]) + decryptor.finalize()


_ADDED: dict[int, Callable[[bytes], _Primitive]] = {}
"""What crypto providers added, by number."""


def add(number: int, primitive: Callable[[bytes], _Primitive]) -> None:
    """Know one more cipher, for `rhp.crypto.additions`; `primitive` is made of a key."""
    _ADDED[number] = primitive


def clashes(number: int, primitive: Callable[[bytes], _Primitive]) -> bool:
    """Whether the number is another cipher's, with whatever key length."""
    known = number in {int(one) for one in Encr}
    return known or _ADDED.get(number, primitive) is not primitive


def _primitive(encryption: Encryption, key: bytes) -> _Primitive:
    if encryption.id in _GCM:
        return AESGCM(key) if encryption.icv_bytes == _FULL_TAG else _ShortTagGcm(key, encryption.icv_bytes)
    if encryption.id in _CCM:
        return AESCCM(key, tag_length=encryption.icv_bytes)
    if encryption.id == Encr.CHACHA20_POLY1305:
        return ChaCha20Poly1305(key)
    if encryption.id in _ADDED:
        return _ADDED[encryption.id](key)
    raise UnknownAlgorithm(f"{encryption.name} is not an AEAD")


class Aead:
    """One key: `material` is the key and the salt; a packet's nonce is the salt and its IV (RFC 5282, RFC 7634)."""

    __slots__ = ("_added", "_primitive", "_salt")

    def __init__(self, encryption: Encryption, material: bytes) -> None:
        if len(material) != encryption.material_bytes:
            raise ValueError(f"{encryption.name} takes {encryption.material_bytes} octets of key material")
        self._primitive = _primitive(encryption, material[: encryption.key_bytes])
        self._added = encryption.id in _ADDED
        self._salt = material[encryption.key_bytes :]

    def seal(self, iv: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Return the ciphertext and the tag."""
        return self._primitive.encrypt(self._salt + iv, plaintext, associated)

    def open(self, iv: bytes, sealed: bytes, associated: bytes) -> bytes:
        """Return the plaintext; raises `AuthenticationFailed`."""
        try:
            return self._primitive.decrypt(self._salt + iv, sealed, associated)
        except InvalidTag:
            raise AuthenticationFailed("integrity check failed") from None
        except Exception as error:
            if not self._added:
                raise
            # An added cipher has a way of its own to say so.
            raise AuthenticationFailed(f"integrity check failed ({type(error).__name__})") from None
