"""The Nonce payload, RFC 7296 section 3.9: 16 to 256 octets of randomness."""

from dataclasses import dataclass
from typing import ClassVar

from rhp.wire.errors import DecodeError
from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader

MIN_NONCE = 16
MAX_NONCE = 256


@dataclass(frozen=True, slots=True)
class Nonce:
    """`data` has MIN_NONCE to MAX_NONCE octets."""

    data: bytes

    TYPE: ClassVar[PayloadType] = PayloadType.NONCE

    @classmethod
    def parse(cls, reader: Reader) -> "Nonce":
        """Read the body; DecodeError("bad-nonce-length") outside the bounds."""
        if not MIN_NONCE <= len(reader) <= MAX_NONCE:
            raise DecodeError("bad-nonce-length")
        return cls(reader.rest())

    def build(self) -> bytes:
        """Return the body."""
        return self.data
