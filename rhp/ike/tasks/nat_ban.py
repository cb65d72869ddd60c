"""NO_NATS_ALLOWED: a peer without NAT traversal has us compare the addresses of its message (RFC 4555 section 3.9).

We know NAT traversal ourselves, so we never send it.
"""

from rhp.ike.path import Path
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify


@hook(ExchangeType.INFORMATIONAL, order=42)
class NatBan(Task):
    """The refusal; what the message asks for beside is left undone by the tasks that would do it."""

    __slots__ = ()

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer allows no NAT and there is one."""
        return is_violated(turn)

    def build(self, turn: Turn) -> None:
        """Say that somebody changed the addresses on the way."""
        turn.ctx.count("unexpected-nat")
        turn.out.append(Notify(NotifyType.UNEXPECTED_NAT_DETECTED))


def is_violated(turn: Turn) -> bool:
    """Whether a request of the peer came from, or to, other addresses or ports than those that it names."""
    ban = turn.message.notify(NotifyType.NO_NATS_ALLOWED)
    return not turn.ours and ban is not None and ban.data != written(turn.path)


def written(path: Path) -> bytes:
    """The addresses and ports of a message that comes over `path`, its source first (section 4.2.6)."""
    source, target = path.remote, path.local
    return source.ip.packed + target.ip.packed + source.port.to_bytes(2) + target.port.to_bytes(2)
