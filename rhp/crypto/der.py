"""The little of DER that AUTH payloads and distinguished names need: elements of at most a few kilobytes, definite
lengths.

An element is its tag octet, its length and its content. Reading is strict: lengths in their shortest form and never
past the end.
"""

from __future__ import annotations

INTEGER = 0x02
NULL = 0x05
OID = 0x06
UTF8_STRING = 0x0C
PRINTABLE_STRING = 0x13
TELETEX_STRING = 0x14
IA5_STRING = 0x16
UNIVERSAL_STRING = 0x1C
BMP_STRING = 0x1E
SEQUENCE = 0x30
SET = 0x31

_LONGEST_OID = 128


def encode(tag: int, *contents: bytes) -> bytes:
    """Return one element that holds the contents joined."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def encode_oid(dotted: str) -> bytes:
    """Return the OBJECT IDENTIFIER element of a dotted text like "2.5.4.3"; ValueError when it is none."""
    arcs = [int(arc) for arc in dotted.split(".")]
    if len(arcs) < 2 or min(arcs) < 0 or arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39):
        raise ValueError(f"{dotted!r} is not an object identifier")
    octets = bytearray()
    for arc in (40 * arcs[0] + arcs[1], *arcs[2:]):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(0x80 | arc & 0x7F)
        octets += bytes(reversed(septets))
    return encode(OID, bytes(octets))


def decode_oid(content: bytes) -> str:
    """Return the dotted text of an OBJECT IDENTIFIER's content; ValueError when it is malformed."""
    if not content or content[-1] & 0x80:
        raise ValueError("a truncated object identifier")
    if len(content) > _LONGEST_OID:
        raise ValueError("an object identifier that is too long")
    numbers, number = [], 0
    for octet in content:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def read(data: bytes, offset: int = 0) -> tuple[int, bytes, int]:
    """Return the tag, the content and the end of the element at `offset`; ValueError when it is malformed."""
    if len(data) - offset < 2:
        raise ValueError("a truncated element")
    tag, size, start = data[offset], data[offset + 1], offset + 2
    if size & 0x80:
        width = size & 0x7F
        raw = data[start : start + width]
        if not 1 <= width <= 3 or len(raw) != width or raw[0] == 0:
            raise ValueError("a malformed length")
        size, start = int.from_bytes(raw, "big"), start + width
        if size < 0x80:
            raise ValueError("a length that is not in its shortest form")
    if len(data) - start < size:
        raise ValueError("an element past the end")
    return tag, data[start : start + size], start + size


def read_all(data: bytes) -> list[tuple[int, bytes]]:
    """Return the tags and contents of elements that follow each other; ValueError when one is malformed."""
    elements, offset = [], 0
    while offset < len(data):
        tag, content, offset = read(data, offset)
        elements.append((tag, content))
    return elements


def expect(data: bytes, tag: int) -> bytes:
    """Return the content of the one element that `data` is; ValueError when it is another one or more than one."""
    found, content, end = read(data)
    if found != tag or end != len(data):
        raise ValueError(f"an element of tag {tag:#x} was expected")
    return content
