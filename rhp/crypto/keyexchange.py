"""Key exchange: an ephemeral key pair, and the secret it shares with the peer's public value."""

from __future__ import annotations

from typing import Protocol

from rhp.crypto.secret import Secret


class KeyExchange(Protocol):
    """One ephemeral key pair of ours."""

    @property
    def method(self) -> int:
        """The key exchange method's number (transform type 4)."""
        ...

    @property
    def public(self) -> bytes:
        """Our public value as it stands in the KE payload."""
        ...

    def agree(self, peer_public: bytes) -> Secret:
        """Return the shared secret; raises `KeyExchangeFailed` for a malformed or unsafe public value."""
        ...


def start(method: int) -> KeyExchange:
    """Make a fresh key pair for a method number; raises `KeyExchangeFailed` for a method that is not implemented."""
    raise NotImplementedError(method)
