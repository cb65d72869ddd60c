"""The Vendor ID: two rhp nodes know each other by it (RFC 7296 section 3.12). Nothing depends on it yet."""

from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType
from rhp.wire.vendor import Vendor

VENDOR_ID = b"rhp: Ethernet over IKEv2, 1"


@hook(ExchangeType.IKE_SA_INIT, order=90)
class VendorTask(Task):
    """Sent by both sides in IKE_SA_INIT."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Say who made us."""
        turn.out.append(Vendor(VENDOR_ID))

    def process(self, turn: Turn) -> None:
        """Remember whether the peer is one of us; any other vendor is no news."""
        turn.sa.peer_is_rhp = any(vendor.data == VENDOR_ID for vendor in turn.message.all(Vendor))
