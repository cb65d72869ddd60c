"""The first message of a peer: nothing is allocated before it has earned it (RFC 7296 sections 2.4 and 2.6).

Order of the checks: the same message again gets the same answer; past the hard limit of half-open SAs it is dropped;
past the cookie threshold, or the rate, it has to bring a cookie, and one source may have only its share; then the tasks
of IKE_SA_INIT decide. An SA exists only after they agreed.
"""

from rhp.ike import conductor, lifecycle
from rhp.ike.context import Context
from rhp.ike.effects import Send
from rhp.ike.errors import IkeError, PeerError
from rhp.ike.events import HandshakeRefused
from rhp.ike.handshake import Handshake
from rhp.ike.ike_sa import NO_SPI, IkeSa
from rhp.ike.path import Path
from rhp.ike.states import IkeState
from rhp.wire.errors import DecodeError, UnsupportedCriticalPayload
from rhp.wire.header import Header
from rhp.wire.iana import NotifyType
from rhp.wire.message import Message, build_message, parse_message
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.sk import SK
from rhp.wire.skf import SKF

MAX_OCTETS = 8192
"""The longest IKE_SA_INIT request that is taken: it is kept until AUTH has covered it, so anybody can fill memory with
such. Real ones have a few hundred octets (RFC 7296 section 2 asks for 3000 at least)."""

_GOES_ON = frozenset({NotifyType.INVALID_KE_PAYLOAD, NotifyType.TICKET_NACK, NotifyType.REDIRECT})

ADDRESS_SHARE = 10
"""Under load one source may have one of this many parts of all half-open SAs."""


def first_message(ctx: Context, header: Header, datagram: bytes, path: Path, now: float) -> None:
    """A request of IKE_SA_INIT, or of IKE_SESSION_RESUME, which stands for it."""
    reason = _unfit(ctx, header)
    if reason is not None:
        ctx.count(reason)
        return
    known = ctx.table.by_first_message(path.remote, hash(datagram))
    if known is not None:
        if known.responses.answer and known.responses.next_id == 1:
            ctx.count("request-repeated")
            ctx.send(known.responses.answer, path)
        return
    if ctx.table.half_open >= ctx.config.half_open_limit:
        ctx.count("half-open-limit")
        return
    if len(ctx.table) >= ctx.config.ike_sa_limit:
        ctx.count("ike-sa-limit")
        return
    _read(ctx, header, datagram, path, now)


def _unfit(ctx: Context, header: Header) -> str | None:
    if header.message_id != 0:
        return "bad-init-message-id"
    if header.spi_r != NO_SPI or header.spi_i == NO_SPI:
        return "bad-init-spi"
    if header.length > MAX_OCTETS:
        return "oversized-init"
    # Somebody sends our own request back to us, so that we might talk to ourselves.
    own = ctx.table.by_spi(header.spi_i)
    return "reflected-init" if own is not None and own.is_initiator else None


def _read(ctx: Context, header: Header, datagram: bytes, path: Path, now: float) -> None:
    try:
        message = parse_message(datagram, header)
    except UnsupportedCriticalPayload as error:
        refusal = PeerError(error.reason, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, data=bytes((error.payload_type,)))
        _refuse_unread(ctx, datagram, refusal, path, now)
        return
    except DecodeError as error:
        # Nobody in good faith sends that, so nobody needs an answer.
        ctx.count(error.reason)
        return
    if message.payloads and isinstance(message.payloads[-1], SK | SKF):
        ctx.count("sealed-init")
        return
    if ctx.cookie_wanted(now) and not _may_enter(ctx, message, path, now):
        return
    _open(ctx, message, datagram, path, now)


def _may_enter(ctx: Context, message: Message, path: Path, now: float) -> bool:
    """Under load: whether the initiator is where it says, and has not taken all the room it may have."""
    if not _has_cookie(ctx, message, path, now):
        return False
    if ctx.table.half_open_of(path.remote.ip) * ADDRESS_SHARE < ctx.config.half_open_limit:
        return True
    ctx.count("half-open-address")
    return False


def _has_cookie(ctx: Context, message: Message, path: Path, now: float) -> bool:
    """Whether the initiator can be reached at its address; if not so yet, it is asked to show that."""
    nonce = message.first(Nonce)
    if nonce is None:
        ctx.count("incomplete-init")
        return False
    cookie = message.notify(NotifyType.COOKIE)
    if cookie is not None and ctx.cookies.check(cookie.data, nonce.data, path.remote.ip, message.spi_i, now):
        ctx.count("cookie-accepted")
        return True
    ctx.count("cookie-asked" if cookie is None else "cookie-wrong")
    baked = ctx.cookies.bake(nonce.data, path.remote.ip, message.spi_i, now)
    _answer(ctx, message.exchange, message.spi_i, Notify(NotifyType.COOKIE, baked), path)
    return False


def _open(ctx: Context, message: Message, datagram: bytes, path: Path, now: float) -> None:
    sa = IkeSa(ctx, ctx.next_id(), "responder", None, (message.spi_i, ctx.new_ike_spi()), path, now)
    sa.handshake = Handshake()
    try:
        conductor.answer_first(sa, message, datagram, path, now)
    except PeerError as error:
        _refuse(ctx, sa, message.exchange, error, path, now)
        return
    except IkeError as error:
        ctx.count(error.reason)
        return
    ctx.table.add(sa)
    ctx.table.remember_first_message(sa, path.remote, hash(datagram))
    sa.become(IkeState.HALF_OPEN)
    lifecycle.await_initiator(sa, now)


def _refuse(ctx: Context, sa: IkeSa, exchange: int, error: PeerError, path: Path, now: float) -> None:
    """Say why, without keeping anything; only answers that the handshake can go on with are not rationed."""
    ctx.count(error.reason)
    if error.notify not in _GOES_ON:
        if not ctx.answers.allow(now):
            ctx.count("answer-withheld")
            return
        ctx.emit(HandshakeRefused(sa.id, sa.connection_name, path, error.reason, error.detail))
    _answer(ctx, exchange, sa.spi_i, Notify(error.notify, error.data), path)


def _refuse_unread(ctx: Context, datagram: bytes, error: PeerError, path: Path, now: float) -> None:
    ctx.count(error.reason)
    if ctx.answers.allow(now):
        _answer(ctx, datagram[18], datagram[:8], Notify(error.notify, error.data), path)


def _answer(ctx: Context, exchange: int, spi_i: bytes, notify: Notify, path: Path) -> None:
    """An answer that leaves nothing behind; the responder's SPI is zero (section 2.6)."""
    ctx.do(Send(build_message(Message(spi_i, NO_SPI, exchange, False, True, 0, (notify,))), path))
