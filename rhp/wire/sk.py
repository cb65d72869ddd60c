"""The Encrypted and Authenticated payload, RFC 7296 section 3.14.

| Next Payload  |C|  RESERVED   |         Payload Length        |
|                     Initialization Vector                     |
~                    Encrypted IKE Payloads, padding            ~
~                    Integrity Checksum Data                    ~
"""

from dataclasses import dataclass
from typing import ClassVar

from rhp.wire.iana import PayloadType


@dataclass(frozen=True, slots=True)
class SK:
    """Kept sealed: `next_payload` is the type of the first payload inside, `body` is IV, ciphertext and ICV."""

    next_payload: int
    body: bytes

    TYPE: ClassVar[PayloadType] = PayloadType.SK

    def build(self) -> bytes:
        """Return the body."""
        return self.body
