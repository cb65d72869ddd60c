"""Whose datagram is it? Demultiplexing by our own SPI, and answers to what belongs to nobody.

Whatever anybody can provoke is rationed: INVALID_IKE_SPI and INVALID_MAJOR_VERSION share one bucket, INVALID_SPI
has its own (RFC 7296 sections 1.5, 2.5 and 2.21.4).
"""

from rhp.ike import accept, conductor, crash, inbound
from rhp.ike.context import Context
from rhp.ike.effects import Send
from rhp.ike.ike_sa import NO_SPI
from rhp.ike.path import Path
from rhp.ike.states import FIRST_EXCHANGES
from rhp.ike.tasks import lost_spi
from rhp.wire.errors import DecodeError
from rhp.wire.header import MAJOR_VERSION, Header
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import Message, build_message, parse_header
from rhp.wire.notify import Notify


def receive(ctx: Context, datagram: bytes, path: Path, now: float) -> None:
    """One datagram of anybody."""
    try:
        header = parse_header(datagram)
    except DecodeError as error:
        ctx.count(error.reason)
        return
    if header.major != MAJOR_VERSION:
        _wrong_version(ctx, header, path, now)
    elif header.length != len(datagram):
        ctx.count("bad-header-length")
    elif header.exchange in FIRST_EXCHANGES and header.initiator and not header.response:
        accept.first_message(ctx, header, datagram, path, now)
    else:
        _to_owner(ctx, header, datagram, path, now)


def unknown_esp(ctx: Context, spi: int, path: Path, now: float) -> None:
    """ESP for an SPI that nobody knows: tell its sender, within an IKE SA if there is one (section 1.5)."""
    if ctx.table.child_by_spi(spi) is not None:
        # It was a moment ahead of the message that made its SA, which is there by now: nothing is lost but one packet.
        ctx.count("early-esp")
        return
    ctx.count("unknown-esp-spi")
    if not ctx.strays.allow(now):
        ctx.count("answer-withheld")
        return
    sa = ctx.table.by_remote(path.remote)
    if sa is not None:
        # One report at a time is enough, and a silent peer must not fill the queue.
        if not sa.requests.outstanding and not sa.queue:
            sa.enqueue(lost_spi.report(sa, spi))
            conductor.pump(sa, now)
        return
    # Outside of an IKE SA the SPIs mean nothing and may be zero; the message is a request that nobody answers.
    notify = Notify(NotifyType.INVALID_SPI, spi.to_bytes(4))
    message = Message(NO_SPI, NO_SPI, ExchangeType.INFORMATIONAL, True, False, 0, (notify,))
    ctx.do(Send(build_message(message), path))


def _to_owner(ctx: Context, header: Header, datagram: bytes, path: Path, now: float) -> None:
    # The I flag says that the sender is the original initiator, so the responder's SPI is ours.
    own = header.spi_r if header.initiator else header.spi_i
    sa = ctx.table.by_spi(own)
    if sa is not None:
        inbound.deliver(sa, header, datagram, path, now)
        return
    tombstone = ctx.table.tombstones.get(own)
    if tombstone is not None:
        repeats = tombstone.answers.repeats(datagram)
        ctx.count("request-repeated" if repeats else "closed-ike-spi")
        if repeats:
            ctx.send(tombstone.answers.answer, path)
        return
    ctx.count("unknown-ike-spi")
    if header.response:
        return
    if own == NO_SPI:
        _outside(ctx, path, now)
    else:
        _tell(ctx, header, NotifyType.INVALID_IKE_SPI, path, now, crash.confession(ctx, header))


def _outside(ctx: Context, path: Path, now: float) -> None:
    """A message outside of any SA, such as INVALID_SPI of a peer that has started anew: a hint, if it is of a peer."""
    sa = ctx.table.by_remote(path.remote) if ctx.answers.allow(now) else None
    if sa is not None:
        inbound.hint(sa, now)


def _wrong_version(ctx: Context, header: Header, path: Path, now: float) -> None:
    ctx.count("bad-version")
    # Only a higher version is worth an answer: who speaks a lower one would not understand it (section 2.5).
    if header.major > MAJOR_VERSION and not header.response:
        _tell(ctx, header, NotifyType.INVALID_MAJOR_VERSION, path, now)


def _tell(ctx: Context, header: Header, kind: NotifyType, path: Path, now: float, more: Notify | None = None) -> None:
    """An unprotected response to a request that no SA is for."""
    if not ctx.answers.allow(now):
        ctx.count("answer-withheld")
        return
    payloads = (Notify(kind),) if more is None else (Notify(kind), more)
    message = Message(
        header.spi_i, header.spi_r, header.exchange, not header.initiator, True, header.message_id, payloads
    )
    ctx.do(Send(build_message(message), path))
