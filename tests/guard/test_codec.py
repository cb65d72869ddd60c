"""Plain data as octets: what is written is read again, and nothing else is."""

import typing
from dataclasses import dataclass, fields, is_dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp.guard.codec import Atom, Codec
from rhp.guard.kinds import ANSWERS, NOTES, QUESTIONS
from rhp.wire.errors import DecodeError

KINDS = [*QUESTIONS.values(), *ANSWERS.values(), *NOTES.values()]


class Colour:
    """No plain data: known by its name."""

    def __init__(self, name):
        self.name = name


@dataclass(frozen=True, slots=True)
class Everything:
    """A field of each kind."""

    number: int
    share: float
    truth: bool
    octets: bytes
    text: str
    nothing: int | None
    many: tuple[int, ...]
    pair: tuple[int, bytes]
    set_: frozenset[int]
    table: dict[str, tuple[str, ...]]
    word: int | bool | Literal["auto"]
    address: IPv4Address | IPv6Address
    network: IPv4Network | IPv6Network
    interface: IPv4Interface | IPv6Interface
    path: Path
    colour: Colour


RED = Colour("red")
codec = Codec({Colour: Atom(lambda colour: colour.name, {"red": RED}.__getitem__)})
EVERYTHING = Everything(
    number=-(1 << 63),
    share=0.25,
    truth=True,
    octets=b"\0\xff",
    text="Zürich",
    nothing=None,
    many=(1, 2, 3),
    pair=(2, b"a"),
    set_=frozenset({5, -1, 700}),
    table={"a": ("b", "c"), "d": ()},
    word=False,
    address=IPv6Address("fd00::1"),
    network=IPv4Network("10.0.0.0/8"),
    interface=IPv6Interface("fd00::1/64"),
    path=Path("/run/rhp"),
    colour=RED,
)


def test_a_field_of_each_kind_comes_back():
    assert codec.decode(Everything, codec.encode(Everything, EVERYTHING)) == EVERYTHING


def test_every_shorter_and_every_longer_one_is_refused():
    octets = codec.encode(Everything, EVERYTHING)
    for length in range(len(octets)):
        with pytest.raises(DecodeError):
            codec.decode(Everything, octets[:length])
    with pytest.raises(DecodeError, match="trailing-octets"):
        codec.decode(Everything, octets + b"\0")


@pytest.mark.parametrize(
    ("annotation", "octets", "reason"),
    [
        (bool, b"\2", "bad-truth"),
        (float, b"\x7f\xf0" + bytes(6), "bad-number"),
        (str, b"\0\0\0\1\xff", "bad-text"),
        (bytes, b"\xff\xff\xff\xff", "truncated"),
        (int | None, b"\2", "unknown-member"),
        (Literal["a", "b"], b"\2", "unknown-value"),
        (tuple[int, ...], b"\xff\xff\xff\xff", "bad-count"),
        (frozenset[bool], b"\0\0\0\2\1\0", "bad-set"),
        (frozenset[bool], b"\0\0\0\2\1\1", "bad-set"),
        (dict[bool, bool], b"\0\0\0\2\1\0\1\0", "bad-table"),
        (IPv4Network, b"\x0a\0\0\0\x21", "bad-network"),
        (IPv4Network, b"\x0a\0\0\1\x08", "bad-network"),
        (Colour, b"\0\0\0\4blue", "unknown-atom"),
    ],
)
def test_what_no_value_is_written_as_is_refused_by_name(annotation, octets, reason):
    with pytest.raises(DecodeError) as refused:
        codec.decode(annotation, octets)
    assert refused.value.reason == reason


def test_what_is_no_plain_data_has_no_coder():
    for annotation in (object, list[int], typing.Callable[[], None]):
        with pytest.raises(TypeError):
            Codec().coder(annotation)


def values(annotation):
    """Any value of a message's field."""
    simple = {
        int: st.integers(-(1 << 63), (1 << 63) - 1),
        bool: st.booleans(),
        bytes: st.binary(max_size=64),
        str: st.text(max_size=16),
        type(None): st.none(),
    }
    if annotation in simple:
        return simple[annotation]
    if is_dataclass(annotation):
        return messages(annotation)
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple and inside[-1] is Ellipsis:
        return st.lists(values(inside[0]), max_size=4).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, inside))
    if origin is frozenset:
        return st.frozensets(values(inside[0]), max_size=4)
    return st.one_of(*map(values, inside))


def messages(cls):
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{one.name: values(hints[one.name]) for one in fields(cls)})


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_every_message_comes_back(data):
    cls = data.draw(st.sampled_from(KINDS))
    message = data.draw(messages(cls))
    assert codec.decode(cls, codec.encode(cls, message)) == message


@given(st.sampled_from(KINDS), st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_octets_end_in_a_value_or_in_the_one_error(cls, octets):
    """And there is one way to write a value: whatever is read is written the same."""
    try:
        value = codec.decode(cls, octets)
    except DecodeError:
        return
    assert codec.encode(cls, value) == octets
