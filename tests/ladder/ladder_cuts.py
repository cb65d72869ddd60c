"""Messages in fragments, for ladder tests: cut as a peer might cut them, and put together again."""

from dataclasses import replace

from rhp.wire.iana import PayloadType
from rhp.wire.message import Message, build_payloads, parse_message, parse_payloads, sealed_prefix
from rhp.wire.sk import SK
from rhp.wire.skf import SKF


def fragment(link, frame, number, total, inside, first=0):
    """One fragment as `frame`'s sender would seal it; `first` is the type of the first payload inside."""
    cipher = link.reader.cipher(frame.spi_i, frame.spi_r, frame.initiator)
    prefix = sealed_prefix(replace(frame, payloads=()), first, cipher.overhead(len(inside)), (number, total))
    return prefix + cipher.seal(prefix, inside)


def cut(link, frame, pieces):
    """A message of `frame` and its payloads, in so many fragments of about the same length."""
    first, inside = build_payloads(frame.payloads)
    size = -(-len(inside) // pieces)
    parts = [inside[at * size : (at + 1) * size] for at in range(pieces)]
    return [
        fragment(link, frame, number, pieces, part, first if number == 1 else 0) for number, part in enumerate(parts, 1)
    ]


def is_fragment(packet):
    return packet.header.next_payload == PayloadType.SKF


def place(packet):
    """Number and total of a fragment."""
    (sealed,) = parse_message(packet.datagram).all(SKF)
    return sealed.fragment_number, sealed.total_fragments


def join(link, packets, cipher=None):
    """The message that fragments are, or one that is whole; `cipher` is needed where the keys have changed since."""
    parts, kind = {}, 0
    for packet in packets:
        frame = parse_message(packet.datagram)
        (sealed,) = frame.payloads
        cipher = cipher or link.reader.cipher(frame.spi_i, frame.spi_r, frame.initiator)
        prefix = packet.datagram[: len(packet.datagram) - len(sealed.body)]
        number, total = (1, 1) if isinstance(sealed, SK) else (sealed.fragment_number, sealed.total_fragments)
        parts[number] = cipher.open(prefix, sealed.body)
        kind = sealed.next_payload or kind
        assert total == len(packets)
    inside = b"".join(parts[number] for number in sorted(parts))
    return Message(
        frame.spi_i, frame.spi_r, frame.exchange, frame.initiator, frame.response, frame.message_id,
        parse_payloads(kind, inside),
    )  # fmt: skip
