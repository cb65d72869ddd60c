"""Reading messages of a ladder test, the sealed ones too, and drawing them."""

from rhp.ike.effects import Emit
from rhp.ike.path import Path
from rhp.wire.delete import Delete
from rhp.wire.errors import DecodeError
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import Message, parse_header, parse_message, parse_payloads
from rhp.wire.notify import Notify
from rhp.wire.sk import SK
from rhp.wire.skf import SKF

WIDTH = 104
_FIELDS = ("old", "new", "reason", "detail", "spi_in", "lane", "replaces", "outbound_active")


class Reader:
    """Opens what any engine sealed: it takes note of every cipher there is, after every step."""

    def __init__(self):
        self._ciphers = {}

    def learn(self, sides):
        for side in sides:
            for sa in side.table.sas():
                if sa.cipher_out is not None:
                    self._ciphers[sa.spi_i, sa.spi_r, sa.is_initiator] = sa.cipher_out
                    self._ciphers[sa.spi_i, sa.spi_r, not sa.is_initiator] = sa.cipher_in

    def cipher(self, spi_i, spi_r, initiator):
        """What the original initiator (or the responder) of that IKE SA seals with."""
        return self._ciphers[spi_i, spi_r, initiator]

    def read(self, datagram):
        """The message with its payloads in the clear, as far as its keys are known."""
        frame = parse_message(datagram)
        sealed = frame.payloads[-1] if frame.payloads else None
        cipher = self._ciphers.get((frame.spi_i, frame.spi_r, frame.initiator))
        if not isinstance(sealed, SK) or cipher is None:
            return frame
        inside = cipher.open(datagram[: len(datagram) - len(sealed.body)], sealed.body)
        payloads = parse_payloads(sealed.next_payload, inside)
        return Message(
            frame.spi_i, frame.spi_r, frame.exchange, frame.initiator, frame.response, frame.message_id, payloads
        )

    def describe(self, datagram):
        """One line: exchange, request or response, Message ID, payloads."""
        try:
            header = parse_header(datagram)
        except DecodeError:
            return f"{len(datagram)} octets"
        kind = "response" if header.response else "request"
        try:
            inside = " ".join(_payload_name(payload) for payload in self.read(datagram).payloads)
        except Exception as error:
            inside = f"({error})"
        return f"{_name(ExchangeType, header.exchange)} {kind} {header.message_id}: {inside or '-'}"


def arrow(text, towards_right, arrives):
    """A line of the diagram."""
    body = f" {text[: WIDTH - 8]} ".center(WIDTH - 2, "-")
    if towards_right:
        return f"-{body}{'>' if arrives else 'x'}"
    return f"{'<' if arrives else 'x'}{body}-"


def effect_text(effect):
    """What a side did, in a few words."""
    what = effect.event if isinstance(effect, Emit) else effect
    words = [type(what).__name__]
    for field in _FIELDS:
        value = getattr(what, field, None)
        if value in (None, "") or isinstance(value, Path):
            continue
        words.append(f"{field}={value:#x}" if type(value) is int else f"{field}={value}")
    return " ".join(words)


def _payload_name(payload):
    if isinstance(payload, Notify):
        return f"N({_name(NotifyType, payload.type)})"
    if isinstance(payload, Delete):
        return f"D({int(payload.protocol)}{''.join(' ' + spi.hex() for spi in payload.spis)})"
    if isinstance(payload, SKF):
        return f"SKF({payload.fragment_number}/{payload.total_fragments})"
    return type(payload).__name__


def _name(kind, number):
    try:
        return kind(number).name
    except ValueError:
        return str(number)
