"""A datagram for an IKE SA that we know: is it the peer's, is it new, what does it hold?

The checks go from cheap to dear: flags and SPIs, the window, then the seal. Nothing is answered and nothing changes
before the seal is open, but for a retransmission of the last request, whose answer is sent again, and for hints:
unprotected messages can make us ask the peer whether it lives, and no more (RFC 7296 sections 2.4 and 2.21).
"""

from rhp.crypto.errors import AuthenticationFailed
from rhp.ike import conductor, crash, fragments, lifecycle, moving, paths, roaming, sealing
from rhp.ike.errors import PeerError
from rhp.ike.exchange import Verdict
from rhp.ike.ike_sa import NO_SPI, IkeSa
from rhp.ike.path import Path
from rhp.ike.sealing import Opened
from rhp.ike.states import ACCEPTED_REQUESTS, FIRST_EXCHANGES, IkeState
from rhp.ike.tasks import dpd, mobike_update
from rhp.wire.errors import DecodeError, UnsupportedCriticalPayload
from rhp.wire.header import Header
from rhp.wire.iana import NotifyType, PayloadType
from rhp.wire.message import Message, parse_message
from rhp.wire.skf import SKF

HINT_PAUSE = 3.0
"""Seconds of silence from a peer before an unprotected hint makes us ask whether it lives."""

PROOF_PAUSE = 1.0
"""The same for a peer that gave us a token: one question is enough, for after a crash it will answer with that."""


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
    if verdict is Verdict.REPEATED:
        ctx.count("request-repeated")
        ctx.send(sa.responses.answer, path)
    elif verdict is Verdict.WAITING:
        ctx.count("request-waiting")
    elif _is_past_fragment(sa, header):
        _past_fragment(sa, datagram, path)
    elif header.exchange not in ACCEPTED_REQUESTS[sa.state]:
        ctx.count("unexpected-request")
    elif verdict is not Verdict.NEW:
        _unprotected(sa, datagram, now, "message-id-outside-window")
    else:
        _open_request(sa, header, datagram, path, now)


def _open_request(sa: IkeSa, header: Header, datagram: bytes, path: Path, now: float) -> None:
    opened = _open(sa, header, datagram, now)
    if opened is None:
        return
    _seen(sa, path, now)
    fragments.complete(sa, opened)
    try:
        conductor.answer(sa, opened, path, now)
    except UnsupportedCriticalPayload as error:
        notify = NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD
        refusal = PeerError(error.reason, notify, data=bytes((error.payload_type,)))
        conductor.refuse(sa, opened.frame.exchange, opened.datagram, refusal, path, now)
    except DecodeError as error:
        refusal = PeerError(error.reason, NotifyType.INVALID_SYNTAX, fatal=True)
        conductor.refuse(sa, opened.frame.exchange, opened.datagram, refusal, path, now)


def _is_past_fragment(sa: IkeSa, header: Header) -> bool:
    """Whether this is the last request again in fragments, and not the first one as it was."""
    past = header.message_id == sa.responses.next_id - 1 and bool(sa.responses.answer)
    return past and header.next_payload == PayloadType.SKF


def _past_fragment(sa: IkeSa, datagram: bytes, path: Path) -> None:
    """A fragment of the last request; only the first one has the answer sent again (RFC 7383 section 2.6.1).

    Where it is not as it was, the sender tries smaller pieces, because it saw no answer: then so do we, once the
    fragment is verified.
    """
    responses = sa.responses
    try:
        sealed = sealing.sealed_payload(parse_message(datagram))
        if not isinstance(sealed, SKF) or sealed.fragment_number > 1 or not sa.fragment_size:
            sa.ctx.count("fragment-of-the-past")
            return
        sealing.unseal(responses.cipher, datagram, sealed)
    except DecodeError as error:
        sa.ctx.count(error.reason)
    except AuthenticationFailed:
        sa.ctx.count("integrity-check-failed")
    else:
        fragments.narrow(sa, len(datagram))
        responses.recut(datagram, sealing.limit(sa))
        sa.ctx.count("request-repeated")
        sa.ctx.send(responses.answer, path)


def _response(sa: IkeSa, header: Header, datagram: bytes, path: Path, now: float) -> None:
    turn = sa.turn
    if turn is None or not sa.requests.expects(header.message_id) or header.exchange != turn.exchange:
        _unprotected(sa, datagram, now, "unexpected-response")
    elif header.exchange in FIRST_EXCHANGES:
        _init_response(sa, header, datagram, path, now)
    else:
        _open_response(sa, header, datagram, path, now)


def _init_response(sa: IkeSa, header: Header, datagram: bytes, path: Path, now: float) -> None:
    try:
        message = parse_message(datagram, header)
        sealed = sealing.sealed_payload(message)
    except DecodeError as error:
        sa.ctx.count(error.reason)
        return
    if sealed is not None:
        sa.ctx.count("sealed-init")
        return
    sa.shake.message_r = datagram
    conductor.conclude(sa, message, None, path, now)


def _open_response(sa: IkeSa, header: Header, datagram: bytes, path: Path, now: float) -> None:
    opened = _open(sa, header, datagram, now)
    if opened is None:
        return
    _seen(sa, path, now)
    fragments.complete(sa, opened)
    try:
        spread, was_update = sa.requests.spread, mobike_update.is_updating(sa)
        conductor.conclude(sa, opened.message(), opened, path, now)
        if spread:
            roaming.answered(sa.newest, path, was_update, now)
    except DecodeError as error:
        conductor.unreadable(sa, error.reason, now)


def _open(sa: IkeSa, header: Header, datagram: bytes, now: float) -> Opened | None:
    """The message with its seal open; None when it is not the peer's, or not whole yet."""
    try:
        frame = parse_message(datagram, header)
        sealed = sealing.sealed_payload(frame)
        if isinstance(sealed, SKF):
            return fragments.collect(sa, frame, sealed, datagram, now)
        if sealed is not None:
            inside = sealing.unseal(sa.cipher_in, datagram, sealed)
            return Opened(frame, sealed.next_payload, inside, datagram, len(datagram))
        _overheard(sa, frame, now)
    except DecodeError as error:
        sa.ctx.count(error.reason)
    except AuthenticationFailed:
        sa.ctx.count("integrity-check-failed")
    return None


def _unprotected(sa: IkeSa, datagram: bytes, now: float, reason: str) -> None:
    """A message outside the windows is dropped; if it is unprotected it may still be a hint."""
    sa.ctx.count(reason)
    try:
        frame = parse_message(datagram)
        if sealing.sealed_payload(frame) is None:
            _overheard(sa, frame, now)
    except DecodeError as error:
        sa.ctx.count(error.reason)


def _overheard(sa: IkeSa, frame: Message, now: float) -> None:
    """An unprotected message with the SPIs of this SA: it ends the SA if it proves a crash, else it is a hint."""
    if sa.established_at is not None and crash.proves(sa, frame):
        lifecycle.close(sa, crash.CRASHED, now)
    else:
        hint(sa, now)


def hint(sa: IkeSa, now: float) -> None:
    """An unprotected message about an SA that has keys. Anybody can send it, so at most it makes us ask the peer.

    A peer that has lost its state cannot answer; then there is no need to ask as patiently as over a bad network.
    """
    sa.ctx.count("unprotected-message")
    if sa.state is not IkeState.ESTABLISHED:
        return
    if dpd.is_checking(sa):
        sa.requests.policy = dpd.QUICK
    elif not sa.requests.outstanding and now - sa.last_seen >= (PROOF_PAUSE if sa.peer_token else HINT_PAUSE):
        sa.ctx.count("checked-after-hint")
        sa.enqueue(dpd.check(sa, dpd.QUICK))
        conductor.pump(sa, now)


def _seen(sa: IkeSa, path: Path, now: float) -> None:
    """An authentic, new message: the peer lives, and if a NAT is before it, it is where the message came from.

    RFC 7296 section 2.23: only the side that is not behind a NAT itself follows. With MOBIKE nobody does (RFC 4555
    section 3.8), but for a peer that begins to use the NAT-T ports, as both have to.
    """
    sa.last_seen = now
    if path == sa.path:
        return
    newest = sa.newest
    mobile = newest.mobility is not None
    if sa.state is IkeState.HALF_OPEN:
        sa.path = path
    elif mobile and path.natt and not newest.path.natt and paths.same_ends(path, newest.path):
        newest.path = path
    elif sa.state is IkeState.ESTABLISHED and not mobile and may_move(sa, path):
        moving.follow(newest, path, "nat-moved")
    else:
        sa.ctx.count("other-path")


def may_move(sa: IkeSa, path: Path) -> bool:
    """Whether the peer's address may follow its authentic messages: it is behind a NAT and we are not."""
    return sa.nat_remote and not sa.nat_local and path.natt
