"""One program at work between two namespaces, and the cable below it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from rhp.lab.namespace import Namespace
from rhp.lab.process import Background
from rhp.lab.programs import find
from rhp.lab.rhpnode import RhpNode
from rhp.lab.topology import PORT


@dataclass(frozen=True, slots=True)
class Contender:
    """Traffic from `client` to `address` goes through the program; `processes` are its two ends."""

    name: str
    client: Namespace
    server: Namespace
    address: str
    processes: tuple[Background, ...] = ()
    nodes: tuple[RhpNode, ...] = ()

    @contextlib.contextmanager
    def wire(self) -> Iterator[None]:
        """Let the cable behave as two network cards would, for the time of a `with`.

        A plain veth passes a train of UDP datagrams on in one piece. Here the kernel has to cut it where it is sent,
        and to put it together again where it arrives (GRO), at both ends and for every program alike.
        """
        self._ethtool(segmentation="off", gro="on")
        try:
            yield
        finally:
            self._ethtool(segmentation="on", gro="off")

    def _ethtool(self, segmentation: str, gro: str) -> None:
        """Set the cable's features at both ends. On a veth, GRO joins UDP only when it may forward what it joined."""
        features = ["tx-udp-segmentation", segmentation, "gro", gro, "rx-udp-gro-forwarding", gro]
        for end in (self.client, self.server):
            end.run([find("ethtool"), "-K", PORT, *features])
