"""The Notify payload, RFC 7296 section 3.10.

|  Protocol ID  |   SPI Size    |      Notify Message Type      |
|                Security Parameter Index (SPI)                 |
|                       Notification Data                       |
"""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar

from rhp.wire.errors import DecodeError
from rhp.wire.iana import FIRST_STATUS_NOTIFY, PayloadType
from rhp.wire.reader import Reader
from rhp.wire.sa import MAX_SPI

_HEAD = Struct("!BBH")


@dataclass(frozen=True, slots=True)
class Notify:
    """`type` is a NotifyType; `protocol` and `spi` name an SA where the notify is about one."""

    type: int
    data: bytes = b""
    protocol: int = 0
    spi: bytes = b""

    TYPE: ClassVar[PayloadType] = PayloadType.NOTIFY

    @property
    def is_error(self) -> bool:
        """Whether the type lies in the range of errors."""
        return self.type < FIRST_STATUS_NOTIFY

    @classmethod
    def parse(cls, reader: Reader) -> "Notify":
        """Read the body."""
        protocol, spi_size, kind = reader.unpack(_HEAD)
        if spi_size > MAX_SPI:
            raise DecodeError("bad-spi-size")
        spi = reader.take(spi_size)
        return cls(kind, reader.rest(), protocol, spi)

    def build(self) -> bytes:
        """Return the body."""
        return _HEAD.pack(self.protocol, len(self.spi), self.type) + self.spi + self.data
