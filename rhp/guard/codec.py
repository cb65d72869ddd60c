"""Plain data to octets and back, as its types say.

A frozen dataclass is written as its fields, one after the other; what a field is made of stands in its annotation. So
there is nothing to keep in step with the dataclasses, and nothing that comes in can become an object of any other type:
the reader decides what is built, never the octets. There is one way to write a value, and every other is refused.

    int       8 octets, signed              None, a union    the number of the member, then the member
    float     8 octets, IEEE 754, finite    tuple[T, ...]    4 octets of count, then each
    bool      0 or 1                        tuple[A, B]      each
    bytes     4 octets of length, octets    frozenset[T]     4 octets of count, then each in the order of its octets
    str       the same in UTF-8             dict[K, V]       4 octets of count, then each key with its value
    Literal   the number of the value       an IP address    its octets; a network or interface, then its prefix length

What is no plain data by itself, such as an algorithm, is an *atom*: text by which both sides know it.
"""

from __future__ import annotations

import enum
import itertools
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import Path
from struct import Struct
from typing import Any, Literal, NamedTuple

from rhp.wire.errors import DecodeError
from rhp.wire.reader import Reader

Write = Callable[[bytearray, Any], None]
Read = Callable[[Reader], Any]

_INT = Struct("!q")
_FLOAT = Struct("!d")
_LENGTH = Struct("!I")
_ADDRESSES: dict[Any, int] = {IPv4Address: 4, IPv6Address: 16}
_SPANS: dict[Any, int] = {IPv4Network: 4, IPv6Network: 16, IPv4Interface: 4, IPv6Interface: 16}


class Atom(NamedTuple):
    """How a value of one type is told as text, and found again; `find` raises ValueError or KeyError for no such."""

    tell: Callable[[Any], str]
    find: Callable[[str], Any]


class Coder(NamedTuple):
    """Writes and reads values of one type; `fits` says whether a value is of it."""

    write: Write
    read: Read
    fits: Callable[[Any], bool]


class Codec:
    """Makes coders out of annotations, each once. `atoms` are the types that are told by their text."""

    def __init__(self, atoms: Mapping[type, Atom] | None = None) -> None:
        self._atoms = dict(atoms or {})
        self._coders: dict[Any, Coder] = {}

    def encode(self, annotation: Any, value: Any) -> bytes:  # noqa: ANN401
        """Write a value of that type."""
        out = bytearray()
        self.coder(annotation).write(out, value)
        return bytes(out)

    def decode(self, annotation: Any, octets: bytes) -> Any:  # noqa: ANN401
        """Read a value of that type; DecodeError for octets that no value of it is written as."""
        reader = Reader(octets)
        value = self.coder(annotation).read(reader)
        reader.end()
        return value

    def coder(self, annotation: Any) -> Coder:  # noqa: ANN401
        """The coder of a type; TypeError for one that is no plain data."""
        found = self._coders.get(annotation)
        if found is None:
            found = self._coders[annotation] = self._make(annotation)
        return found

    def _make(self, annotation: Any) -> Coder:  # noqa: ANN401
        if annotation in self._atoms:
            return _atom(annotation, self._atoms[annotation])
        if annotation in _SIMPLE:
            return _SIMPLE[annotation]
        if annotation in _ADDRESSES:
            return _address(annotation, _ADDRESSES[annotation])
        if annotation in _SPANS:
            return _span(annotation, _SPANS[annotation])
        if isinstance(annotation, type) and issubclass(annotation, Path):
            return _atom(Path, Atom(str, Path))
        if isinstance(annotation, type) and issubclass(annotation, enum.IntEnum):
            return _enumeration(annotation)
        if isinstance(annotation, type) and is_dataclass(annotation):
            return self._record(annotation)
        return self._compound(annotation)

    def _compound(self, annotation: Any) -> Coder:  # noqa: ANN401
        origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is Literal:
            return _literal(inside)
        if origin in (typing.Union, types.UnionType):
            return _union([self.coder(one) for one in inside])
        if origin is tuple and len(inside) == 2 and inside[1] is Ellipsis:
            return _sequence(self.coder(inside[0]))
        if origin is tuple:
            return _row([self.coder(one) for one in inside])
        if origin is frozenset:
            return _set(self.coder(inside[0]))
        if origin in (dict, Mapping):
            return _table(self.coder(inside[0]), self.coder(inside[1]))
        raise TypeError(f"{annotation} is no plain data")

    def _record(self, cls: Any) -> Coder:  # noqa: ANN401
        hints = typing.get_type_hints(cls)
        names = [one.name for one in fields(cls) if one.init]
        coders = [self.coder(hints[name]) for name in names]
        pairs = [(name, coder.write) for name, coder in zip(names, coders, strict=True)]
        reads = [coder.read for coder in coders]

        def write(out: bytearray, value: Any) -> None:  # noqa: ANN401
            for name, put in pairs:
                put(out, getattr(value, name))

        def read(reader: Reader) -> Any:  # noqa: ANN401
            try:
                return cls(*[take(reader) for take in reads])
            except DecodeError:
                raise
            except (TypeError, ValueError):
                raise DecodeError("bad-record") from None

        return Coder(write, read, lambda value: type(value) is cls)


def _write_int(out: bytearray, value: int) -> None:
    out += _INT.pack(value)


def _read_int(reader: Reader) -> int:
    return int(reader.unpack(_INT)[0])


def _read_float(reader: Reader) -> float:
    value = float(reader.unpack(_FLOAT)[0])
    if not math.isfinite(value):
        raise DecodeError("bad-number")
    return value


def _read_bool(reader: Reader) -> bool:
    value = reader.u8()
    if value > 1:
        raise DecodeError("bad-truth")
    return value == 1


def _write_bytes(out: bytearray, value: bytes) -> None:
    out += _LENGTH.pack(len(value))
    out += value


def _read_bytes(reader: Reader) -> bytes:
    return reader.take(reader.unpack(_LENGTH)[0])


def _read_text(reader: Reader) -> str:
    try:
        return _read_bytes(reader).decode("utf-8")
    except UnicodeDecodeError:
        raise DecodeError("bad-text") from None


def _read_count(reader: Reader) -> int:
    """A number of items, each of which takes an octet at least."""
    count = int(reader.unpack(_LENGTH)[0])
    if count > len(reader):
        raise DecodeError("bad-count")
    return count


_SIMPLE: dict[Any, Coder] = {
    int: Coder(_write_int, _read_int, lambda value: isinstance(value, int) and not isinstance(value, bool)),
    float: Coder(
        lambda out, value: out.extend(_FLOAT.pack(value)), _read_float, lambda value: isinstance(value, float)
    ),
    bool: Coder(lambda out, value: out.append(value), _read_bool, lambda value: isinstance(value, bool)),
    bytes: Coder(_write_bytes, _read_bytes, lambda value: isinstance(value, bytes)),
    str: Coder(
        lambda out, value: _write_bytes(out, value.encode("utf-8")), _read_text, lambda value: isinstance(value, str)
    ),
    type(None): Coder(lambda out, value: None, lambda reader: None, lambda value: value is None),
}


def _atom(kind: type, atom: Atom) -> Coder:
    def write(out: bytearray, value: Any) -> None:  # noqa: ANN401
        _write_bytes(out, atom.tell(value).encode("utf-8"))

    def read(reader: Reader) -> Any:  # noqa: ANN401
        try:
            return atom.find(_read_text(reader))
        except DecodeError:
            raise
        except (KeyError, ValueError):
            raise DecodeError("unknown-atom") from None

    return Coder(write, read, lambda value: isinstance(value, kind))


def _enumeration(kind: type[enum.IntEnum]) -> Coder:
    def read(reader: Reader) -> enum.IntEnum:
        try:
            return kind(_read_int(reader))
        except ValueError as error:
            raise error if isinstance(error, DecodeError) else DecodeError("unknown-value") from None

    return Coder(_write_int, read, lambda value: isinstance(value, kind))


def _address(kind: type[IPv4Address] | type[IPv6Address], octets: int) -> Coder:
    def read(reader: Reader) -> IPv4Address | IPv6Address:
        return kind(reader.take(octets))

    return Coder(lambda out, value: out.extend(value.packed), read, lambda value: type(value) is kind)


def _span(kind: Any, octets: int) -> Coder:  # noqa: ANN401
    interface = kind in (IPv4Interface, IPv6Interface)

    def write(out: bytearray, value: Any) -> None:  # noqa: ANN401
        network = value.network if interface else value
        out += value.ip.packed if interface else network.network_address.packed
        out.append(network.prefixlen)

    def read(reader: Reader) -> Any:  # noqa: ANN401
        try:
            return kind((reader.take(octets), reader.u8()))
        except DecodeError:
            raise
        except ValueError:
            raise DecodeError("bad-network") from None

    return Coder(write, read, lambda value: type(value) is kind)


def _literal(values: tuple[Any, ...]) -> Coder:
    def number(value: Any) -> int | None:  # noqa: ANN401
        # False is no 0 here: both may be values.
        same = (index for index, one in enumerate(values) if one == value and type(one) is type(value))
        return next(same, None)

    def write(out: bytearray, value: Any) -> None:  # noqa: ANN401
        found = number(value)
        if found is None:
            raise TypeError(f"{value!r} is none of {values}")
        out.append(found)

    def read(reader: Reader) -> Any:  # noqa: ANN401
        found = reader.u8()
        if found >= len(values):
            raise DecodeError("unknown-value")
        return values[found]

    return Coder(write, read, lambda value: number(value) is not None)


def _union(members: list[Coder]) -> Coder:
    def write(out: bytearray, value: Any) -> None:  # noqa: ANN401
        for number, member in enumerate(members):
            if member.fits(value):
                out.append(number)
                member.write(out, value)
                return
        raise TypeError(f"a {type(value).__name__} is none of what may stand there")

    def read(reader: Reader) -> Any:  # noqa: ANN401
        number = reader.u8()
        if number >= len(members):
            raise DecodeError("unknown-member")
        return members[number].read(reader)

    return Coder(write, read, lambda value: any(member.fits(value) for member in members))


def _sequence(item: Coder) -> Coder:
    def write(out: bytearray, value: tuple[Any, ...]) -> None:
        out += _LENGTH.pack(len(value))
        for one in value:
            item.write(out, one)

    def read(reader: Reader) -> tuple[Any, ...]:
        return tuple([item.read(reader) for _ in range(_read_count(reader))])

    return Coder(write, read, lambda value: isinstance(value, tuple))


def _row(items: list[Coder]) -> Coder:
    def write(out: bytearray, value: tuple[Any, ...]) -> None:
        for item, one in zip(items, value, strict=True):
            item.write(out, one)

    def read(reader: Reader) -> tuple[Any, ...]:
        return tuple([item.read(reader) for item in items])

    return Coder(write, read, lambda value: isinstance(value, tuple))


def _set(item: Coder) -> Coder:
    def one(value: Any) -> bytes:  # noqa: ANN401
        out = bytearray()
        item.write(out, value)
        return bytes(out)

    def write(out: bytearray, value: frozenset[Any]) -> None:
        out += _LENGTH.pack(len(value))
        out += b"".join(sorted(map(one, value)))

    def read(reader: Reader) -> frozenset[Any]:
        found = [item.read(reader) for _ in range(_read_count(reader))]
        written = [one(value) for value in found]
        if any(first >= second for first, second in itertools.pairwise(written)):
            raise DecodeError("bad-set")
        return frozenset(found)

    return Coder(write, read, lambda value: isinstance(value, frozenset))


def _table(key: Coder, item: Coder) -> Coder:
    def write(out: bytearray, value: dict[Any, Any]) -> None:
        out += _LENGTH.pack(len(value))
        for name, one in value.items():
            key.write(out, name)
            item.write(out, one)

    def read(reader: Reader) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for _ in range(_read_count(reader)):
            name = key.read(reader)
            if name in found:
                raise DecodeError("bad-table")
            found[name] = item.read(reader)
        return found

    return Coder(write, read, lambda value: isinstance(value, dict))
