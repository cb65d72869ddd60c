"""The Encrypted payload's cipher, one direction of one IKE SA (RFC 7296 section 3.14, RFC 5282, RFC 5930, RFC 7634).

    prefix (IKE header to SK header) | IV | inner payloads, padding, pad length | ICV

With an AEAD the prefix is the associated data; else the ICV is an HMAC over prefix, IV and ciphertext, checked before
anything is decrypted. The padding's octets may have any value and are never looked at; only its length counts.
"""

from __future__ import annotations

import hmac
import os
from itertools import count
from typing import Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, algorithms, modes

from rhp.crypto.aead import Aead
from rhp.crypto.algorithms import Encryption, Integrity
from rhp.crypto.errors import AuthenticationFailed
from rhp.crypto.secret import Secret
from rhp.wire.iana import Encr

_IV_LIMIT = 1 << 64


class _Counter:
    """IVs of 8 octets that never repeat under one key.

    They begin anywhere, so that two objects of one key do not meet.
    """

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers = count(int.from_bytes(os.urandom(8), "big"))

    def next(self) -> bytes:
        return (next(self._numbers) % _IV_LIMIT).to_bytes(8, "big")


class _Body(Protocol):
    """How the body of one kind of cipher is made; `plaintext` is padded already."""

    def seal(self, prefix: bytes, plaintext: bytes) -> bytes: ...

    def open(self, prefix: bytes, body: bytes) -> bytes: ...


class _AeadBody:
    def __init__(self, encryption: Encryption, material: bytes) -> None:
        self._aead = Aead(encryption, material)
        self._ivs = _Counter()

    def seal(self, prefix: bytes, plaintext: bytes) -> bytes:
        iv = self._ivs.next()
        return iv + self._aead.seal(iv, plaintext, prefix)

    def open(self, prefix: bytes, body: bytes) -> bytes:
        return self._aead.open(body[:8], body[8:], prefix)


class _Cbc:
    """CBC with an unpredictable IV."""

    def __init__(self, algorithm: BlockCipherAlgorithm) -> None:
        self._algorithm = algorithm

    def seal(self, plaintext: bytes) -> bytes:
        iv = os.urandom(self._algorithm.block_size // 8)
        encryptor = Cipher(self._algorithm, modes.CBC(iv)).encryptor()
        return iv + encryptor.update(plaintext) + encryptor.finalize()

    def open(self, iv: bytes, ciphertext: bytes) -> bytes:
        decryptor = Cipher(self._algorithm, modes.CBC(iv)).decryptor()
        return decryptor.update(ciphertext) + decryptor.finalize()


class _Ctr:
    """AES-CTR: the counter block is nonce, IV and a block counter from 1 (RFC 3686 section 4)."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._algorithm = algorithms.AES(key)
        self._nonce = nonce
        self._ivs = _Counter()

    def _apply(self, iv: bytes, data: bytes) -> bytes:
        mode = modes.CTR(self._nonce + iv + b"\x00\x00\x00\x01")
        encryptor = Cipher(self._algorithm, mode).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    def seal(self, plaintext: bytes) -> bytes:
        iv = self._ivs.next()
        return iv + self._apply(iv, plaintext)

    def open(self, iv: bytes, ciphertext: bytes) -> bytes:
        return self._apply(iv, ciphertext)


def _unauthenticated(encryption: Encryption, material: bytes) -> _Cbc | _Ctr:
    if encryption.id == Encr.AES_CBC:
        return _Cbc(algorithms.AES(material))
    if encryption.id == Encr.AES_CTR:
        return _Ctr(material[: encryption.key_bytes], material[encryption.key_bytes :])
    return _Cbc(TripleDES(material))


class _MacBody:
    """Encrypt, then HMAC."""

    def __init__(self, encryption: Encryption, integrity: Integrity, material: bytes, mac_key: bytes) -> None:
        if len(material) != encryption.material_bytes or len(mac_key) != integrity.key_bytes:
            raise ValueError(f"the keys do not have the sizes of {encryption.name} and {integrity.name}")
        self._cipher = _unauthenticated(encryption, material)
        self._integrity = integrity
        self._mac_key = mac_key
        self._iv_bytes = encryption.iv_bytes
        self._block_bytes = encryption.block_bytes

    def seal(self, prefix: bytes, plaintext: bytes) -> bytes:
        sealed = self._cipher.seal(plaintext)
        return sealed + self._integrity.tag(self._mac_key, prefix + sealed)

    def open(self, prefix: bytes, body: bytes) -> bytes:
        cut = len(body) - self._integrity.icv_bytes
        tag = self._integrity.tag(self._mac_key, prefix + body[:cut])
        if not hmac.compare_digest(tag, body[cut:]):
            raise AuthenticationFailed("integrity check failed")
        if (cut - self._iv_bytes) % self._block_bytes:
            raise AuthenticationFailed("the ciphertext is not a whole number of blocks")
        return self._cipher.open(body[: self._iv_bytes], body[self._iv_bytes : cut])


class IkeCipher:
    """Seals what we send, or opens what we receive; one object per key, because it owns the key's IVs.

    `sk_e` is SK_ei or SK_er with its salt, `sk_a` is SK_ai or SK_ar, ignored with an AEAD. Raises ValueError when a
    key has not the size of its algorithm.
    """

    __slots__ = ("_block_bytes", "_body", "_fixed", "_iv_bytes")

    def __init__(self, encryption: Encryption, integrity: Integrity | None, sk_e: Secret, sk_a: Secret | None) -> None:
        self._body: _Body
        if encryption.aead:
            self._body, icv_bytes = _AeadBody(encryption, sk_e.expose()), encryption.icv_bytes
        elif integrity is not None and sk_a is not None:
            self._body = _MacBody(encryption, integrity, sk_e.expose(), sk_a.expose())
            icv_bytes = integrity.icv_bytes
        else:
            raise ValueError(f"{encryption.name} needs an integrity algorithm and its key")
        self._fixed = encryption.iv_bytes + icv_bytes
        self._iv_bytes = encryption.iv_bytes
        self._block_bytes = encryption.block_bytes

    def overhead(self, plain_len: int) -> int:
        """Return the length of the sealed body, IV to ICV, of `plain_len` octets of inner payloads."""
        return self._fixed + plain_len + 1 + -(plain_len + 1) % self._block_bytes

    def room(self, body_length: int) -> int:
        """Return how many octets of inner payloads a sealed body of at most `body_length` holds."""
        return (body_length - self._fixed) // self._block_bytes * self._block_bytes - 1

    def seal(self, prefix: bytes, plaintext: bytes) -> bytes:
        """Return the body (IV, ciphertext, ICV); `prefix` is the message up to it, with its final lengths."""
        padding = -(len(plaintext) + 1) % self._block_bytes
        return self._body.seal(prefix, plaintext + bytes(padding) + bytes((padding,)))

    def open(self, prefix: bytes, body: bytes) -> bytes:
        """Return the inner payloads without padding; raises `AuthenticationFailed` for whatever is wrong."""
        if len(body) <= self._fixed:
            raise AuthenticationFailed("the sealed body is too short")
        plaintext = self._body.open(prefix, body)
        end = len(plaintext) - 1 - plaintext[-1]
        if end < 0:
            raise AuthenticationFailed("the padding is longer than its content")
        return plaintext[:end]
