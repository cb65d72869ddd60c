"""REDIRECT: go to another gateway (RFC 5685 sections 3, 5 and 6). Who is sent where stands in `rhp.ike.redirection`.

In IKE_SA_INIT it stands in the place of everything else, with the initiator's nonce as a proof that it answers that
request; in IKE_AUTH it comes in the place of the Child SA, when both sides are authenticated; later in an
INFORMATIONAL exchange of the gateway. Whoever follows deletes the IKE SA it leaves.
"""

from functools import partial
from hmac import compare_digest

from rhp.ike import redirection
from rhp.ike.errors import PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.redirection import Gateway
from rhp.ike.states import IkeState
from rhp.ike.tasks import delete
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify

GRACE = 10.0
"""Seconds that a client has to delete the IKE SA that it was told to leave."""


@hook(ExchangeType.IKE_SESSION_RESUME, order=5)
@hook(ExchangeType.IKE_SA_INIT, order=5)
class RedirectInit(Task):
    """Before anything is computed: REDIRECT_SUPPORTED or REDIRECTED_FROM, and the answer to it."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """As initiator say that we follow; where we were sent here, say by whom."""
        if not turn.ours or not turn.sa.config.follow_redirects:
            return
        origin = turn.sa.shake.redirected_from
        if origin is None:
            turn.out.append(Notify(NotifyType.REDIRECT_SUPPORTED))
        else:
            turn.out.append(Notify(NotifyType.REDIRECTED_FROM, Gateway(origin).build()))

    def process(self, turn: Turn) -> None:
        """As responder send everybody away who can follow, if everybody is to go; as initiator follow."""
        if turn.ours:
            self._follow(turn)
            return
        message = turn.message
        turn.sa.redirectable = any(
            message.notify(kind) is not None for kind in (NotifyType.REDIRECT_SUPPORTED, NotifyType.REDIRECTED_FROM)
        )
        nonce = message.first(Nonce)
        target = redirection.for_everybody(turn.ctx, turn.path)
        if turn.sa.redirectable and target is not None and nonce is not None:
            raise PeerError("redirected", NotifyType.REDIRECT, data=target.build() + nonce.data)

    def _follow(self, turn: Turn) -> None:
        notify = turn.message.notify(NotifyType.REDIRECT)
        if notify is None:
            return
        if not turn.sa.config.follow_redirects:
            raise PeerError("redirect-unwanted", NotifyType.INVALID_SYNTAX, detail="the peer sends us to another one")
        gateway, nonce = redirection.parse(notify.data)
        # Without our nonce somebody sends it who does not see our messages (section 3).
        if not compare_digest(nonce, turn.sa.shake.nonce_i):
            raise PeerError("redirect-wrong-nonce", NotifyType.INVALID_SYNTAX, detail="the redirection is not for us")
        turn.ending = redirection.follow(turn.sa, gateway, turn.now)


@hook(ExchangeType.IKE_AUTH, order=45)
class RedirectAuth(Task):
    """The gateway knows who calls: REDIRECT in the place of a Child SA (section 6)."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """As responder send away."""
        target = turn.ctx.redirects.get(turn.sa.connection_name)
        if turn.ours or target is None or not turn.sa.redirectable:
            return
        turn.ctx.count("redirected")
        turn.out.append(Notify(NotifyType.REDIRECT, target.build()))
        turn.sa.shake.leaving = True
        _await_leave(turn)

    def process(self, turn: Turn) -> None:
        """As initiator follow; the IKE SA, which has no child, is deleted."""
        notify = turn.message.notify(NotifyType.REDIRECT)
        if turn.ours and notify is not None and _may_follow(turn):
            gateway, _ = redirection.parse(notify.data)
            turn.sa.shake.leaving = True
            turn.follow.append(delete.deletion(turn.sa, redirection.follow(turn.sa, gateway, turn.now)))


@hook(ExchangeType.INFORMATIONAL, order=15)
class Redirect(Task):
    """The gateway sends away an IKE SA that is there (section 5)."""

    __slots__ = ("_target",)

    def __init__(self, target: Gateway | None = None) -> None:
        self._target = target

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer sends us away."""
        return turn.message.notify(NotifyType.REDIRECT) is not None

    def build(self, turn: Turn) -> None:
        """Say where to; the answer is empty."""
        if self._target is not None:
            turn.ctx.count("redirected")
            turn.out.append(Notify(NotifyType.REDIRECT, self._target.build()))

    def process(self, turn: Turn) -> None:
        """As client follow, but not in circles; as gateway give the client some time to leave."""
        notify = turn.message.notify(NotifyType.REDIRECT)
        if turn.ours:
            _await_leave(turn)
        elif notify is not None and turn.sa.state is IkeState.ESTABLISHED and _may_follow(turn):
            gateway, _ = redirection.parse(notify.data)
            ending = redirection.follow(turn.sa, gateway, turn.now)
            if ending is redirection.GONE:
                turn.follow.append(delete.deletion(turn.sa, ending))


def sending_away(sa: IkeSa, target: Gateway) -> Turn:
    """The exchange that sends the peer of an established IKE SA to another gateway."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [Redirect(target)], ours=True)


def _may_follow(turn: Turn) -> bool:
    """Only who began says that it follows, so only it may be asked to."""
    if turn.sa.origin[0] == "initiator" and turn.sa.config.follow_redirects:
        return True
    turn.ctx.count("redirect-unwanted")
    return False


def _await_leave(turn: Turn) -> None:
    turn.ctx.timers.start(turn.now + GRACE, partial(turn.ctx.upkeep.leave_due, turn.sa))
