"""What goes with the SPIs and keys of an IKE SA, and so has to be given anew when another one has taken its place."""

from rhp.ike import crash
from rhp.ike.ike_sa import IkeSa
from rhp.ike.tasks.qcd import NewToken
from rhp.ike.tasks.tickets import AskTicket
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType


def bequeath(new: IkeSa) -> Turn | None:
    """The exchange in which the heir gives its crash token and asks for a ticket, if it has either to do."""
    tasks: list[Task] = []
    if crash.own_token(new) is not None:
        tasks.append(NewToken())
    held = new.ctx.held.get(new.connection_name)
    if held is not None and held.ike_id == new.id:
        tasks.append(AskTicket())
    return Turn(new, ExchangeType.INFORMATIONAL, tasks, ours=True) if tasks else None
