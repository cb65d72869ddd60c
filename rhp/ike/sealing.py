"""From payloads to the datagram and back, for an IKE SA that has keys (the SK payload, RFC 7296 section 3.14).

Here is also the place of IKEv2 fragments (RFC 7383): we do not announce support for them, so an SKF payload is
refused by its name and counted.
"""

from collections.abc import Sequence

from rhp.crypto.errors import AuthenticationFailed
from rhp.ike.errors import PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.wire.iana import NotifyType
from rhp.wire.message import (
    Message,
    Payload,
    build_message,
    build_payloads,
    parse_payloads,
    sealed_prefix,
)
from rhp.wire.sk import SK
from rhp.wire.skf import SKF


def plain(sa: IkeSa, exchange: int, response: bool, message_id: int, payloads: Sequence[Payload]) -> bytes:
    """An unprotected message of this SA: IKE_SA_INIT."""
    return build_message(
        Message(sa.spi_i, sa.spi_r, exchange, sa.is_initiator, response, message_id, tuple(payloads)),
    )


def seal(sa: IkeSa, exchange: int, response: bool, message_id: int, payloads: Sequence[Payload]) -> bytes:
    """A protected message: the payloads inside one SK payload."""
    if sa.cipher_out is None:
        raise RuntimeError("the IKE SA has no keys")
    first, inside = build_payloads(payloads)
    frame = Message(sa.spi_i, sa.spi_r, exchange, sa.is_initiator, response, message_id, ())
    prefix = sealed_prefix(frame, first, sa.cipher_out.overhead(len(inside)))
    return prefix + sa.cipher_out.seal(prefix, inside)


def unseal(sa: IkeSa, datagram: bytes, sealed: SK) -> bytes:
    """The octets inside an SK payload. Raises AuthenticationFailed."""
    if sa.cipher_in is None:
        raise AuthenticationFailed("the IKE SA has no keys")
    return sa.cipher_in.open(datagram[: len(datagram) - len(sealed.body)], sealed.body)


def sealed_payload(message: Message) -> SK | None:
    """The SK payload that ends a message, or None for one without protection. Raises PeerError for a fragment."""
    last = message.payloads[-1] if message.payloads else None
    if isinstance(last, SKF):
        raise PeerError("fragment-unsupported", NotifyType.INVALID_SYNTAX)
    return last if isinstance(last, SK) else None


def opened(frame: Message, sealed: SK, inside: bytes) -> Message:
    """The message with the payloads that were sealed, and only those. Raises DecodeError."""
    payloads = parse_payloads(sealed.next_payload, inside)
    return Message(
        frame.spi_i, frame.spi_r, frame.exchange, frame.initiator, frame.response, frame.message_id, payloads
    )
