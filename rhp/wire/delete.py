"""The Delete payload, RFC 7296 section 3.11.

| Protocol ID   |   SPI Size    |          Num of SPIs          |
|               Security Parameter Index(es) (SPI)              |
"""

from dataclasses import dataclass
from typing import ClassVar

from rhp.wire.errors import DecodeError
from rhp.wire.iana import PayloadType, Protocol
from rhp.wire.reader import Reader

_ESP_SPI = 4


@dataclass(frozen=True, slots=True)
class Delete:
    """`spis` is empty for an IKE SA; for ESP and AH they are the sender's inbound SPIs, 4 octets each."""

    protocol: int
    spis: tuple[bytes, ...] = ()

    TYPE: ClassVar[PayloadType] = PayloadType.DELETE

    @classmethod
    def parse(cls, reader: Reader) -> "Delete":
        """Read the body; the number of SPIs must be the number of octets that follow."""
        protocol = reader.u8()
        size = reader.u8()
        count = reader.u16()
        if size != (_ESP_SPI if count else size) or (count and protocol == Protocol.IKE):
            raise DecodeError("bad-spi-size")
        if len(reader) != size * count:
            raise DecodeError("bad-spi-count")
        return cls(protocol, tuple(reader.take(size) for _ in range(count)))

    def build(self) -> bytes:
        """Return the body."""
        size = _ESP_SPI if self.spis else 0
        return bytes((self.protocol, size)) + len(self.spis).to_bytes(2, "big") + b"".join(self.spis)
