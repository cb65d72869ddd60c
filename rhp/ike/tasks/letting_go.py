"""The end of an IKE SA whose place another one has taken by reauthentication; see `rhp.ike.renewal`."""

from rhp.ike import renewal
from rhp.ike.tasks import delete
from rhp.ike.turn import Turn


def let_go(turn: Turn) -> None:
    """As initiator delete the renewed IKE SA as soon as each of its pairs has a successor."""
    sa = turn.sa
    if sa.renews is not None and sa.is_initiator and not renewal.waiting(sa):
        turn.follow.append(delete.deletion(sa.renews, renewal.RENEWED))
