"""The EAP payload, RFC 7296 section 3.16: one EAP message (RFC 3748), which this room does not look into."""

from dataclasses import dataclass
from typing import ClassVar

from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader


@dataclass(frozen=True, slots=True)
class EAP:
    """`data` is code, identifier, length and what follows."""

    data: bytes

    TYPE: ClassVar[PayloadType] = PayloadType.EAP

    @classmethod
    def parse(cls, reader: Reader) -> "EAP":
        """Read the body."""
        return cls(reader.rest())

    def build(self) -> bytes:
        """Return the body."""
        return self.data
