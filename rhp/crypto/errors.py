"""What can go wrong in cryptography, by whom it concerns."""

from __future__ import annotations


class CryptoError(Exception):
    """Any failure of this package that is not a programming mistake; the message never holds key material."""


class AuthenticationFailed(CryptoError):
    """An integrity check value, a signature or a pre-shared key proof is wrong."""


class KeyExchangeFailed(CryptoError):
    """A key exchange method is unknown here, or the peer's public value is malformed or unsafe."""


class UnknownAlgorithm(CryptoError):
    """An algorithm number or name that this program does not implement."""


class NoProposalChosen(CryptoError):
    """Nothing offered is acceptable, or the answer is not one of our proposals (NO_PROPOSAL_CHOSEN)."""
