"""IKE_FOLLOWUP_KE: the additional key exchanges of SAs that CREATE_CHILD_SA makes (RFC 9370 section 2.2.4).

    CREATE_CHILD_SA   SA, Ni, KEi           -->
                                            <--   SA, Nr, KEr, N(ADDITIONAL_KEY_EXCHANGE)(link)
    IKE_FOLLOWUP_KE   KEi(1), N(..)(link)   -->
                                            <--   KEr(1), N(..)(next link), but for the last one

As initiator the answer to CREATE_CHILD_SA is put aside until all secrets are there, and then processed by the task that
asked for it as if it had just come. As responder what is settled waits in `linked`.

Where both sides replace the same SA at once, the nonces of the two CREATE_CHILD_SA exchanges decide, as ever. Who began
the one with the lowest nonce begins no IKE_FOLLOWUP_KE for it: there is nothing to be deleted yet, and the other one's
goes on alone. A request that comes when we have gone on already is late, and answered by TEMPORARY_FAILURE.
"""

from collections.abc import Callable

from rhp.crypto import keyexchange
from rhp.crypto.secret import Secret
from rhp.ike import linked
from rhp.ike.errors import PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.linked import Linked
from rhp.ike.negotiation import agree, respond, start
from rhp.ike.states import IkeState
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType, TransformType
from rhp.wire.ke import KE
from rhp.wire.message import Message
from rhp.wire.sa import SA


class FollowUp(Task):
    """One round of ours, for `task`, whose answer `answered` waits for the secrets."""

    __slots__ = ("_answered", "_link", "_own", "_rounds", "_secrets", "_task")

    def __init__(
        self, task: Task, answered: Message, link: bytes, rounds: tuple[int, ...], secrets: tuple[Secret, ...] = ()
    ) -> None:
        self._task = task
        self._answered = answered
        self._link = link
        self._rounds = rounds
        self._secrets = secrets
        self._own: keyexchange.KeyExchange | None = None

    @property
    def replaces_ike(self) -> bool:
        """Whether the task does."""
        return self._task.replaces_ike

    def build(self, turn: Turn) -> None:
        """The next public value, and the link that the peer gave."""
        self._own = start(self._rounds[0])
        turn.out += [KE(self._own.method, self._own.public), linked.notify(self._link)]

    def process(self, turn: Turn) -> None:
        """One secret more: go on, or have the task take what it asked for."""
        ke, notify = turn.message.first(KE), turn.message.notify(NotifyType.ADDITIONAL_KEY_EXCHANGE)
        if ke is None:
            # The peer refuses, or has lost its state: the same as if it had refused at once.
            self._wipe()
            self._task.process(turn)
            return
        try:
            secrets = (*self._secrets, self._shared(ke))
        except PeerError as error:
            self._give_up(turn, error)
            return
        rest = self._rounds[1:]
        if rest and notify is None:
            self._give_up(turn, PeerError("link-missing", NotifyType.INVALID_SYNTAX))
        elif rest and notify is not None:
            _next(turn, FollowUp(self._task, self._answered, notify.data, rest, secrets))
        else:
            self._finish(turn, secrets)

    def _shared(self, ke: KE) -> Secret:
        if self._own is None or ke.method != self._own.method:
            raise PeerError("wrong-key-exchange", NotifyType.INVALID_SYNTAX)
        return agree(self._own, ke.data)

    def _give_up(self, turn: Turn, error: PeerError) -> None:
        """What the peer sent is of no use: the task finds that secrets are missing, and does what it must."""
        turn.ctx.count(error.reason)
        self._wipe()
        self._finish(turn, ())

    def _wipe(self) -> None:
        for secret in self._secrets:
            secret.wipe()

    def _finish(self, turn: Turn, secrets: tuple[Secret, ...]) -> None:
        turn.inbound, turn.further = self._answered, secrets
        self._task.process(turn)
        for secret in secrets:
            secret.wipe()


@hook(ExchangeType.IKE_FOLLOWUP_KE, order=10)
class FollowUpAnswer(Task):
    """One round of the peer's."""

    __slots__ = ("_linked", "_public")

    def __init__(self) -> None:
        self._linked: Linked | None = None
        self._public: KE | None = None

    def process(self, turn: Turn) -> None:
        """Find what waits, and make the secret. Raises PeerError when nothing waits, or the value is bad."""
        ke, notify = turn.message.first(KE), turn.message.notify(NotifyType.ADDITIONAL_KEY_EXCHANGE)
        if ke is None or notify is None:
            raise PeerError("incomplete-followup", NotifyType.INVALID_SYNTAX, detail="KE or the link is missing")
        if turn.sa.state is not IkeState.ESTABLISHED:
            raise PeerError("busy", NotifyType.TEMPORARY_FAILURE, detail="the IKE SA is being replaced or deleted")
        found = linked.take(turn.sa, notify.data)
        try:
            if ke.method != found.rounds[0]:
                raise PeerError("wrong-key-exchange", NotifyType.INVALID_SYNTAX)
            public, shared = respond(ke)
        except PeerError:
            found.wipe()
            raise
        found.rounds = found.rounds[1:]
        found.secrets.append(shared)
        self._linked, self._public = found, KE(ke.method, public)

    def build(self, turn: Turn) -> None:
        """Our value, and the next link; or, after the last one, make what was asked for."""
        if self._linked is None or self._public is None:
            raise RuntimeError("the request was not processed")
        turn.out.append(self._public)
        if self._linked.rounds:
            turn.out.append(linked.put(turn.sa, self._linked, turn.now))
            return
        try:
            self._linked.finish(turn, self._linked.secrets)
        finally:
            self._linked.wipe()


def goes_on(turn: Turn, task: Task, gives_way: Callable[[], bool] | None = None) -> bool:
    """As initiator: whether the answer asks for further key exchanges, which have been begun then.

    Unless `gives_way` says that the peer's rekey of the same moment takes the place of ours: then it ends here.
    """
    chosen, notify = turn.message.first(SA), turn.message.notify(NotifyType.ADDITIONAL_KEY_EXCHANGE)
    if turn.further is not None or chosen is None or notify is None:
        return False
    rounds = _rounds(chosen)
    if not rounds or not all(keyexchange.implemented(method) for method in rounds):
        return False
    if gives_way is not None and gives_way():
        turn.ctx.count("rekey-gave-way")
    else:
        _next(turn, FollowUp(task, turn.message, notify.data, rounds))
    return True


def settle(turn: Turn, settled: Linked) -> None:
    """As responder: finish at once, or after as many further key exchanges. Raises PeerError."""
    if settled.rounds:
        turn.out.append(linked.put(turn.sa, settled, turn.now))
    else:
        settled.finish(turn, ())


def is_under_way(sa: IkeSa) -> bool:
    """Whether a change of ours is past its CREATE_CHILD_SA, whose nonces were compared with what we knew by then."""
    return sa.turn is not None and sa.turn.exchange == ExchangeType.IKE_FOLLOWUP_KE


def _next(turn: Turn, round_of_ours: FollowUp) -> None:
    following = Turn(turn.sa, ExchangeType.IKE_FOLLOWUP_KE, [round_of_ours], ours=True)
    following.gone = turn.gone
    turn.follow.insert(0, following)


def _rounds(chosen: SA) -> tuple[int, ...]:
    """The methods of the additional key exchanges in an answer, in their order."""
    transforms = chosen.proposals[0].transforms
    kinds = {one.type: one.id for one in transforms if TransformType.ADDKE1 <= one.type <= TransformType.ADDKE7}
    return tuple(kinds[kind] for kind in sorted(kinds) if kinds[kind])
