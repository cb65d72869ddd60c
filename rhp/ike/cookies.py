"""Stateless cookies against floods of IKE_SA_INIT from forged addresses (RFC 7296 section 2.6).

A cookie is one octet that numbers the secret, then a keyed hash over the initiator's nonce, its address and its SPI.
The secret changes every `lifetime` seconds and the one before it stays good, so a cookie lives between one and two
lifetimes.
"""

from collections.abc import Callable
from hashlib import blake2s
from hmac import compare_digest

from rhp.ike.path import IpAddress

_SECRET_OCTETS = 32
_HASH_OCTETS = 16


class CookieJar:
    """Bakes and checks cookies; what it keeps does not grow with their number."""

    __slots__ = ("_lifetime", "_number", "_previous", "_random", "_secret", "_since")

    def __init__(self, random: Callable[[int], bytes], lifetime: float) -> None:
        self._random = random
        self._lifetime = lifetime
        self._number = 0
        self._secret = random(_SECRET_OCTETS)
        self._previous: bytes | None = None
        self._since: float | None = None

    def bake(self, nonce: bytes, address: IpAddress, spi_i: bytes, now: float) -> bytes:
        """The cookie (17 octets) to ask of that initiator."""
        self._rotate(now)
        return bytes((self._number,)) + _digest(self._secret, nonce, address, spi_i)

    def check(self, cookie: bytes, nonce: bytes, address: IpAddress, spi_i: bytes, now: float) -> bool:
        """Whether we baked that cookie for that initiator not long ago."""
        self._rotate(now)
        if len(cookie) != 1 + _HASH_OCTETS:
            return False
        if cookie[0] == self._number:
            secret = self._secret
        elif cookie[0] == (self._number - 1) % 256 and self._previous is not None:
            secret = self._previous
        else:
            return False
        return compare_digest(cookie[1:], _digest(secret, nonce, address, spi_i))

    def secrets(self, now: float) -> tuple[int, bytes, bytes | None]:
        """The newest secret's number, that secret, and the one before it while its cookies are good."""
        self._rotate(now)
        return self._number, self._secret, self._previous

    def _rotate(self, now: float) -> None:
        if self._since is None:
            self._since = now
        age = now - self._since
        if age < self._lifetime:
            return
        # After a silence of two lifetimes even the newest secret is too old to vouch for anything.
        self._previous = self._secret if age < 2 * self._lifetime else None
        self._secret = self._random(_SECRET_OCTETS)
        self._number = (self._number + 1) % 256
        self._since = now


def _digest(secret: bytes, nonce: bytes, address: IpAddress, spi_i: bytes) -> bytes:
    # The nonce is last because it is the only part of variable length.
    return blake2s(spi_i + address.packed + nonce, key=secret, digest_size=_HASH_OCTETS).digest()
