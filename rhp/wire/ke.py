"""The Key Exchange payload, RFC 7296 section 3.4.

|   Diffie-Hellman Group Num    |           RESERVED            |
|                       Key Exchange Data                       |
"""

from dataclasses import dataclass
from typing import ClassVar

from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader


@dataclass(frozen=True, slots=True)
class KE:
    """`method` is a KeMethod; `data` the public value, of the length that the method asks."""

    method: int
    data: bytes

    TYPE: ClassVar[PayloadType] = PayloadType.KE

    @classmethod
    def parse(cls, reader: Reader) -> "KE":
        """Read the body."""
        method = reader.u16()
        reader.take(2)
        return cls(method, reader.rest())

    def build(self) -> bytes:
        """Return the body."""
        return self.method.to_bytes(2, "big") + b"\0\0" + self.data
