"""The Certificate Request payload, RFC 7296 section 3.7.

| Cert Encoding |                                               |
|                    Certification Authority                    |
"""

from dataclasses import dataclass
from typing import ClassVar

from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader


@dataclass(frozen=True, slots=True)
class CERTREQ:
    """`encoding` is a CertEncoding; `data` is a row of 20-octet SHA-1 hashes of the trusted CAs' public keys."""

    encoding: int
    data: bytes

    TYPE: ClassVar[PayloadType] = PayloadType.CERTREQ

    @classmethod
    def parse(cls, reader: Reader) -> "CERTREQ":
        """Read the body."""
        encoding = reader.u8()
        return cls(encoding, reader.rest())

    def build(self) -> bytes:
        """Return the body."""
        return bytes((self.encoding,)) + self.data
