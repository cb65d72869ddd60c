"""The Security Association payload, RFC 7296 section 3.3: proposals, each with transforms.

| Last (0) or 2 |   RESERVED    |         Proposal Length       |
| Proposal Num  |  Protocol ID  |    SPI Size   |Num  Transforms|
|                        SPI (variable)                         |

| Last (0) or 3 |   RESERVED    |        Transform Length       |
|Transform Type |   RESERVED    |          Transform ID         |
|                      Transform Attributes                     |
"""

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import ClassVar

from rhp.wire.errors import DecodeError
from rhp.wire.iana import PayloadType
from rhp.wire.reader import Reader

_PROPOSAL = Struct("!BxHBBBB")
_TRANSFORM = Struct("!BxHBxH")
_LAST = 0
_MORE_PROPOSALS = 2
_MORE_TRANSFORMS = 3
_KEY_LENGTH = 14
_FIXED_FORMAT = 0x8000
_USUAL_OCTETS = 256

MAX_PROPOSALS = 128
MAX_SPI = 16


@dataclass(frozen=True, slots=True)
class Transform:
    """One algorithm; `key_length` in bits where the attribute was there.

    `unknown` holds the attributes that we do not know, as (type, value): such a transform is unacceptable, and equals
    none that we offer (RFC 7296 section 3.3.6).
    """

    type: int
    id: int
    key_length: int | None = None
    unknown: tuple[tuple[int, bytes], ...] = ()

    def build(self, last: bool) -> bytes:
        """Return the substructure."""
        attributes = b"" if self.key_length is None else _fixed(_KEY_LENGTH, self.key_length.to_bytes(2, "big"))
        attributes += b"".join(_attribute(kind, value) for kind, value in self.unknown)
        length = _TRANSFORM.size + len(attributes)
        return _TRANSFORM.pack(_LAST if last else _MORE_TRANSFORMS, length, self.type, self.id) + attributes


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal: `spi` is empty, 4 octets for ESP, or 8 for an IKE SA that is rekeyed."""

    number: int
    protocol: int
    spi: bytes
    transforms: tuple[Transform, ...]

    def build(self, last: bool) -> bytes:
        """Return the substructure; ValueError when a count does not fit its octet."""
        body = self.spi + _build_transforms(self.transforms)
        more = _LAST if last else _MORE_PROPOSALS
        counts = (self.number, self.protocol, len(self.spi), len(self.transforms))
        if max(counts) > 255 or _PROPOSAL.size + len(body) > 0xFFFF:
            raise ValueError("a proposal holds at most 255 transforms in 65535 octets")
        return _PROPOSAL.pack(more, _PROPOSAL.size + len(body), *counts) + body


@dataclass(frozen=True, slots=True)
class SA:
    """The payload: proposals in the order of preference."""

    proposals: tuple[Proposal, ...]

    TYPE: ClassVar[PayloadType] = PayloadType.SA

    @classmethod
    def parse(cls, reader: Reader) -> "SA":
        """Read at least one proposal, at most MAX_PROPOSALS."""
        proposals: list[Proposal] = []
        more = True
        while more:
            if len(proposals) >= MAX_PROPOSALS:
                raise DecodeError("too-many-proposals")
            more, proposal = _parse_proposal(reader)
            proposals.append(proposal)
        reader.end("bad-proposal-chain")
        return cls(tuple(proposals))

    def build(self) -> bytes:
        """Return the body."""
        end = len(self.proposals) - 1
        return b"".join(one.build(at == end) for at, one in enumerate(self.proposals))


def _fixed(kind: int, value: bytes) -> bytes:
    return (_FIXED_FORMAT | kind).to_bytes(2, "big") + value


def _attribute(kind: int, value: bytes) -> bytes:
    """Two octets of value take the short format; that is how an unknown attribute of that size was read, too."""
    if len(value) == 2:
        return _fixed(kind, value)
    return kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def _parse_proposal(reader: Reader) -> tuple[bool, Proposal]:
    more, length, number, protocol, spi_size, count = reader.unpack(_PROPOSAL)
    if more not in (_LAST, _MORE_PROPOSALS):
        raise DecodeError("bad-proposal-chain")
    if length < _PROPOSAL.size + spi_size or spi_size > MAX_SPI:
        raise DecodeError("bad-proposal-length")
    body = reader.sub(length - _PROPOSAL.size)
    spi = body.take(spi_size)
    octets = body.rest()
    read = _usual_transforms if len(octets) <= _USUAL_OCTETS else _parse_transforms
    return more == _MORE_PROPOSALS, Proposal(number, protocol, spi, read(count, octets))


@lru_cache(128)
def _build_transforms(transforms: tuple[Transform, ...]) -> bytes:
    end = len(transforms) - 1
    return b"".join(one.build(at == end) for at, one in enumerate(transforms))


def _parse_transforms(count: int, octets: bytes) -> tuple[Transform, ...]:
    reader = Reader(octets)
    transforms = tuple(_parse_transform(reader, last=at == count - 1) for at in range(count))
    reader.end("bad-transform-chain")
    return transforms


# Everybody offers the same few combinations, so most have been read before; long ones are not worth the memory.
_usual_transforms = lru_cache(128)(_parse_transforms)


def _parse_transform(reader: Reader, last: bool) -> Transform:
    more, length, kind, identifier = reader.unpack(_TRANSFORM)
    if more != (_LAST if last else _MORE_TRANSFORMS):
        raise DecodeError("bad-transform-chain")
    if length < _TRANSFORM.size:
        raise DecodeError("bad-transform-length")
    attributes = reader.sub(length - _TRANSFORM.size)
    key_length: int | None = None
    unknown: list[tuple[int, bytes]] = []
    while len(attributes):
        attribute, value = _parse_attribute(attributes)
        if attribute == _KEY_LENGTH and key_length is None and len(value) == 2:
            key_length = int.from_bytes(value, "big")
        else:
            unknown.append((attribute, value))
    return Transform(kind, identifier, key_length, tuple(unknown))


def _parse_attribute(reader: Reader) -> tuple[int, bytes]:
    kind = reader.u16()
    if kind & _FIXED_FORMAT:
        return kind & ~_FIXED_FORMAT, reader.take(2)
    return kind, reader.take(reader.u16())
