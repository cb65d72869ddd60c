"""From payloads to datagrams and back, for an IKE SA that has keys.

A protected message is one SK payload (RFC 7296 section 3.14), or, where both sides said that they can and it would be
longer than the path is sure to carry, several SKF payloads in a datagram each (RFC 7383). Here they are made and
opened; `fragments` keeps those of the peer until a message is whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rhp.crypto.cipher import IkeCipher
from rhp.crypto.errors import AuthenticationFailed
from rhp.ike.ike_sa import IkeSa
from rhp.ike.path import Path
from rhp.wire.header import HEADER_LENGTH
from rhp.wire.message import (
    GENERIC_HEADER_LENGTH,
    Message,
    Payload,
    build_message,
    build_payloads,
    in_the_clear,
    parse_payloads,
    sealed_prefix,
)
from rhp.wire.sk import SK
from rhp.wire.skf import FRAGMENT_HEADER_LENGTH, SKF

SMALLEST_SIZE = 576
"""The longest IP packet that every IPv4 path carries whole (RFC 7383 section 2.5.1); IPv6 paths carry 1280 octets."""
SMALLEST_IPV6_SIZE = 1280

_UDP_HEADER = 8
_NON_ESP_MARKER = 4
_IP_HEADER = {4: 20, 6: 40}
_FRAGMENT_PREFIX = HEADER_LENGTH + GENERIC_HEADER_LENGTH + FRAGMENT_HEADER_LENGTH


@dataclass(frozen=True, slots=True)
class Letter:
    """A protected message that is ready to be sealed, also more than once and in pieces of another size.

    `frame` gives the header; `inside` is the chain of inner payloads, `first` the type of the first of them.
    """

    frame: Message
    first: int
    inside: bytes
    cipher: IkeCipher

    def sealed(self, limit: int) -> tuple[bytes, ...]:
        """The datagrams, each of at most `limit` octets; 0 is no limit, and then there is one."""
        length = self.cipher.overhead(len(self.inside))
        if not limit or HEADER_LENGTH + GENERIC_HEADER_LENGTH + length <= limit:
            prefix = sealed_prefix(self.frame, self.first, length)
            return (prefix + self.cipher.seal(prefix, self.inside),)
        return self._cut(max(1, self.cipher.room(limit - _FRAGMENT_PREFIX)))

    def recut(self, limit: int, before: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The same in smaller pieces than `before`: there have to be more of them.

        The receiver may have some of those from before, and knows them apart by their total alone.
        """
        room = self.cipher.room(limit - _FRAGMENT_PREFIX)
        return self._cut(max(1, min(room, (len(self.inside) - 1) // len(before))))

    def covered(self) -> bytes:
        """The message as if it were neither encrypted nor in fragments, which AUTH covers (RFC 9242 section 3.3.2)."""
        return sealed_prefix(self.frame, self.first, len(self.inside)) + self.inside

    def _cut(self, room: int) -> tuple[bytes, ...]:
        parts = [self.inside[at : at + room] for at in range(0, len(self.inside), room)] or [b""]
        return tuple(self._fragment(number, len(parts), part) for number, part in enumerate(parts, 1))

    def _fragment(self, number: int, total: int, part: bytes) -> bytes:
        first = self.first if number == 1 else 0
        prefix = sealed_prefix(self.frame, first, self.cipher.overhead(len(part)), (number, total))
        return prefix + self.cipher.seal(prefix, part)


@dataclass(frozen=True, slots=True)
class Opened:
    """A message whose seal is open and whose payloads are not read yet.

    `inside` is the chain of inner payloads, `first_inner` the type of the first of them, `datagram` the message as it
    came or its first fragment, and `longest` the octets of its longest datagram, of which there were `pieces`.
    """

    frame: Message
    first_inner: int
    inside: bytes
    datagram: bytes
    longest: int
    pieces: int = 1

    def message(self) -> Message:
        """The message with the payloads that were sealed, and only those. Raises DecodeError."""
        frame, payloads = self.frame, parse_payloads(self.first_inner, self.inside)
        return Message(
            frame.spi_i, frame.spi_r, frame.exchange, frame.initiator, frame.response, frame.message_id, payloads
        )

    def covered(self) -> bytes:
        """The message as if it were neither encrypted nor in fragments, which AUTH covers (RFC 9242 section 3.3.2)."""
        return in_the_clear(self.datagram, self.inside)


def plain(sa: IkeSa, exchange: int, response: bool, message_id: int, payloads: Sequence[Payload]) -> bytes:
    """An unprotected message of this SA: IKE_SA_INIT."""
    return build_message(
        Message(sa.spi_i, sa.spi_r, exchange, sa.is_initiator, response, message_id, tuple(payloads)),
    )


def write(sa: IkeSa, exchange: int, response: bool, message_id: int, payloads: Sequence[Payload]) -> Letter:
    """A protected message of this SA."""
    if sa.cipher_out is None:
        raise RuntimeError("the IKE SA has no keys")
    first, inside = build_payloads(payloads)
    frame = Message(sa.spi_i, sa.spi_r, exchange, sa.is_initiator, response, message_id, ())
    return Letter(frame, first, inside, sa.cipher_out)


def unseal(cipher: IkeCipher | None, datagram: bytes, sealed: SK | SKF) -> bytes:
    """The octets inside the payload that ends a datagram. Raises AuthenticationFailed."""
    if cipher is None:
        raise AuthenticationFailed("the IKE SA has no keys")
    return cipher.open(datagram[: len(datagram) - len(sealed.body)], sealed.body)


def sealed_payload(message: Message) -> SK | SKF | None:
    """The SK or SKF payload that ends a message, or None for one without protection."""
    last = message.payloads[-1] if message.payloads else None
    return last if isinstance(last, SK | SKF) else None


def limit(sa: IkeSa, size: int | None = None) -> int:
    """How long a datagram of this SA may be, so that its IP packet has at most `size` octets; 0 is no limit.

    Without `size` it is the SA's own, and there is none while the peer takes no fragments.
    """
    size = sa.fragment_size if size is None else size
    return size - headers(sa.path) if size else 0


def smallest_size(sa: IkeSa) -> int:
    """The longest IP packet that every path of this SA's kind carries whole."""
    return SMALLEST_SIZE if sa.path.remote.ip.version == 4 else SMALLEST_IPV6_SIZE


def smallest_limit(sa: IkeSa) -> int:
    """How long a datagram in such a packet may be."""
    return limit(sa, smallest_size(sa))


def headers(path: Path) -> int:
    """The octets in front of a message: IP, UDP and, on the NAT-T ports, the non-ESP marker."""
    return _IP_HEADER[path.remote.ip.version] + _UDP_HEADER + (_NON_ESP_MARKER if path.natt else 0)
