"""The Vendor IDs: two rhp nodes know each other by them, and a Rockhopper its like (RFC 7296 section 3.12).

A Rockhopper makes no Ethernet with a peer that does not call itself one. So we say its Vendor ID too: as initiator
wherever Ethernet is wanted, as responder to those who said it.
"""

from rhp.ike.maker import Maker
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType
from rhp.wire.message import Message
from rhp.wire.private import ROCKHOPPER_VENDOR_ID
from rhp.wire.vendor import Vendor

VENDOR_ID = b"rhp: Ethernet over IKEv2, 1"


@hook(ExchangeType.IKE_SESSION_RESUME, order=90)
@hook(ExchangeType.IKE_SA_INIT, order=90)
class VendorTask(Task):
    """Sent by both sides in IKE_SA_INIT."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Say who made us, and whose Ethernet we know."""
        turn.out.append(Vendor(VENDOR_ID))
        if _may_meet_rockhopper(turn):
            turn.out.append(Vendor(ROCKHOPPER_VENDOR_ID))

    def process(self, turn: Turn) -> None:
        """Remember who made the peer; any other vendor is no news."""
        if _says(turn.message, VENDOR_ID):
            turn.sa.maker = Maker.RHP
        elif _says(turn.message, ROCKHOPPER_VENDOR_ID):
            turn.sa.maker = Maker.ROCKHOPPER


def _may_meet_rockhopper(turn: Turn) -> bool:
    if not turn.ours:
        return _says(turn.message, ROCKHOPPER_VENDOR_ID)
    return any(child.mode == "ethernet" for child in turn.sa.config.children)


def _says(message: Message, vendor: bytes) -> bool:
    return any(found.data == vendor for found in message.all(Vendor))
