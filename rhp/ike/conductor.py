"""How the exchanges of one IKE SA run.

Ours: a turn waits in `sa.queue` until nothing of ours is out (`pump`), its tasks build the request, it is sent and sent
again until the response comes (`conclude`), its tasks process that, and what they want next is queued. The peer's: an
authentic request (`answer`) goes through every task's `process`, then every task's `build`, and the answer is sent and
kept. Where a task asks the guard, its work is parked in `ctx.pending` and `resume` goes on with it later; only this SA
waits meanwhile.
"""

from collections.abc import Sequence
from functools import partial

from rhp.guard.protocol import Answer
from rhp.ike import lifecycle, sealing
from rhp.ike.config import Retransmit
from rhp.ike.effects import AskGuard, Send
from rhp.ike.errors import Fault, IkeError, LocalError, PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.path import Path
from rhp.ike.states import HANDSHAKE_STATES, IkeState
from rhp.ike.tasks import farewell, registry
from rhp.ike.turn import Ending, Turn, Work
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.message import Message
from rhp.wire.notify import Notify

_DEFAULT_POLICY = Retransmit()

HINT_GRACE = 2.0
"""How long a better answer may take after an unprotected error, before that is believed (RFC 7296 section 2.21.1)."""


def pump(sa: IkeSa, now: float) -> None:
    """Begin the next exchange of ours, unless one is under way."""
    while sa.turn is None and sa.queue:
        turn = sa.queue.pop(0)
        turn.now = now
        if any(task.moot(turn) for task in turn.tasks):
            continue
        sa.turn = turn
        if not turn.tasks:
            turn.tasks = registry.for_request(turn)
        _run(turn, _request(turn))


def answer(sa: IkeSa, message: Message, datagram: bytes, path: Path, now: float) -> None:
    """An authentic request with a fresh Message ID: process it and answer."""
    sa.responses.begin(datagram)
    turn = Turn(sa, message.exchange, ours=False)
    turn.inbound, turn.path, turn.now = message, path, now
    _run(turn, _answer(turn))


def answer_first(sa: IkeSa, message: Message, datagram: bytes, path: Path, now: float) -> None:
    """A peer's first IKE_SA_INIT, answered without waiting for anybody. Raises PeerError, and then nothing was sent."""
    turn = Turn(sa, message.exchange, ours=False)
    turn.inbound, turn.path, turn.now = message, path, now
    sa.responses.begin(datagram)
    sa.shake.message_i = datagram
    for _ in _steps(turn):
        raise RuntimeError("a task of IKE_SA_INIT may not ask the guard")
    _respond(turn)


def refuse(sa: IkeSa, exchange: int, datagram: bytes, error: PeerError, path: Path, now: float) -> None:
    """An authentic request whose content cannot even be read: answer with the error alone (RFC 7296 section 2.21.3)."""
    sa.responses.begin(datagram)
    turn = Turn(sa, exchange, ours=False)
    turn.path, turn.now = path, now
    _refuse(turn, error)
    _respond(turn)


def conclude(sa: IkeSa, message: Message, path: Path, now: float) -> None:
    """The authentic response to our request; IKE_SA_INIT stays open until an answer makes sense."""
    turn = sa.turn
    if turn is None:
        return
    turn.inbound, turn.path, turn.now = message, path, now
    if turn.exchange != ExchangeType.IKE_SA_INIT:
        _close_window(sa)
    _run(turn, _response(turn))


def resume(turn: Turn, work: Work, reply: Answer, now: float) -> None:
    """The guard has answered."""
    turn.sa.asking = None
    turn.now = now
    _run(turn, work, reply)


def take_hint(sa: IkeSa, error: PeerError, now: float) -> None:
    """An unprotected error during IKE_SA_INIT: it counts only if nothing better comes soon."""
    shake = sa.shake
    sa.ctx.count("unprotected-error")
    if shake.hint is None:
        sa.ctx.timers.cancel(sa.lifetime_timer)
        sa.lifetime_timer = sa.ctx.timers.start(now + HINT_GRACE, partial(give_up, sa, "no-answer"))
    shake.hint = error


def give_up(sa: IkeSa, reason: str, now: float) -> None:
    """Nothing (more) came from the peer in time."""
    hint = sa.handshake.hint if sa.handshake is not None else None
    if hint is not None:
        lifecycle.close(sa, Ending(hint.reason, Fault.PEER, hint.detail), now)
    else:
        lifecycle.close(sa, sa.ending or Ending(reason, Fault.NETWORK), now)


def fail(sa: IkeSa, ending: Ending, now: float) -> None:
    """Our side cannot or must not go on with a handshake or an SA that the peer may believe in: tell it, then end.

    RFC 7296 section 2.21.2: an initiator that cannot authenticate the responder says so in an INFORMATIONAL exchange.
    """
    if sa.state is not IkeState.AUTHENTICATING or not sa.is_initiator:
        lifecycle.close(sa, ending, now)
        return
    lifecycle.report_failure(sa, ending)
    lifecycle.cancel_timers(sa)
    sa.ending = ending
    sa.become(IkeState.DELETING)
    sa.queue = [farewell.last_word(sa)]


def _run(turn: Turn, work: Work, reply: Answer | None = None) -> None:
    """Drive work until it ends or asks the guard; then it is parked."""
    sa = turn.sa
    try:
        question = work.send(reply)  # type: ignore[arg-type]  # None starts a generator.
    except StopIteration:
        return
    except Exception as error:
        # A bug of ours must not take the other SAs along.
        sa.ctx.fault(sa.id, error)
        lifecycle.close(sa, Ending("internal-error", Fault.LOCAL), turn.now)
        return
    request_id = sa.ctx.next_id()
    sa.asking = request_id
    sa.ctx.pending[request_id] = (turn, work)
    sa.ctx.do(AskGuard(request_id, question))


def _steps(turn: Turn) -> Work:
    """A request of the peer goes through every task twice: to be read, then to be answered."""
    turn.tasks = registry.for_answer(turn)
    for task in turn.tasks:
        step = task.process(turn)
        if step is not None:
            yield from step
    for task in turn.tasks:
        step = task.build(turn)
        if step is not None:
            yield from step


def _request(turn: Turn) -> Work:
    sa = turn.sa
    try:
        for task in turn.tasks:
            step = task.build(turn)
            if step is not None:
                yield from step
    except IkeError as error:
        sa.ctx.count(error.reason)
        sa.turn = None
        if sa.state in HANDSHAKE_STATES:
            lifecycle.close(sa, Ending(error.reason, Fault.LOCAL, error.detail), turn.now)
        return
    _transmit(turn)


def _transmit(turn: Turn) -> None:
    sa = turn.sa
    window = sa.requests
    if turn.exchange == ExchangeType.IKE_SA_INIT:
        datagram = sealing.plain(sa, turn.exchange, False, window.next_id, turn.out)
        sa.shake.message_i = datagram
    else:
        datagram = sealing.seal(sa, turn.exchange, False, window.next_id, turn.out)
    wait = window.open(datagram, turn.policy or (sa.connection.retransmit if sa.connection else _DEFAULT_POLICY))
    sa.ctx.do(Send(datagram, sa.path))
    window.timer = sa.ctx.timers.start(turn.now + wait, partial(_retransmit, sa))


def _retransmit(sa: IkeSa, now: float) -> None:
    window = sa.requests
    wait = window.again()
    if wait is None or window.datagram is None:
        give_up(sa, "peer-unresponsive" if sa.established_at is not None else "no-answer", now)
        return
    sa.ctx.count("retransmitted")
    sa.ctx.do(Send(window.datagram, sa.path))
    window.timer = sa.ctx.timers.start(now + wait, partial(_retransmit, sa))


def _close_window(sa: IkeSa, *, advance: bool = True) -> None:
    sa.ctx.timers.cancel(sa.requests.timer)
    sa.requests.timer = None
    sa.requests.close(advance=advance)


def _response(turn: Turn) -> Work:
    sa = turn.sa
    is_init = turn.exchange == ExchangeType.IKE_SA_INIT
    try:
        for task in turn.tasks:
            step = task.process(turn)
            if step is not None:
                yield from step
            if turn.repeat or turn.ending is not None:
                break
    except PeerError as error:
        if is_init:
            take_hint(sa, error, turn.now)
        else:
            _reject(turn, error)
        return
    if is_init:
        _close_window(sa, advance=not turn.repeat)
    sa.turn = None
    _settle(turn)


def _reject(turn: Turn, error: PeerError) -> None:
    """The response is authentic and still unacceptable."""
    sa = turn.sa
    sa.ctx.count(error.reason)
    sa.turn = None
    if error.fatal or sa.state in HANDSHAKE_STATES:
        fail(sa, Ending(error.reason, Fault.PEER, error.detail), turn.now)
    pump(sa, turn.now)


def _answer(turn: Turn) -> Work:
    try:
        yield from _steps(turn)
    except PeerError as error:
        _refuse(turn, error)
    except LocalError as error:
        _refuse(turn, PeerError(error.reason, NotifyType.TEMPORARY_FAILURE, detail=error.detail))
    _respond(turn)


def _refuse(turn: Turn, error: PeerError) -> None:
    turn.sa.ctx.count(error.reason)
    turn.out = [Notify(error.notify, error.data, Protocol.ESP if error.spi else 0, error.spi)]
    turn.follow.clear()
    if error.fatal or turn.sa.state in HANDSHAKE_STATES:
        turn.ending = Ending(error.reason, Fault.PEER, error.detail)


def _respond(turn: Turn) -> None:
    """Send and keep the answer, then do what the tasks want next."""
    sa = turn.sa
    message_id = sa.responses.next_id
    if turn.exchange == ExchangeType.IKE_SA_INIT:
        datagram = sealing.plain(sa, turn.exchange, True, message_id, turn.out)
        sa.shake.message_r = datagram
    else:
        datagram = sealing.seal(sa, turn.exchange, True, message_id, turn.out)
    sa.responses.finish(datagram)
    sa.ctx.do(Send(datagram, turn.path))
    _settle(turn)


def _settle(turn: Turn) -> None:
    """An exchange is over: end the SA, or queue what follows and begin the next."""
    sa, now = turn.sa, turn.now
    if turn.ending is not None:
        if turn.ours:
            lifecycle.close(sa, turn.ending, now)
        else:
            lifecycle.bury(sa, turn.ending, now)
        return
    lifecycle.end_handshake(sa)
    _queue(sa, turn)
    for waiting in {id(one): one for one in (sa, sa.successor, *(follower.sa for follower in turn.follow))}.values():
        if waiting is not None:
            pump(waiting, now)


def _queue(sa: IkeSa, turn: Turn) -> None:
    following: Sequence[Turn] = turn.follow
    if turn.repeat:
        renewed = Turn(sa, turn.exchange, turn.tasks, ours=True, policy=turn.policy)
        following = [renewed, *following]
    for follower in reversed(following):
        follower.sa.enqueue(follower, first=True)
