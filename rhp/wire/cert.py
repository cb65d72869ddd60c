"""The Certificate payload, RFC 7296 section 3.6.

| Cert Encoding |                                               |
|                       Certificate Data                        |
"""

from dataclasses import dataclass
from typing import ClassVar

from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader


@dataclass(frozen=True, slots=True)
class CERT:
    """`encoding` is a CertEncoding; `data` in X509_SIGNATURE is one certificate in DER."""

    encoding: int
    data: bytes

    TYPE: ClassVar[PayloadType] = PayloadType.CERT

    @classmethod
    def parse(cls, reader: Reader) -> "CERT":
        """Read the body."""
        encoding = reader.u8()
        return cls(encoding, reader.rest())

    def build(self) -> bytes:
        """Return the body."""
        return bytes((self.encoding,)) + self.data
