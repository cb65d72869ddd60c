"""When the certificates of each connection end, by what the configuration holds of them: they are public."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from rhp.ike.config import ConnectionConfig
from rhp.pki.certificate import certificate_validity

OWN, CA = "own", "ca"


class CertificateDates:
    """The earliest end of each connection's own chain and of its authorities, in seconds of Unix time."""

    def __init__(self) -> None:
        self._read: dict[bytes, float] = {}
        self._connections: object = None
        self.ends: Mapping[tuple[str, str], float] = {}

    async def learn(self, connections: tuple[ConnectionConfig, ...]) -> None:
        """Read what is new of them; the event loop has its turn between any two certificates."""
        if connections is self._connections:
            return
        ends: dict[tuple[str, str], float] = {}
        known: dict[bytes, float] = {}
        for connection in connections:
            for use, chain in ((OWN, connection.local.chain), (CA, connection.remote.cas)):
                for der in chain:
                    known[der] = self._read[der] if der in self._read else await self._end(der)
                    self._read[der] = known[der]
                if chain:
                    ends[connection.name, use] = min(known[der] for der in chain)
        self._read, self.ends, self._connections = known, ends, connections

    async def _end(self, der: bytes) -> float:
        await asyncio.sleep(0)
        return certificate_validity(der)[1].timestamp()


def days_left(ends: Mapping[tuple[str, str], float], now: float) -> Iterable[tuple[tuple[str, str], float]]:
    """The days from `now`, in Unix time, to each end; below 0 when it is past."""
    return [(labels, round((end - now) / 86400.0, 3)) for labels, end in ends.items()]
