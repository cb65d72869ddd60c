"""The engine's public face: bytes and the time go in, effects come out.

Nothing here does input or output, sleeps or reads a clock. `now` is seconds on any clock that never goes back. After
each verb the caller drains `effects()` and asks `next_deadline()` when to call `handle_timer` at the latest.

What flows: `endpoint` finds whose datagram it is, `accept` meets strangers, `inbound` judges and opens what is for an
SA we know, `conductor` runs the exchange through its `tasks`, `lifecycle` and `child_sa` begin and end SAs,
`lifetimes` sets deadlines and `upkeep` meets them. All state hangs on one `Context`.
"""

import os
from collections.abc import Callable, Mapping
from datetime import datetime

from rhp.guard.protocol import Answer
from rhp.ike import child_sa, conductor, endpoint, inbound, lifecycle, status
from rhp.ike.child_sa import ChildSa
from rhp.ike.config import EngineConfig
from rhp.ike.context import Context
from rhp.ike.cookies import CookieJar
from rhp.ike.effects import Effect
from rhp.ike.errors import Fault, LocalError
from rhp.ike.handshake import Handshake
from rhp.ike.ike_sa import NO_SPI, IkeSa
from rhp.ike.limiter import Limiter
from rhp.ike.path import Endpoint, Path
from rhp.ike.states import ChildState, IkeState
from rhp.ike.status import IkeStatus
from rhp.ike.tasks import child_create, child_delete, child_rekey, delete, ike_rekey, init, registry
from rhp.ike.turn import Ending, Turn
from rhp.ike.upkeep import TimeKeeper

RandomBytes = Callable[[int], bytes]

_ASKED = Ending("closed", Fault.NONE, "it was asked for")


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
    ) -> None:
        registry.load()
        self._ctx = Context(config, allocate_spi, wall_clock, random, TimeKeeper())

    @property
    def counters(self) -> Mapping[str, int]:
        """Every counter by its kebab-case name: reasons to drop or refuse, and events worth counting."""
        return self._ctx.counters

    def receive(self, datagram: bytes, path: Path, now: float) -> None:
        """One IKE datagram without the non-ESP marker, from anybody. Never raises; a rejection is counted."""
        try:
            endpoint.receive(self._ctx, datagram, path, now)
        except Exception as error:
            self._ctx.fault(0, error)

    def handle_timer(self, now: float) -> None:
        """Do what is due. Cheap when nothing is; never raises."""
        while (action := self._ctx.timers.pop_due(now)) is not None:
            try:
                action(now)
            except Exception as error:
                self._ctx.fault(0, error)

    def next_deadline(self) -> float | None:
        """When `handle_timer` is next needed, or None."""
        return self._ctx.timers.next_deadline()

    def effects(self) -> list[Effect]:
        """Drain what is to be done, in order."""
        found, self._ctx.effects = self._ctx.effects, []
        return found

    def initiate(self, connection: str, now: float, path: Path) -> int:
        """Begin an IKE SA with the first child of that connection; its id. Raises LocalError for an unknown name."""
        ctx = self._ctx
        config = ctx.config.connection(connection)
        if config is None:
            raise LocalError("unknown-connection", connection)
        sa = IkeSa(ctx, ctx.next_id(), "initiator", config, (ctx.new_ike_spi(), NO_SPI), path, now)
        sa.handshake = Handshake(child=config.children[0] if config.children else None)
        ctx.table.add(sa)
        sa.become(IkeState.CONNECTING)
        self._begin(sa, init.begin(sa), now)
        return sa.id

    def close(self, ike_id: int, now: float) -> None:
        """DELETE an IKE SA and its children. Raises LocalError for an unknown id."""
        self._close(self._sa(ike_id), now)

    def close_all(self, now: float) -> None:
        """DELETE every established IKE SA and forget the half-open ones; `status()` is empty when all is done."""
        for sa in self._ctx.table.sas():
            self._close(sa, now)

    def rekey_ike(self, ike_id: int, now: float) -> None:
        """Replace an IKE SA by a new one now. Raises LocalError for an unknown id or one that is not established."""
        sa = self._established(ike_id)
        self._begin(sa, ike_rekey.rekey(sa), now)

    def rekey_child(self, child_id: int, now: float) -> None:
        """Replace a Child SA now. Raises LocalError for an unknown id, or when it is being replaced or deleted."""
        child = self._child(child_id)
        self._begin(child.sa, child_rekey.rekey(child), now)

    def create_child(self, ike_id: int, child_name: str, now: float) -> None:
        """Make a further Child SA. Raises LocalError for an unknown id or name."""
        sa = self._established(ike_id)
        config = sa.config.child(child_name)
        if config is None:
            raise LocalError("unknown-child", child_name)
        self._begin(sa, child_create.creation(sa, config), now)

    def delete_child(self, child_id: int, now: float) -> None:
        """DELETE a Child SA lineage. Raises LocalError for an unknown id."""
        child = self._child(child_id)
        self._begin(child.sa, child_delete.deletion(child.sa, child, _ASKED.reason), now)

    def guard_answered(self, request_id: int, answer: Answer, now: float) -> None:
        """The answer to an AskGuard; one for an SA that has gone meanwhile is ignored."""
        parked = self._ctx.pending.pop(request_id, None)
        if parked is None:
            self._ctx.count("late-guard-answer")
            return
        conductor.resume(*parked, answer, now)

    def unknown_spi(self, spi: int, path: Path, now: float) -> None:
        """ESP came in for an SPI (host order) that nobody knows: tell the sender, within limits (section 1.5)."""
        endpoint.unknown_esp(self._ctx, spi, path, now)

    def seen_alive(self, child_id: int, now: float) -> None:
        """Authenticated ESP came in on that Child SA, so its peer lives (RFC 7296 section 2.4)."""
        child = self._ctx.table.child_by_id(child_id)
        if child is not None:
            child.sa.last_seen = now

    def first_inbound(self, spi_in: int, now: float) -> None:
        """The first authenticated ESP packet of a new pair came in: outbound traffic may move to it as well."""
        child = self._ctx.table.child_by_spi(spi_in)
        if child is not None:
            child.sa.last_seen = now
            child_sa.activate(child)

    def sa_limit(self, spi_in: int, now: float) -> None:
        """A pair nears its sequence or byte limit: rekey its Child SA."""
        child = self._ctx.table.child_by_spi(spi_in)
        if child is not None and child.state is ChildState.INSTALLED:
            self._ctx.count("child-limit")
            self._begin(child.sa, child_rekey.rekey(child), now)

    def nat_moved(self, spi_in: int, remote: Endpoint, now: float) -> None:
        """Authenticated ESP came from another address or port: follow it where the rules of section 2.23 allow."""
        child = self._ctx.table.child_by_spi(spi_in)
        if child is None:
            return
        sa = child.sa
        path = Path(sa.path.local, remote, sa.path.natt)
        if path != sa.path and inbound.may_move(sa, path):
            inbound.move(sa, path)

    def set_config(self, config: EngineConfig) -> None:
        """New handshakes follow `config`; SAs that exist keep what they were made with."""
        ctx, old = self._ctx, self._ctx.config
        if config.answer_rate != old.answer_rate:
            ctx.answers = Limiter(config.answer_rate)
        if config.cookie_lifetime != old.cookie_lifetime:
            ctx.cookies = CookieJar(ctx.random, config.cookie_lifetime)
        ctx.config = config

    def status(self) -> list[IkeStatus]:
        """Every IKE SA with its children, as plain data; one that waits for its DELETE after a rekey is left out."""
        return [status.of(sa) for sa in self._ctx.table.sas() if sa.successor is None]

    def _begin(self, sa: IkeSa, turn: Turn, now: float) -> None:
        sa.enqueue(turn)
        conductor.pump(sa, now)

    def _close(self, sa: IkeSa, now: float) -> None:
        if sa.state in delete.DELETABLE:
            sa.enqueue(delete.deletion(sa, _ASKED), first=True)
            conductor.pump(sa, now)
        elif sa.state is not IkeState.DELETING:
            lifecycle.close(sa, _ASKED, now)

    def _sa(self, ike_id: int) -> IkeSa:
        sa = self._ctx.table.by_id(ike_id)
        if sa is None:
            raise LocalError("unknown-ike-sa", str(ike_id))
        return sa

    def _established(self, ike_id: int) -> IkeSa:
        sa = self._sa(ike_id)
        if sa.state is not IkeState.ESTABLISHED:
            raise LocalError("ike-sa-not-established", f"it is {sa.state.value}")
        return sa

    def _child(self, child_id: int) -> ChildSa:
        child = self._ctx.table.child_by_id(child_id)
        if child is None:
            raise LocalError("unknown-child-sa", str(child_id))
        return child
