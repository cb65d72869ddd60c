"""The Identification payloads IDi and IDr, RFC 7296 section 3.5.

|   ID Type     |                 RESERVED                      |
|                   Identification Data                         |
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self

from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader

_RESERVED = bytes(3)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a peer says it is: an IdType and the octets that go with it.

    AUTH covers the reserved octets as they were sent (RFC 7296 section 2.15), so those received are built again;
    they play no part in comparisons.
    """

    id_type: int
    data: bytes
    reserved: bytes = field(default=_RESERVED, repr=False, compare=False)

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body of IDi or IDr."""
        id_type = reader.u8()
        reserved = reader.take(3)
        return cls(id_type, reader.rest(), reserved)

    def build(self) -> bytes:
        """Return the body, as it also enters the octets that AUTH covers (RFC 7296 section 2.15)."""
        return bytes((self.id_type,)) + self.reserved + self.data

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
