"""The IKE header, RFC 7296 section 3.1.

 0                   1                   2                   3
|                       IKE SA Initiator's SPI (8)              |
|                       IKE SA Responder's SPI (8)              |
|  Next Payload | MjVer | MnVer | Exchange Type |     Flags     |
|                          Message ID                           |
|                            Length                             |
"""

from dataclasses import dataclass
from struct import Struct

from rhp.wire.errors import DecodeError

_LAYOUT = Struct("!8s8sBBBBII")

HEADER_LENGTH = _LAYOUT.size
MAJOR_VERSION = 2

FLAG_INITIATOR = 0x08
FLAG_RESPONSE = 0x20


@dataclass(frozen=True, slots=True)
class Header:
    """The fixed header; `spi_i` and `spi_r` are 8 octets, `length` is that of the whole message in octets."""

    spi_i: bytes
    spi_r: bytes
    next_payload: int
    major: int
    minor: int
    exchange: int
    initiator: bool
    response: bool
    message_id: int
    length: int

    @classmethod
    def parse(cls, data: bytes) -> "Header":
        """Read the first 28 octets of `data`; any major version passes, so that it can be answered (section 2.5)."""
        if len(data) < HEADER_LENGTH:
            raise DecodeError("short-header")
        spi_i, spi_r, next_payload, version, exchange, flags, message_id, length = _LAYOUT.unpack_from(data)
        return cls(
            spi_i,
            spi_r,
            next_payload,
            version >> 4,
            version & 0x0F,
            exchange,
            bool(flags & FLAG_INITIATOR),
            bool(flags & FLAG_RESPONSE),
            message_id,
            length,
        )

    def build(self) -> bytes:
        """Return the 28 octets."""
        return build_header(
            self.spi_i,
            self.spi_r,
            self.next_payload,
            self.major << 4 | self.minor,
            self.exchange,
            self.initiator,
            self.response,
            self.message_id,
            self.length,
        )


def build_header(
    spi_i: bytes,
    spi_r: bytes,
    next_payload: int,
    version: int,
    exchange: int,
    initiator: bool,
    response: bool,
    message_id: int,
    length: int,
) -> bytes:
    """Return the 28 octets of a header with these fields; `version` is both parts of it in one octet."""
    flags = (FLAG_INITIATOR if initiator else 0) | (FLAG_RESPONSE if response else 0)
    return _LAYOUT.pack(spi_i, spi_r, next_payload, version, exchange, flags, message_id, length)
