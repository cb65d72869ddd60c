"""How the exchanges of one IKE SA run.

Ours: a turn waits in `sa.queue` until nothing of ours is out (`pump`), its tasks build the request, it is sent and
sent again until the response comes (`conclude`), its tasks process that, and what they want next is queued. The
peer's: an authentic request (`answer`) goes through every task's `process`, then every task's `build`, and the answer
is sent and kept. Sending and waiting stand in `outbound`. Where a task asks the guard, its work is parked in
`ctx.pending` and `resume` goes on with it later; only this SA waits meanwhile.
"""

from collections.abc import Sequence

from rhp.guard.protocol import Answer
from rhp.ike import lifecycle, outbound, sealing
from rhp.ike.effects import AskGuard
from rhp.ike.errors import Fault, IkeError, LocalError, PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.path import Path
from rhp.ike.sealing import Opened
from rhp.ike.states import FIRST_EXCHANGES, HANDSHAKE_STATES, IkeState
from rhp.ike.tasks import farewell, registry
from rhp.ike.turn import Ending, Turn, Work
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.message import Message
from rhp.wire.notify import Notify


def pump(sa: IkeSa, now: float) -> None:
    """Begin the next exchange of ours, unless one is under way."""
    while sa.turn is None and (turn := _next(sa)) is not None:
        turn.now = now
        if any(task.moot(turn) for task in turn.tasks):
            continue
        sa.turn = turn
        if not turn.tasks:
            turn.tasks = registry.for_request(turn)
        _run(turn, _request(turn))


def _next(sa: IkeSa) -> Turn | None:
    """Take what is to begin now; a change of ours waits until the peer is done with one that it has begun."""
    for index, turn in enumerate(sa.queue or ()):
        if not sa.linked or turn.exchange != ExchangeType.CREATE_CHILD_SA:
            return sa.queue.pop(index) if sa.queue else None
    return None


def answer(sa: IkeSa, opened: Opened, path: Path, now: float) -> None:
    """An authentic request with a fresh Message ID: process it and answer. Raises DecodeError before it does so."""
    turn = Turn(sa, opened.frame.exchange, ours=False)
    turn.inbound, turn.opened, turn.path, turn.now = opened.message(), opened, path, now
    sa.responses.begin(opened.datagram, sa.cipher_in)
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
    sa.responses.begin(datagram, sa.cipher_in)
    turn = Turn(sa, exchange, ours=False)
    turn.path, turn.now = path, now
    _refuse(turn, error)
    _respond(turn)


def conclude(sa: IkeSa, message: Message, opened: Opened | None, path: Path, now: float) -> None:
    """The authentic response to our request; IKE_SA_INIT stays open until an answer makes sense."""
    turn = sa.turn
    if turn is None:
        return
    turn.inbound, turn.opened, turn.path, turn.now = message, opened, path, now
    if turn.exchange not in FIRST_EXCHANGES:
        outbound.close_window(sa)
    _run(turn, _response(turn))


def unreadable(sa: IkeSa, reason: str, now: float) -> None:
    """The response bears the peer's seal and cannot be read: nothing it says can be relied on (section 2.21.3)."""
    sa.ctx.count(reason)
    # It is the response nevertheless: its Message ID is spent, and nothing is left to repeat.
    outbound.close_window(sa)
    sa.turn = None
    fail(sa, Ending(reason, Fault.PEER, "the peer's answer cannot be read"), now)
    pump(sa, now)


def resume(turn: Turn, work: Work, reply: Answer, now: float) -> None:
    """The guard has answered."""
    sa = turn.sa
    sa.asking = None
    turn.now = now
    if turn.ours:
        outbound.stop_clock(sa)
    _run(turn, work, reply)


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
    outbound.watch_guard(sa, turn.now)


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
    outbound.transmit(turn)


def _response(turn: Turn) -> Work:
    sa = turn.sa
    is_init = turn.exchange in FIRST_EXCHANGES
    try:
        for task in turn.tasks:
            step = task.process(turn)
            if step is not None:
                yield from step
            if turn.repeat or turn.instead is not None or turn.ending is not None:
                break
    except PeerError as error:
        if is_init:
            outbound.take_hint(sa, error, turn.now)
        else:
            _reject(turn, error)
        return
    if is_init:
        outbound.close_window(sa, advance=not turn.repeat and turn.instead is None)
        outbound.stop_clock(sa)
    elif turn.message.notify(NotifyType.INVALID_SYNTAX) is not None and turn.ending is None:
        # The peer has given the IKE SA up without a DELETE (RFC 7296 section 2.21.3).
        turn.ending = Ending("peer-said-invalid-syntax", Fault.PEER, "the peer could not read our request")
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
    # INVALID_SYNTAX is fatal to both sides, without a DELETE (RFC 7296 section 2.21.3).
    if error.fatal or error.notify == NotifyType.INVALID_SYNTAX or turn.sa.state in HANDSHAKE_STATES:
        turn.ending = Ending(error.reason, Fault.PEER, error.detail)


def _respond(turn: Turn) -> None:
    """Send and keep the answer, then do what the tasks want next."""
    sa = turn.sa
    message_id = sa.responses.next_id
    sa.last_sent = turn.now
    if turn.exchange in FIRST_EXCHANGES:
        sa.shake.message_r = sealing.plain(sa, turn.exchange, True, message_id, turn.out)
        sa.responses.finish((sa.shake.message_r,))
    else:
        letter = sealing.write(sa, turn.exchange, True, message_id, turn.out)
        datagrams = letter.sealed(sealing.limit(sa))
        smallest = sealing.smallest_limit(sa)
        recuttable = sa.fragment_size and any(len(one) > smallest for one in datagrams)
        sa.responses.finish(datagrams, letter if recuttable else None)
        for task in turn.tasks:
            task.sealed(turn, letter)
    sa.ctx.send(sa.responses.answer, turn.path)
    _settle(turn)


def _settle(turn: Turn) -> None:
    """An exchange is over: end the SA, or queue what follows and begin the next."""
    sa, now = turn.sa, turn.now
    if turn.ending is not None:
        if turn.ours:
            lifecycle.close(sa, turn.ending, now)
        else:
            lifecycle.bury(sa, turn.ending, now)
        if sa.successor is not None:
            pump(sa.successor, now)
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
    elif turn.instead is not None:
        following = [turn.instead, *following]
    for follower in reversed(following):
        follower.sa.enqueue(follower, first=True)
