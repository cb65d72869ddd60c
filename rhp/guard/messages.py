"""A message between guard and node: a header of six octets, then the dataclass that its kind names.

    |  version  |   kind   |          id           |   fields ...

The node numbers its questions, and an answer bears the number of its question. A note has the number 0. Descriptors
travel beside the octets, so the field that holds them is empty here. An answer that is longer than a message may be is
enclosed: it lies in a sealed memory file, and the message that tells of it has no fields and brings its descriptor.
"""

from __future__ import annotations

from dataclasses import replace
from struct import Struct
from typing import cast

from rhp.guard import memory
from rhp.guard.codec import Codec, Coder
from rhp.guard.kinds import ANSWERS, NOTES, QUESTIONS, VERSION, Note
from rhp.guard.protocol import Answer, Descriptors, Question
from rhp.wire.errors import DecodeError
from rhp.wire.reader import Reader

LARGEST = 1 << 16
"""Octets of one message, its header included. The largest, a signature's, hold an IKE_SA_INIT message and change."""

LARGEST_ENCLOSED = 1 << 28
"""Octets of an enclosed answer, as a configuration with thousands of connections may need them."""

_HEADER = Struct("!BBI")
_ENCLOSED = 255
_codec = Codec()


class _Table:
    """The kinds that may come from one direction; their coders are made when the first is needed."""

    def __init__(self, *kinds: dict[int, type]) -> None:
        self._types = {number: cls for table in kinds for number, cls in table.items()}
        self._numbers = {cls: number for number, cls in self._types.items()}
        self._coders: dict[int, Coder] = {}

    def build(self, number: int, message: object) -> bytes:
        kind = self._numbers[type(message)]
        out = bytearray(_HEADER.pack(VERSION, kind, number))
        self._coder(kind).write(out, message)
        return bytes(out)

    def parse(self, octets: bytes) -> tuple[int, object]:
        reader = Reader(octets)
        version, kind, number = reader.unpack(_HEADER)
        if version != VERSION:
            raise DecodeError("bad-version")
        if kind not in self._types:
            raise DecodeError("unknown-kind")
        message = self._coder(kind).read(reader)
        reader.end()
        return number, message

    def _coder(self, kind: int) -> Coder:
        found = self._coders.get(kind)
        if found is None:
            found = self._coders[kind] = _codec.coder(self._types[kind])
        return found


_asked = _Table(QUESTIONS)
_told = _Table(ANSWERS, NOTES)


def build_question(number: int, question: Question) -> bytes:
    """Write a question; `number` is 1 to 2^32 - 1."""
    return _asked.build(number, question)


def parse_question(octets: bytes) -> tuple[int, Question]:
    """Read a question and its number. Raises DecodeError."""
    number, question = _asked.parse(octets)
    if not number:
        raise DecodeError("no-number")
    return number, cast("Question", question)


def build_answer(number: int, answer: Answer) -> tuple[bytes, tuple[int, ...]]:
    """Write the answer to that question; the octets, and descriptors that go with them, the caller's then."""
    if isinstance(answer, Descriptors):
        return _told.build(number, replace(answer, fds=())), answer.fds
    octets = _told.build(number, answer)
    if len(octets) <= LARGEST:
        return octets, ()
    return _HEADER.pack(VERSION, _ENCLOSED, number), (memory.sealed("rhp-answer", octets),)


def build_note(note: Note) -> bytes:
    """Write a note."""
    return _told.build(0, note)


def parse_told(octets: bytes, fds: tuple[int, ...]) -> tuple[int, Answer | Note]:
    """Read what the guard says: an answer and its question's number, or a note and 0. Raises DecodeError.

    `fds` are the descriptors that came along; only `Descriptors` and `Start` may have any.
    """
    if octets[:2] == bytes((VERSION, _ENCLOSED)):
        octets, fds = _disclosed(fds), ()
    number, message = _told.parse(octets)
    if isinstance(message, Descriptors):
        if message.fds:
            raise DecodeError("descriptors-as-numbers")
        return number, replace(message, fds=fds)
    return number, cast("Answer | Note", message)


def _disclosed(fds: tuple[int, ...]) -> bytes:
    """What is in the one descriptor, which is closed; with any other number of them, they stay the caller's."""
    if len(fds) != 1:
        raise DecodeError("nothing-enclosed")
    try:
        return memory.read(fds[0], LARGEST_ENCLOSED)
    except OSError:
        raise DecodeError("unreadable-enclosure") from None
