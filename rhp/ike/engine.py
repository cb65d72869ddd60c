"""The engine's public face: bytes and the time go in, effects come out.

Nothing here does input or output, sleeps or reads a clock. `now` is seconds on any clock that never goes back. After each
verb the caller drains `effects()` and asks `next_deadline()` when to call `handle_timer` at the latest.
"""

import os
from collections.abc import Callable, Mapping
from datetime import datetime

from rhp.guard.protocol import Answer
from rhp.ike.config import EngineConfig
from rhp.ike.effects import Effect
from rhp.ike.path import Endpoint, Path
from rhp.ike.status import IkeStatus

RandomBytes = Callable[[int], bytes]


class Engine:
    """All IKE SAs of one node, in both roles.

    `allocate_spi` gives a fresh inbound ESP SPI (host order, at least 256); `wall_clock` gives the date that
    certificates are judged by, in UTC; `random(n)` gives n unpredictable octets.
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        allocate_spi: Callable[[], int],
        wall_clock: Callable[[], datetime],
        random: RandomBytes = os.urandom,
    ) -> None: ...

    @property
    def counters(self) -> Mapping[str, int]:
        """Every counter by its kebab-case name: one for each reason to drop or refuse, and the events worth counting."""
        ...

    def receive(self, datagram: bytes, path: Path, now: float) -> None:
        """One IKE datagram without the non-ESP marker, from anybody. Never raises; a rejection is counted."""

    def handle_timer(self, now: float) -> None:
        """Do what is due. Cheap when nothing is."""

    def next_deadline(self) -> float | None:
        """When `handle_timer` is next needed, or None."""

    def effects(self) -> list[Effect]:
        """Drain what is to be done, in order."""
        ...

    def initiate(self, connection: str, now: float, path: Path) -> int:
        """Begin an IKE SA with the first child of that connection; its id. Raises LocalError for an unknown name."""
        ...

    def close(self, ike_id: int, now: float) -> None:
        """DELETE an IKE SA and its children. Raises LocalError for an unknown id."""

    def close_all(self, now: float) -> None:
        """DELETE every established IKE SA and forget the half-open ones; `status()` is empty when all is done."""

    def rekey_ike(self, ike_id: int, now: float) -> None:
        """Replace an IKE SA by a new one now. Raises LocalError for an unknown id."""

    def rekey_child(self, child_id: int, now: float) -> None:
        """Replace a Child SA now. Raises LocalError for an unknown id."""

    def create_child(self, ike_id: int, child_name: str, now: float) -> None:
        """Make a further Child SA. Raises LocalError for an unknown id or name."""

    def delete_child(self, child_id: int, now: float) -> None:
        """DELETE a Child SA lineage. Raises LocalError for an unknown id."""

    def guard_answered(self, request_id: int, answer: Answer, now: float) -> None:
        """The answer to an AskGuard; one for an SA that has gone meanwhile is ignored."""

    def unknown_spi(self, spi: int, path: Path, now: float) -> None:
        """ESP came in for an SPI (host order) that nobody knows: tell the sender (RFC 7296 section 1.5), within limits."""

    def seen_alive(self, child_id: int, now: float) -> None:
        """Authenticated ESP came in on that Child SA, so its peer lives (RFC 7296 section 2.4)."""

    def first_inbound(self, spi_in: int, now: float) -> None:
        """The first authenticated ESP packet of a new pair came in: outbound traffic may move to it as well."""

    def sa_limit(self, spi_in: int, now: float) -> None:
        """A pair nears its sequence or byte limit: rekey its Child SA."""

    def nat_moved(self, spi_in: int, remote: Endpoint, now: float) -> None:
        """Authenticated ESP came from another address or port: follow it where the rules of section 2.23 allow."""

    def set_config(self, config: EngineConfig) -> None:
        """New handshakes and new children follow `config`; SAs that exist keep what they were made with."""

    def status(self) -> list[IkeStatus]:
        """Every IKE SA with its children, as plain data."""
        ...
