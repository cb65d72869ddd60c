"""A whole IKEv2 message, RFC 7296 sections 3.1 and 3.2: the header and the chain of payloads.

    | Next Payload  |C|  RESERVED   |         Payload Length        |

A message is parsed in two steps. `parse_message` reads what is in the clear and keeps an SK or SKF payload sealed; the
engine opens it and hands its octets to `parse_payloads`. The other way round, `build_payloads` makes the inner octets,
`sealed_prefix` the header that the seal covers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Final, TypeVar

from rhp.wire.auth import AUTH
from rhp.wire.cert import CERT
from rhp.wire.certreq import CERTREQ
from rhp.wire.cp import CP
from rhp.wire.delete import Delete
from rhp.wire.eap import EAP
from rhp.wire.errors import DecodeError, UnsupportedCriticalPayload
from rhp.wire.header import HEADER_LENGTH, MAJOR_VERSION, Header, build_header
from rhp.wire.iana import PayloadType
from rhp.wire.identity import IDi, IDr
from rhp.wire.ke import KE
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.reader import Reader
from rhp.wire.sa import SA
from rhp.wire.sk import SK
from rhp.wire.skf import FRAGMENT_HEADER_LENGTH, SKF
from rhp.wire.ts import TSi, TSr
from rhp.wire.unknown import Unknown
from rhp.wire.vendor import Vendor

OpenPayload = SA | KE | IDi | IDr | CERT | CERTREQ | AUTH | Nonce | Notify | Delete | Vendor | TSi | TSr | CP | EAP
Payload = OpenPayload | SK | SKF | Unknown
_P = TypeVar("_P", bound=Payload)

MAX_PAYLOADS = 512
GENERIC_HEADER_LENGTH = 4
_CRITICAL = 0x80
_NEXT_PAYLOAD = 16
_GENERIC = Struct("!BBH")
# Plain numbers, for a message has many payloads and an enumeration's names are looked up slowly.
_NO_PAYLOAD = int(PayloadType.NONE)

_OPEN: Final[dict[int, type[OpenPayload]]] = {
    int(one.TYPE): one
    for one in (SA, KE, IDi, IDr, CERT, CERTREQ, AUTH, Nonce, Notify, Delete, Vendor, TSi, TSr, CP, EAP)
}
_SEALED: Final = frozenset({int(PayloadType.SK), int(PayloadType.SKF)})
# No exchange has two of these, and which of two counts would be for an attacker to choose.
_AT_MOST_ONCE: Final = frozenset(int(one.TYPE) for one in (SA, KE, IDi, IDr, AUTH, Nonce, TSi, TSr, CP, EAP))


@dataclass(frozen=True, slots=True)
class Message:
    """`initiator` is the flag of who began the IKE SA, not of who sends; SPIs are 8 octets."""

    spi_i: bytes
    spi_r: bytes
    exchange: int
    initiator: bool
    response: bool
    message_id: int
    payloads: tuple[Payload, ...]
    # Every task asks for some payload, so they are sorted once, at the first question.
    _by_class: dict[type[object], list[Any]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _by_notify: dict[int, Notify] = field(default_factory=dict, init=False, repr=False, compare=False)

    def first(self, kind: type[_P]) -> _P | None:
        """Return the first payload of that class."""
        found: Sequence[_P] = (self._by_class or self._sorted()).get(kind, ())
        return found[0] if found else None

    def all(self, kind: type[_P]) -> tuple[_P, ...]:
        """Return every payload of that class, in order."""
        return tuple((self._by_class or self._sorted()).get(kind, ()))

    def notify(self, notify_type: int) -> Notify | None:
        """Return the first Notify payload of that type."""
        if not self._by_class:
            self._sorted()
        return self._by_notify.get(notify_type)

    def _sorted(self) -> dict[type[object], list[Any]]:
        for one in self.payloads:
            self._by_class.setdefault(type(one), []).append(one)
            if isinstance(one, Notify):
                self._by_notify.setdefault(one.type, one)
        return self._by_class


def parse_header(data: bytes) -> Header:
    """Read the header alone; any major version passes. DecodeError when there are fewer than 28 octets."""
    return Header.parse(data)


def parse_message(datagram: bytes, header: Header | None = None) -> Message:
    """Read a datagram (without the non-ESP marker); an SK or SKF payload stays sealed, and must be the last one.

    `header` is its own, where that has been read before. Raises DecodeError, or UnsupportedCriticalPayload.
    """
    if header is None:
        header = Header.parse(datagram)
    if header.major != MAJOR_VERSION:
        raise DecodeError("wrong-major-version")
    if header.length != len(datagram):
        raise DecodeError("bad-message-length")
    payloads = _parse_chain(header.next_payload, datagram[HEADER_LENGTH:], sealed=True)
    return Message(
        header.spi_i, header.spi_r, header.exchange, header.initiator, header.response, header.message_id, payloads
    )


def parse_payloads(next_payload: int, body: bytes) -> tuple[Payload, ...]:
    """Read the payloads that an SK payload held; another SK or SKF among them is refused ("nested-sk")."""
    return _parse_chain(next_payload, body, sealed=False)


def build_message(message: Message) -> bytes:
    """Return the datagram of a message whose payloads are in the clear, or sealed already."""
    first, body = build_payloads(message.payloads)
    return _header(message, first, len(body)) + body


def build_payloads(payloads: Sequence[Payload]) -> tuple[int, bytes]:
    """Return the type of the first payload (0 when there is none) and the chain of all."""
    # From the last one, because each names the one after it.
    parts: list[bytes] = []
    first = _NO_PAYLOAD
    for one in reversed(payloads):
        body = one.build()
        after = one.next_payload if isinstance(one, (SK, SKF)) else first
        if isinstance(one, Unknown):
            parts += (body, _generic(after, len(body), one.critical))
            first = one.type
        else:
            parts += (body, _generic(after, len(body), critical=False))
            first = int(one.TYPE)
    return first, b"".join(reversed(parts))


def sealed_prefix(
    message: Message, first_inner: int, body_length: int, fragment: tuple[int, int] | None = None
) -> bytes:
    """Return what stands before an SK body of `body_length` octets: IKE and generic header, lengths final.

    `message` gives the header; its payloads are not looked at. With `fragment` (number, total) it is an SKF payload
    (RFC 7383 section 2.5). These octets are the AEAD's associated data (RFC 5282 section 5.1).
    """
    inside = body_length + (FRAGMENT_HEADER_LENGTH if fragment else 0)
    kind = PayloadType.SKF if fragment else PayloadType.SK
    header = _header(message, kind, GENERIC_HEADER_LENGTH + inside)
    prefix = header + _generic(first_inner, inside, critical=False)
    if fragment:
        prefix += fragment[0].to_bytes(2, "big") + fragment[1].to_bytes(2, "big")
    return prefix


def sealed_offset(datagram: bytes) -> int:
    """Return where the IV of the SK or SKF payload begins; DecodeError("no-sk") when there is none."""
    first = Header.parse(datagram).next_payload
    for kind, _after, start, end, _critical in _walk(first, datagram[HEADER_LENGTH:]):
        if kind == PayloadType.SK:
            return HEADER_LENGTH + start
        if kind == PayloadType.SKF:
            if end - start < FRAGMENT_HEADER_LENGTH:
                raise DecodeError("truncated")
            return HEADER_LENGTH + start + FRAGMENT_HEADER_LENGTH
    raise DecodeError("no-sk")


def in_the_clear(datagram: bytes, inside: bytes) -> bytes:
    """Return a sealed message as if its SK payload held `inside` bare: no IV, no padding, no ICV, no fragments.

    `datagram` is the message, or its first fragment; all but the lengths and the payload's type stays as it was (RFC
    9242 section 3.3.2). DecodeError("no-sk") when there is no SK or SKF payload in it.
    """
    first = Header.parse(datagram).next_payload
    named = _NEXT_PAYLOAD
    for kind, _after, start, _end, _critical in _walk(first, datagram[HEADER_LENGTH:]):
        if kind in _SEALED:
            head = bytearray(datagram[: HEADER_LENGTH + start])
            head[named] = PayloadType.SK
            head[-2:] = (GENERIC_HEADER_LENGTH + len(inside)).to_bytes(2, "big")
            head[HEADER_LENGTH - 4 : HEADER_LENGTH] = (len(head) + len(inside)).to_bytes(4, "big")
            return bytes(head) + inside
        named = HEADER_LENGTH + start - GENERIC_HEADER_LENGTH
    raise DecodeError("no-sk")


def _header(message: Message, first: int, body_length: int) -> bytes:
    return build_header(
        message.spi_i,
        message.spi_r,
        first,
        MAJOR_VERSION << 4,
        message.exchange,
        message.initiator,
        message.response,
        message.message_id,
        HEADER_LENGTH + body_length,
    )


def _generic(after: int, body_length: int, critical: bool) -> bytes:
    length = GENERIC_HEADER_LENGTH + body_length
    if length > 0xFFFF:
        raise ValueError("a payload holds at most 65531 octets")
    return _GENERIC.pack(after, _CRITICAL if critical else 0, length)


def _walk(kind: int, body: bytes) -> Iterator[tuple[int, int, int, int, bool]]:
    """Yield (type, next type, start and end of the body, critical) along the chain, with the bounds checked."""
    at = 0
    count = 0
    total = len(body)
    while kind != _NO_PAYLOAD:
        if total - at < GENERIC_HEADER_LENGTH:
            raise DecodeError("truncated")
        if count >= MAX_PAYLOADS:
            raise DecodeError("too-many-payloads")
        after, flags, length = _GENERIC.unpack_from(body, at)
        end = at + length
        if length < GENERIC_HEADER_LENGTH or end > total:
            raise DecodeError("bad-payload-length")
        yield kind, after, at + GENERIC_HEADER_LENGTH, end, flags >= _CRITICAL
        if kind in _SEALED:
            # Its next-payload field names what is inside, so the chain in the clear ends here (section 3.14).
            if end != total:
                raise DecodeError("octets-after-sk")
            return
        kind, at, count = after, end, count + 1
    if at != total:
        raise DecodeError("trailing-octets")


def _parse_chain(first: int, body: bytes, sealed: bool) -> tuple[Payload, ...]:
    payloads: list[Payload] = []
    seen: set[int] = set()
    for kind, after, start, end, critical in _walk(first, body):
        known = _OPEN.get(kind)
        if kind in _AT_MOST_ONCE and kind in seen:
            raise DecodeError("duplicate-payload", f"type {kind}")
        seen.add(kind)
        if known is not None:
            payloads.append(known.parse(Reader(body[start:end])))
        elif kind in _SEALED:
            if not sealed:
                raise DecodeError("nested-sk")
            payloads.append(_parse_sealed(kind, after, body[start:end]))
        elif critical:
            raise UnsupportedCriticalPayload(kind)
        else:
            payloads.append(Unknown(kind, critical, body[start:end]))
    return tuple(payloads)


def _parse_sealed(kind: int, inner: int, body: bytes) -> SK | SKF:
    if kind == PayloadType.SK:
        return SK(inner, body)
    return SKF.parse_fragment(inner, Reader(body))
