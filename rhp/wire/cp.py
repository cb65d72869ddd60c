"""The Configuration payload, RFC 7296 section 3.15.

|   CFG Type    |                    RESERVED                   |

|R|         Attribute Type      |            Length             |
|                             Value                             |
"""

from dataclasses import dataclass
from typing import ClassVar

from rhp.wire.errors import DecodeError
from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader

MAX_ATTRIBUTES = 512


@dataclass(frozen=True, slots=True)
class Attribute:
    """`type` is a CfgAttribute, or any number up to 32767; `value` may be empty, which asks for one."""

    type: int
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class CP:
    """`type` is a CfgType."""

    type: int
    attributes: tuple[Attribute, ...]

    TYPE: ClassVar[PayloadType] = PayloadType.CP

    @classmethod
    def parse(cls, reader: Reader) -> "CP":
        """Read the body, at most MAX_ATTRIBUTES attributes; their reserved bit is ignored."""
        kind = reader.u8()
        reader.take(3)
        attributes: list[Attribute] = []
        while len(reader):
            if len(attributes) >= MAX_ATTRIBUTES:
                raise DecodeError("too-many-attributes")
            attribute = reader.u16() & 0x7FFF
            attributes.append(Attribute(attribute, reader.take(reader.u16())))
        return cls(kind, tuple(attributes))

    def build(self) -> bytes:
        """Return the body."""
        parts = [bytes((self.type, 0, 0, 0))]
        for one in self.attributes:
            parts += (one.type.to_bytes(2, "big"), len(one.value).to_bytes(2, "big"), one.value)
        return b"".join(parts)
