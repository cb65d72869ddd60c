"""How two peers say that a Child SA carries Ethernet.

The standard has no word for it. Between most peers it is a Child SA in transport mode whose selectors name protocol 97,
EtherIP (RFC 3378). A Rockhopper writes selectors for any protocol and says USE_ETHERIP_ENCAP beside USE_TRANSPORT_MODE,
in the request and in the response.
"""

from rhp.ike import selectors
from rhp.ike.config import ChildConfig
from rhp.ike.ike_sa import IkeSa
from rhp.ike.maker import Maker
from rhp.wire.iana import NotifyType
from rhp.wire.message import Message
from rhp.wire.notify import Notify
from rhp.wire.private import RockhopperNotify
from rhp.wire.ts import TrafficSelector

Selectors = tuple[TrafficSelector, ...]

_MODES = frozenset({NotifyType.USE_TRANSPORT_MODE})
_ROCKHOPPER_MODES = _MODES | {RockhopperNotify.USE_ETHERIP_ENCAP, RockhopperNotify.USE_GRE_ENCAP}


def own_selectors(sa: IkeSa, config: ChildConfig) -> tuple[Selectors, Selectors]:
    """The local and the remote selectors that a child asks for or accepts at most, in the peer's way of saying it."""
    if config.mode != "ethernet":
        return config.local_ts, config.remote_ts
    anything = selectors.ANYTHING if sa.maker is Maker.ROCKHOPPER else selectors.ETHERNET
    return config.local_ts or anything, config.remote_ts or anything


def notifies(sa: IkeSa, config: ChildConfig) -> list[Notify]:
    """What says beside the selectors which mode a child has."""
    if config.mode != "ethernet":
        return []
    found = [Notify(NotifyType.USE_TRANSPORT_MODE)]
    if sa.maker is Maker.ROCKHOPPER:
        found.append(Notify(RockhopperNotify.USE_ETHERIP_ENCAP))
    return found


def same_mode(sa: IkeSa, message: Message, config: ChildConfig) -> bool:
    """Whether the peer says what we would say of the mode of that child."""
    known = _ROCKHOPPER_MODES if sa.maker is Maker.ROCKHOPPER else _MODES
    said = {notify.type for notify in message.all(Notify)} & known
    return said == {notify.type for notify in notifies(sa, config)}


def carries_ethernet(sa: IkeSa, message: Message, theirs: Selectors) -> bool:
    """Whether the peer asks for a Child SA that carries Ethernet; `theirs` are its own selectors there."""
    if message.notify(NotifyType.USE_TRANSPORT_MODE) is None:
        return False
    if sa.maker is Maker.ROCKHOPPER:
        return message.notify(RockhopperNotify.USE_ETHERIP_ENCAP) is not None
    return all(selector.protocol == selectors.ETHERNET[0].protocol for selector in theirs)
