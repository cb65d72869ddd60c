"""The Authentication payload, RFC 7296 section 3.8.

| Auth Method   |                RESERVED                       |
|                      Authentication Data                      |
"""

from dataclasses import dataclass
from typing import ClassVar

from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader


@dataclass(frozen=True, slots=True)
class AUTH:
    """`method` is an AuthMethod; `data` the signature or the MAC that proves the identity."""

    method: int
    data: bytes

    TYPE: ClassVar[PayloadType] = PayloadType.AUTH

    @classmethod
    def parse(cls, reader: Reader) -> "AUTH":
        """Read the body."""
        method = reader.u8()
        reader.take(3)
        return cls(method, reader.rest())

    def build(self) -> bytes:
        """Return the body."""
        return bytes((self.method, 0, 0, 0)) + self.data
