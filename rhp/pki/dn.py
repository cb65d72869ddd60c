"""Distinguished names: text to DER, DER to text, and whether two of them mean the same (RFC 4514, RFC 5280 section
7.1).

Text lists the parts in the order of the encoding, "C=CH, O=rhp, CN=gate"; a comma, a plus sign or a backslash inside
a value is written behind a backslash. Two names are the same when their parts are, whatever string type carries them,
letter case and runs of spaces aside.
"""

from __future__ import annotations

import re

from rhp.crypto import der

Part = tuple[str, str]
"""One attribute: the dotted object identifier and its value as text."""

_OIDS = {
    "CN": "2.5.4.3",
    "SERIALNUMBER": "2.5.4.5",
    "SN": "2.5.4.5",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "STREET": "2.5.4.9",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "T": "2.5.4.12",
    "POSTALCODE": "2.5.4.17",
    "N": "2.5.4.41",
    "S": "2.5.4.4",
    "G": "2.5.4.42",
    "I": "2.5.4.43",
    "DNQ": "2.5.4.46",
    "UID": "0.9.2342.19200300.100.1.1",
    "DC": "0.9.2342.19200300.100.1.25",
    "E": "1.2.840.113549.1.9.1",
    "EMAILADDRESS": "1.2.840.113549.1.9.1",
}
_NAMES: dict[str, str] = {}
for _name, _oid in _OIDS.items():
    if _oid not in _NAMES or len(_name) < len(_NAMES[_oid]):
        _NAMES[_oid] = _name
_IA5_OIDS = frozenset({_OIDS["E"], _OIDS["DC"]})
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]*\Z")
_CODECS = {
    der.UTF8_STRING: "utf-8",
    der.PRINTABLE_STRING: "ascii",
    der.IA5_STRING: "ascii",
    der.TELETEX_STRING: "latin-1",
    der.BMP_STRING: "utf-16-be",
    der.UNIVERSAL_STRING: "utf-32-be",
}
_MOST_PARTS = 64


def parse_dn(text: str) -> bytes:
    """Return the DER of a name in text form; ValueError with a sentence when it is malformed."""
    return der.encode(der.SEQUENCE, *(der.encode(der.SET, _encode_part(part)) for part in split_dn(text)))


def split_dn(text: str) -> list[Part]:
    """Return the parts of a name in text form; ValueError with a sentence when it is malformed."""
    parts = []
    for piece in re.findall(r"(?:[^,\\]|\\.)+", text):
        kind, equals, value = piece.partition("=")
        name = kind.strip().upper()
        if not equals or not value.strip():
            raise ValueError(f'"{piece.strip()}" is not a part of a distinguished name such as "CN=gate"')
        oid = _OIDS.get(name, name)
        if not re.fullmatch(r"\d+(\.\d+)+", oid):
            raise ValueError(
                f'"{kind.strip()}" is not an attribute of distinguished names; known are C, O, OU, CN and others'
            )
        parts.append((oid, re.sub(r"\\(.)", r"\1", value.strip())))
    if not parts:
        raise ValueError("an empty distinguished name")
    return parts


def read_dn(data: bytes) -> list[Part]:
    """Return the parts of a name in DER, attributes of one set in their order; ValueError when it is malformed."""
    parts: list[Part] = []
    for tag, members in der.read_all(der.expect(data, der.SEQUENCE)):
        if tag != der.SET:
            raise ValueError("a distinguished name whose parts are not sets")
        for inner, attribute in der.read_all(members):
            fields = der.read_all(attribute)
            if inner != der.SEQUENCE or len(fields) != 2 or fields[0][0] != der.OID or len(parts) >= _MOST_PARTS:
                raise ValueError("a malformed attribute of a distinguished name")
            parts.append((der.decode_oid(fields[0][1]), _decode_value(*fields[1])))
    return parts


def format_dn(data: bytes) -> str:
    """Return the text of a name in DER; ValueError when it is malformed."""
    return ", ".join(f"{_NAMES.get(oid, oid)}={_escape(value)}" for oid, value in read_dn(data))


def comparable(parts: list[Part]) -> tuple[Part, ...]:
    """Return parts in the form in which equal names are equal."""
    return tuple((oid, " ".join(value.casefold().split())) for oid, value in parts)


def _encode_part(part: Part) -> bytes:
    oid, value = part
    if oid in _IA5_OIDS:
        if not value.isascii():
            raise ValueError(f'"{value}" may hold ASCII characters only')
        octets = der.encode(der.IA5_STRING, value.encode("ascii"))
    elif _PRINTABLE.match(value):
        octets = der.encode(der.PRINTABLE_STRING, value.encode("ascii"))
    else:
        octets = der.encode(der.UTF8_STRING, value.encode())
    return der.encode(der.SEQUENCE, der.encode_oid(oid), octets)


def _decode_value(tag: int, content: bytes) -> str:
    codec = _CODECS.get(tag)
    if codec is None:
        raise ValueError("a distinguished name with an unknown string type")
    return content.decode(codec)


def _escape(value: str) -> str:
    return re.sub(r"([,+\\])", r"\\\1", value)
