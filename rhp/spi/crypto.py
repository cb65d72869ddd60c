"""Crypto provider: algorithms beside those of `rhp.crypto`, under numbers and names of their own.

A provider lists what it has, and `rhp.crypto.additions` puts each into the table of its kind: a key exchange method, a
PRF, an AEAD cipher for IKE's own messages, or a signature scheme of method 14 (RFC 7427). From then on proposals may
name it, and peers may offer it. A number or a name that is taken is refused. ESP's ciphers are the ESP provider's.

The entry point (group `rhp.crypto`) names an object with `api_version` and `transforms`, see `CryptoProvider`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rhp.crypto.additions import Addition, AeadCipher, KeyExchangeMethod, PseudoRandom, SignatureScheme

__all__ = ["Addition", "AeadCipher", "CryptoProvider", "KeyExchangeMethod", "PseudoRandom", "SignatureScheme"]


class CryptoProvider(Protocol):
    """What the entry point names: it lists algorithms."""

    @property
    def api_version(self) -> int:
        """The version of this page that it was written for."""
        ...

    def transforms(self) -> Sequence[Addition]:
        """Everything that it has, the same at every call."""
        ...
