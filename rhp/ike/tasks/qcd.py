"""QUICK_CRASH_DETECTION: each side gives the other a token to recognise its crash by (RFC 6290 section 4).

Both sides do so in IKE_AUTH. When the IKE SA is replaced its SPIs are new and so are the tokens: each side sends its
own in an exchange on the new IKE SA, once it is sure which one that is. What the tokens are and what one proves stands
in `rhp.ike.crash`.
"""

from rhp.ike import crash
from rhp.ike.ike_sa import IkeSa
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType


@hook(ExchangeType.IKE_AUTH, order=70)
class CrashToken(Task):
    """Both tokens of a new IKE SA."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Ours."""
        _give(turn, turn.sa)

    def process(self, turn: Turn) -> None:
        """The peer's."""
        crash.keep(turn.sa, turn.message)


class RekeyToken(Task):
    """A token that the answer to our rekey brings, as a Rockhopper gives it; it stands behind the task that rekeys."""

    __slots__ = ()

    def process(self, turn: Turn) -> None:
        """Keep it for the new IKE SA, if that is ours and the peer's of the same moment has not taken its place."""
        new = turn.sa.successor
        if turn.ours and new is not None and new.is_initiator:
            crash.keep(new, turn.message)


@hook(ExchangeType.INFORMATIONAL, order=60)
class NewToken(Task):
    """A token that comes by itself; the answer is empty."""

    __slots__ = ()

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer sends one."""
        return turn.message.notify(NotifyType.QUICK_CRASH_DETECTION) is not None

    def build(self, turn: Turn) -> None:
        """Ours, of the IKE SA that it travels on."""
        if turn.ours:
            _give(turn, turn.sa)

    def process(self, turn: Turn) -> None:
        """The peer's takes the place of the one before."""
        if not turn.ours:
            crash.keep(turn.sa, turn.message)


def _give(turn: Turn, sa: IkeSa) -> None:
    token = crash.own_token(sa)
    if token is not None:
        turn.out.append(token)
