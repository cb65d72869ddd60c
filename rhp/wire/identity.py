"""The Identification payloads IDi and IDr, RFC 7296 section 3.5.

|   ID Type     |                 RESERVED                      |
|                   Identification Data                         |
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a peer says it is: an IdType and the octets that go with it."""

    id_type: int
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body of IDi or IDr."""
        id_type = reader.u8()
        reader.take(3)
        return cls(id_type, reader.rest())

    def build(self) -> bytes:
        """Return the body, as it also enters the octets that AUTH covers (RFC 7296 section 2.15)."""
        return bytes((self.id_type, 0, 0, 0)) + self.data

    @property
    def identity(self) -> "Identity":
        """The plain identity, equal whichever side named it."""
        return Identity(self.id_type, self.data)


@dataclass(frozen=True, slots=True)
class IDi(Identity):
    """The initiator's identity."""

    TYPE: ClassVar[PayloadType] = PayloadType.IDI


@dataclass(frozen=True, slots=True)
class IDr(Identity):
    """The responder's identity."""

    TYPE: ClassVar[PayloadType] = PayloadType.IDR
