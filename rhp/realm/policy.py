"""What is done with the frames of a peer, by the connection or the realm that it belongs to."""

from dataclasses import dataclass
from typing import Literal

Clamp = int | Literal["auto", False]


@dataclass(frozen=True, slots=True)
class PortPolicy:
    """Where a peer's hub ports are, and what holds there. The engine carries it to the data plane and looks at nothing.

    `hub` names one of several hubs, "" is the node's own. With `isolate` the peers of one connection or realm do not
    hear each other, whatever else the hub allows. `mss_clamp` is False for none, "auto" for what fits the path, or
    octets; None leaves it to the hub. An outer packet to such a peer has no more than `path_mtu` octets, None leaves
    that to the node.
    """

    hub: str = ""
    isolate: bool = False
    mss_clamp: Clamp | None = None
    path_mtu: int | None = None


OWN_HUB = PortPolicy()
"""That of the node's own hub, where nothing else is said."""
