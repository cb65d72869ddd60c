"""The Vendor ID payload, RFC 7296 section 3.12."""

from dataclasses import dataclass
from typing import ClassVar

from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader


@dataclass(frozen=True, slots=True)
class Vendor:
    """`data` names an implementation by octets of its own choice."""

    data: bytes

    TYPE: ClassVar[PayloadType] = PayloadType.VENDOR

    @classmethod
    def parse(cls, reader: Reader) -> "Vendor":
        """Read the body."""
        return cls(reader.rest())

    def build(self) -> bytes:
        """Return the body."""
        return self.data
