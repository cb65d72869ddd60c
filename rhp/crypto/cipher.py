"""The Encrypted payload's cipher, one direction of one IKE SA (RFC 7296 section 3.14, RFC 5282, RFC 7634)."""

from __future__ import annotations

from rhp.crypto.algorithms import Encryption, Integrity
from rhp.crypto.secret import Secret


class IkeCipher:
    """Seals what we send, or opens what we receive; one object per key, because it owns the key's IVs."""

    def __init__(self, encryption: Encryption, integrity: Integrity | None, sk_e: Secret, sk_a: Secret | None) -> None:
        raise NotImplementedError

    def overhead(self, plain_len: int) -> int:
        """Return the length of the sealed body, IV to ICV, of `plain_len` octets of inner payloads."""
        raise NotImplementedError

    def seal(self, prefix: bytes, plaintext: bytes) -> bytes:
        """Return the body (IV, ciphertext, ICV); `prefix` is the message up to it, with its final lengths."""
        raise NotImplementedError

    def open(self, prefix: bytes, body: bytes) -> bytes:
        """Return the inner payloads without padding; raises `AuthenticationFailed` for whatever is wrong."""
        raise NotImplementedError
