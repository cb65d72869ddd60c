"""The Traffic Selector payloads TSi and TSr, RFC 7296 section 3.13.

| Number of TSs |                 RESERVED                      |

|   TS Type     |IP Protocol ID |       Selector Length         |
|           Start Port          |           End Port            |
|                         Starting Address                      |
|                         Ending Address                        |
"""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import ClassVar, Self

from rhp.wire.errors import DecodeError
from rhp.wire.iana import PayloadType, TsType
from rhp.wire.reader import Reader

_HEAD = Struct("!BBH")
_PORTS = Struct("!HH")
_V4 = Struct("!BBHHH4s4s")
_V6 = Struct("!BBHHH16s16s")
_USUAL_OCTETS = 256

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
        octets = reader.rest()
        return cls((_usual_selectors if len(octets) <= _USUAL_OCTETS else _parse_selectors)(octets))

    def build(self) -> bytes:
        """Return the body; ValueError beyond 255 selectors."""
        return bytes((len(self.selectors), 0, 0, 0)) + _build_selectors(self.selectors)


@dataclass(frozen=True, slots=True)
class TSi(_Selectors):
    """The initiator's traffic selectors."""

    TYPE: ClassVar[PayloadType] = PayloadType.TSI


@dataclass(frozen=True, slots=True)
class TSr(_Selectors):
    """The responder's traffic selectors."""

    TYPE: ClassVar[PayloadType] = PayloadType.TSR


@lru_cache(256)
def _build_selectors(selectors: tuple[TrafficSelector, ...]) -> bytes:
    return b"".join(one.build() for one in selectors)


def _parse_selectors(octets: bytes) -> tuple[TrafficSelector, ...]:
    reader = Reader(octets)
    count = reader.u8()
    reader.take(3)
    selectors = [_parse_selector(reader) for _ in range(count)]
    reader.end("bad-selector-count")
    return tuple(one for one in selectors if one is not None)


# Most peers ask for "anything", or for the same network as before, and addresses are slow to make.
_usual_selectors = lru_cache(512)(_parse_selectors)


def _parse_selector(reader: Reader) -> TrafficSelector | None:
    """Read one selector; those of other types share only the first four octets (RFC 9478 has labels of any length)."""
    ts_type, protocol, length = reader.unpack(_HEAD)
    if length < _HEAD.size:
        raise DecodeError("bad-selector-length")
    body = reader.take(length - _HEAD.size)
    if ts_type not in (TsType.IPV4_ADDR_RANGE, TsType.IPV6_ADDR_RANGE):
        return None
    if length != (_V4 if ts_type == TsType.IPV4_ADDR_RANGE else _V6).size:
        raise DecodeError("bad-selector-length")
    start_port, end_port = _PORTS.unpack_from(body)
    half = (len(body) - _PORTS.size) // 2
    low, high = body[_PORTS.size : _PORTS.size + half], body[_PORTS.size + half :]
    address = IPv4Address if ts_type == TsType.IPV4_ADDR_RANGE else IPv6Address
    return TrafficSelector(ts_type, protocol, start_port, end_port, address(low), address(high))
