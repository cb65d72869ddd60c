"""peer-note: two nodes tell each other which build they are, under the protection of their IKE SA.

Each side says in IKE_SA_INIT by a Vendor ID that it takes part. Once both are authenticated, the initiator sends its
note in an INFORMATIONAL exchange and the responder answers with its own. What a peer says is shown in the log, with its
proved identity, and decides nothing.
"""

import platform
from importlib.metadata import version

from rhp.ike.events import ExtensionNote
from rhp.ike.states import IkeState
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType
from rhp.wire.notify import Notify
from rhp.wire.vendor import Vendor

NAME = "peer-note"
VENDOR_ID = b"rhp: peer-note, 1"
NOTE = 41001
"""From the private range of status notifies, which our Vendor ID gives a meaning (RFC 7296 sections 3.10.1, 3.12)."""
LONGEST = 200

OURS = f"rhp {version('rhp')}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"


@hook(ExchangeType.IKE_SA_INIT, order=95)
class Announce(Task):
    """Both sides say whether they take part."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Say so."""
        turn.out.append(Vendor(VENDOR_ID))

    def process(self, turn: Turn) -> None:
        """Remember that the peer does."""
        if any(vendor.data == VENDOR_ID for vendor in turn.message.all(Vendor)):
            turn.sa.extra = {**(turn.sa.extra or {}), NAME: ""}


@hook(ExchangeType.IKE_AUTH, order=95)
class Begin(Task):
    """The initiator's exchange comes after both proofs."""

    __slots__ = ()

    def process(self, turn: Turn) -> None:
        """Have it follow."""
        if turn.ours and turn.sa.state is IkeState.ESTABLISHED and _takes_part(turn):
            turn.follow.append(Turn(turn.sa, ExchangeType.INFORMATIONAL, [Exchange()], ours=True))


@hook(ExchangeType.INFORMATIONAL, order=95)
class Exchange(Task):
    """A note each way."""

    __slots__ = ()

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer sends one, and said before that it would."""
        return turn.message.notify(NOTE) is not None and _takes_part(turn)

    def build(self, turn: Turn) -> None:
        """Tell ours."""
        turn.out.append(Notify(NOTE, OURS.encode()[:LONGEST]))

    def process(self, turn: Turn) -> None:
        """Keep and show the peer's; nothing but one short line of text is one."""
        sa, notify = turn.sa, turn.message.notify(NOTE)
        note = notify.data[: LONGEST + 1].decode("ascii", "replace") if notify is not None else ""
        if not note.isprintable() or not 1 <= len(note) <= LONGEST or "\ufffd" in note:
            turn.ctx.count("peer-note-malformed")
            return
        sa.extra = {**(sa.extra or {}), NAME: note}
        turn.ctx.emit(ExtensionNote(sa.id, sa.connection_name, sa.peer, NAME, note))


def _takes_part(turn: Turn) -> bool:
    return NAME in (turn.sa.extra or {})
