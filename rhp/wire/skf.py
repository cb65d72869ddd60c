"""The Encrypted and Authenticated Fragment payload, RFC 7383 section 2.5.

| Next Payload  |C|  RESERVED   |         Payload Length        |
|        Fragment Number        |        Total Fragments        |
|                     Initialization Vector ...                 |
"""

from dataclasses import dataclass
from typing import ClassVar

from rhp.wire.errors import DecodeError
from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader

FRAGMENT_HEADER_LENGTH = 4


@dataclass(frozen=True, slots=True)
class SKF:
    """Kept sealed: fragments count from 1; `next_payload` is 0 but in the first one."""

    next_payload: int
    fragment_number: int
    total_fragments: int
    body: bytes

    TYPE: ClassVar[PayloadType] = PayloadType.SKF

    @classmethod
    def parse_fragment(cls, next_payload: int, reader: Reader) -> "SKF":
        """Read the body; DecodeError("bad-fragment-number") unless 1 <= number <= total."""
        number = reader.u16()
        total = reader.u16()
        if not 1 <= number <= total:
            raise DecodeError("bad-fragment-number")
        return cls(next_payload, number, total, reader.rest())

    def build(self) -> bytes:
        """Return the body."""
        return self.fragment_number.to_bytes(2, "big") + self.total_fragments.to_bytes(2, "big") + self.body
