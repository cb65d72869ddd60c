"""The Traffic Selector payloads TSi and TSr, RFC 7296 section 3.13.

| Number of TSs |                 RESERVED                      |

|   TS Type     |IP Protocol ID |       Selector Length         |
|           Start Port          |           End Port            |
|                         Starting Address                      |
|                         Ending Address                        |
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import ClassVar, Self

from rhp.wire.errors import DecodeError
from rhp.wire.iana import PayloadType, TsType
from rhp.wire.reader import Reader

_LAYOUT = Struct("!BBHHH")
_V4 = Struct("!BBHHH4s4s")
_V6 = Struct("!BBHHH16s16s")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class TrafficSelector:
    """An address range, a port range (0 to 65535 is any), an IP protocol (0 is any); `start` and `end` are included."""

    ts_type: int
    protocol: int
    start_port: int
    end_port: int
    start: Address
    end: Address

    def build(self) -> bytes:
        """Return the substructure."""
        layout = _V4 if self.ts_type == TsType.IPV4_ADDR_RANGE else _V6
        ports = (self.start_port, self.end_port)
        return layout.pack(self.ts_type, self.protocol, layout.size, *ports, self.start.packed, self.end.packed)


@dataclass(frozen=True, slots=True)
class _Selectors:
    selectors: tuple[TrafficSelector, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body, whose count must be exact; a selector of a type that we do not know is left out."""
        count = reader.u8()
        reader.take(3)
        selectors = [_parse_selector(reader) for _ in range(count)]
        reader.end("bad-selector-count")
        return cls(tuple(one for one in selectors if one is not None))

    def build(self) -> bytes:
        """Return the body; ValueError beyond 255 selectors."""
        return bytes((len(self.selectors), 0, 0, 0)) + b"".join(one.build() for one in self.selectors)


@dataclass(frozen=True, slots=True)
class TSi(_Selectors):
    """The initiator's traffic selectors."""

    TYPE: ClassVar[PayloadType] = PayloadType.TSI


@dataclass(frozen=True, slots=True)
class TSr(_Selectors):
    """The responder's traffic selectors."""

    TYPE: ClassVar[PayloadType] = PayloadType.TSR


def _parse_selector(reader: Reader) -> TrafficSelector | None:
    ts_type, protocol, length, start_port, end_port = _LAYOUT.unpack(reader.take(_LAYOUT.size))
    if length < _LAYOUT.size:
        raise DecodeError("bad-selector-length")
    body = reader.take(length - _LAYOUT.size)
    half = len(body) // 2
    if ts_type == TsType.IPV4_ADDR_RANGE and length == _V4.size:
        start: Address = IPv4Address(body[:half])
        end: Address = IPv4Address(body[half:])
    elif ts_type == TsType.IPV6_ADDR_RANGE and length == _V6.size:
        start, end = IPv6Address(body[:half]), IPv6Address(body[half:])
    elif ts_type in (TsType.IPV4_ADDR_RANGE, TsType.IPV6_ADDR_RANGE):
        raise DecodeError("bad-selector-length")
    else:
        return None
    return TrafficSelector(ts_type, protocol, start_port, end_port, start, end)
