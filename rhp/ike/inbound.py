"""A datagram for an IKE SA that we know: is it the peer's, is it new, what does it hold?

The checks go from cheap to dear: flags and SPIs, the window, then the seal. Nothing is answered and nothing changes
before the seal is open, but for a retransmission of the last request, whose answer is sent again, and for hints:
unprotected messages can make us ask the peer whether it lives, and no more (RFC 7296 sections 2.4 and 2.21).
"""

from rhp.crypto.errors import AuthenticationFailed
from rhp.ike import child_sa, conductor, sealing
from rhp.ike.effects import Send
from rhp.ike.errors import PeerError
from rhp.ike.events import PathChanged
from rhp.ike.exchange import Verdict
from rhp.ike.ike_sa import NO_SPI, IkeSa
from rhp.ike.path import Path
from rhp.ike.states import ACCEPTED_REQUESTS, IkeState
from rhp.ike.tasks import dpd
from rhp.wire.errors import DecodeError, UnsupportedCriticalPayload
from rhp.wire.header import Header
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import Message, parse_message

HINT_PAUSE = 3.0
"""Seconds of silence from a peer before an unprotected hint makes us ask whether it lives."""


def deliver(sa: IkeSa, header: Header, datagram: bytes, path: Path, now: float) -> None:
    """Take a datagram whose SPI led to this SA."""
    reason = _unfit(sa, header)
    if reason is not None:
        sa.ctx.count(reason)
    elif header.response:
        _response(sa, header, datagram, path, now)
    else:
        _request(sa, header, datagram, path, now)


def _unfit(sa: IkeSa, header: Header) -> str | None:
    """Why the message cannot be of this SA's peer, or None."""
    if header.initiator == sa.is_initiator:
        return "wrong-initiator-flag"
    if header.spi_i != sa.spi_i:
        return "wrong-spi"
    # As long as we know no responder SPI, a refusal comes with none and an answer brings it.
    if header.spi_r != sa.spi_r and sa.spi_r != NO_SPI:
        return "wrong-spi"
    return None


def _request(sa: IkeSa, header: Header, datagram: bytes, path: Path, now: float) -> None:
    ctx = sa.ctx
    verdict = sa.responses.judge(header.message_id, datagram)
    if verdict is Verdict.REPEATED and sa.responses.answer is not None:
        ctx.count("request-repeated")
        ctx.do(Send(sa.responses.answer, path))
    elif verdict is Verdict.WAITING:
        ctx.count("request-waiting")
    elif header.exchange not in ACCEPTED_REQUESTS[sa.state]:
        ctx.count("unexpected-request")
    elif verdict is not Verdict.NEW:
        _unprotected(sa, datagram, now, "message-id-outside-window")
    else:
        _open_request(sa, datagram, path, now)


def _open_request(sa: IkeSa, datagram: bytes, path: Path, now: float) -> None:
    frame, inside = _open(sa, datagram, now)
    if frame is None:
        return
    _seen(sa, path, now)
    try:
        sealed = sealing.sealed_payload(frame)
        if sealed is not None:
            conductor.answer(sa, sealing.opened(frame, sealed, inside), datagram, path, now)
    except UnsupportedCriticalPayload as error:
        notify = NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD
        refusal = PeerError(error.reason, notify, data=bytes((error.payload_type,)))
        conductor.refuse(sa, frame.exchange, datagram, refusal, path, now)
    except DecodeError as error:
        refusal = PeerError(error.reason, NotifyType.INVALID_SYNTAX, fatal=True)
        conductor.refuse(sa, frame.exchange, datagram, refusal, path, now)


def _response(sa: IkeSa, header: Header, datagram: bytes, path: Path, now: float) -> None:
    turn = sa.turn
    if turn is None or not sa.requests.expects(header.message_id) or header.exchange != turn.exchange:
        _unprotected(sa, datagram, now, "unexpected-response")
    elif header.exchange == ExchangeType.IKE_SA_INIT:
        _init_response(sa, datagram, path, now)
    else:
        _open_response(sa, datagram, path, now)


def _init_response(sa: IkeSa, datagram: bytes, path: Path, now: float) -> None:
    try:
        message = parse_message(datagram)
        sealed = sealing.sealed_payload(message)
    except (DecodeError, PeerError) as error:
        sa.ctx.count(error.reason)
        return
    if sealed is not None:
        sa.ctx.count("sealed-init")
        return
    sa.shake.message_r = datagram
    conductor.conclude(sa, message, path, now)


def _open_response(sa: IkeSa, datagram: bytes, path: Path, now: float) -> None:
    frame, inside = _open(sa, datagram, now)
    if frame is None:
        return
    _seen(sa, path, now)
    try:
        sealed = sealing.sealed_payload(frame)
        if sealed is not None:
            conductor.conclude(sa, sealing.opened(frame, sealed, inside), path, now)
    except DecodeError as error:
        conductor.unreadable(sa, error.reason, now)


def _open(sa: IkeSa, datagram: bytes, now: float) -> tuple[Message | None, bytes]:
    """The message in the clear and what is sealed in it; None when it is not the peer's."""
    try:
        frame = parse_message(datagram)
        sealed = sealing.sealed_payload(frame)
        if sealed is None:
            hint(sa, now)
            return None, b""
        return frame, sealing.unseal(sa, datagram, sealed)
    except (DecodeError, PeerError) as error:
        sa.ctx.count(error.reason)
    except AuthenticationFailed:
        sa.ctx.count("integrity-check-failed")
    return None, b""


def _unprotected(sa: IkeSa, datagram: bytes, now: float, reason: str) -> None:
    """A message outside the windows is dropped; if it is unprotected it may still be a hint."""
    sa.ctx.count(reason)
    try:
        frame = parse_message(datagram)
        if sealing.sealed_payload(frame) is None:
            hint(sa, now)
    except (DecodeError, PeerError) as error:
        sa.ctx.count(error.reason)


def hint(sa: IkeSa, now: float) -> None:
    """An unprotected message about an SA that has keys. Anybody can send it, so at most it makes us ask the peer.

    A peer that has lost its state cannot answer; then there is no need to ask as patiently as over a bad network.
    """
    sa.ctx.count("unprotected-message")
    if sa.state is not IkeState.ESTABLISHED:
        return
    if dpd.is_checking(sa):
        sa.requests.policy = dpd.QUICK
    elif not sa.requests.outstanding and now - sa.last_seen >= HINT_PAUSE:
        sa.ctx.count("checked-after-hint")
        sa.enqueue(dpd.check(sa, dpd.QUICK))
        conductor.pump(sa, now)


def _seen(sa: IkeSa, path: Path, now: float) -> None:
    """An authentic, new message: the peer lives, and if a NAT is before it, it is where the message came from.

    RFC 7296 section 2.23: only the side that is not behind a NAT itself follows.
    """
    sa.last_seen = now
    if path == sa.path:
        return
    if sa.state is IkeState.HALF_OPEN:
        sa.path = path
    elif sa.state is IkeState.ESTABLISHED and may_move(sa, path):
        move(sa, path)
    else:
        sa.ctx.count("other-path")


def may_move(sa: IkeSa, path: Path) -> bool:
    """Whether the peer's address may follow its authentic messages: it is behind a NAT and we are not."""
    return sa.nat_remote and not sa.nat_local and path.natt


def move(sa: IkeSa, path: Path) -> None:
    """The peer is elsewhere now; its children follow."""
    old, sa.path = sa.path, path
    sa.ctx.count("path-changed")
    sa.ctx.emit(PathChanged(sa.id, sa.connection_name, old, path))
    for child in sa.children.values():
        child_sa.migrate(child)
