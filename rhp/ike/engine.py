"""The engine's public face: bytes and the time go in, effects come out.

Nothing here does input or output, sleeps or reads a clock. `now` is seconds on any clock that never goes back. After
each verb the caller drains `effects()` and asks `next_deadline()` when to call `handle_timer` at the latest.

What flows: `endpoint` finds whose datagram it is, `accept` meets strangers, `inbound` judges and opens what is for an
SA we know, `conductor` runs the exchange through its `tasks`, `lifecycle` and `child_sa` begin and end SAs,
`lifetimes` sets deadlines and `upkeep` meets them. All state hangs on one `Context`.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from rhp.guard.protocol import Answer
from rhp.ike import (
    census,
    child_sa,
    conductor,
    endpoint,
    inbound,
    initiation,
    lifecycle,
    lifetimes,
    moving,
    reconfigure,
    resumption,
    roaming,
    status,
)
from rhp.ike.admission import Admission
from rhp.ike.census import Census
from rhp.ike.changes import ConnectionChange
from rhp.ike.child_sa import ChildSa
from rhp.ike.config import EngineConfig
from rhp.ike.context import Context, SourceOf, no_route
from rhp.ike.cookies import CookieJar
from rhp.ike.effects import Effect
from rhp.ike.errors import Fault, LocalError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.limiter import Limiter
from rhp.ike.memory import Memory
from rhp.ike.path import Endpoint, IpAddress, Path
from rhp.ike.redirection import Gateway
from rhp.ike.states import LIVE_CHILD, ChildState, IkeState
from rhp.ike.status import IkeStatus
from rhp.ike.tasks import child_create, child_delete, child_rekey, delete, ike_rekey, redirect, registry
from rhp.ike.turn import Ending, Turn
from rhp.ike.upkeep import TimeKeeper, check_all
from rhp.ike.vault import Vault
from rhp.realm.pool import Lease
from rhp.realm.pools import PoolUsage, Remembered

RandomBytes = Callable[[int], bytes]

_ASKED = Ending("closed", Fault.NONE, "it was asked for")


class Engine:
    """All IKE SAs of one node, in both roles.

    `allocate_spi(lane)` gives a fresh inbound ESP SPI (host order, at least 256) of a lane; `wall_clock` gives the
    date that certificates are judged by, in UTC; `random(n)` gives n unpredictable octets; `vault` holds what
    outlives a restart, without it there are no crash tokens and no tickets of ours; `source_of(remote)` gives the
    address of ours that the routing table takes towards a peer's, None where it has no way there. Raises LocalError
    for an extension that cannot be loaded.
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        allocate_spi: Callable[[int], int],
        wall_clock: Callable[[], datetime],
        random: RandomBytes = os.urandom,
        vault: Vault | None = None,
        source_of: SourceOf = no_route,
    ) -> None:
        registry.load(config.extensions)
        self._ctx = Context(config, allocate_spi, wall_clock, random, TimeKeeper(), source_of)
        self._ctx.vault = vault

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

    def admission(self, now: float) -> Admission:
        """The rule that may be applied before `receive` is called at all; the same object while it holds."""
        return self._ctx.admission(now)

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

    def initiate(self, connection: str, now: float, path: Path, redirected_from: IpAddress | None = None) -> int:
        """Begin an IKE SA with the first child of that connection; its id.

        Raises LocalError for an unknown name, or a realm's: its peers are many, and call.

        `redirected_from` is the gateway that sent us to this one (RFC 5685).
        """
        ctx = self._ctx
        config = ctx.config.connection(connection)
        if config is None:
            raise LocalError("unknown-connection", connection)
        if config.match:
            raise LocalError("realm-calls-nobody", connection)
        child = config.children[0] if config.children else None
        return initiation.begin(ctx, config, child, path, now, redirected_from=redirected_from).id

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

    def reauthenticate(self, ike_id: int, now: float) -> None:
        """Have a new IKE SA take its place, proved anew. Raises LocalError for one that we did not begin or is busy."""
        sa = self._established(ike_id)
        if not sa.is_initiator:
            raise LocalError("not-the-initiator", "only the side that began an IKE SA can renew it")
        if initiation.renew(sa, now) is None:
            raise LocalError("ike-sa-busy", "it is being replaced already")

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
        self._begin(child.sa, child_delete.deletion_of_all(child.sa, child, _ASKED.reason), now)

    def redirect(self, ike_id: int, target: Gateway, now: float) -> None:
        """Send the peer of an IKE SA to another gateway. Raises LocalError for one that cannot follow."""
        sa = self._established(ike_id)
        if not sa.redirectable or sa.origin[0] != "responder":
            raise LocalError("cannot-be-redirected", "the peer does not follow, or it was us who called it")
        self._begin(sa, redirect.sending_away(sa, target), now)

    def redirect_callers(self, connection: str, target: Gateway | None) -> None:
        """From now on send everybody who calls that connection, and can follow, to another gateway; None ends it.

        Raises LocalError for an unknown name.
        """
        if self._ctx.config.connection(connection) is None:
            raise LocalError("unknown-connection", connection)
        self._ctx.redirects.pop(connection, None)
        if target is not None:
            self._ctx.redirects[connection] = target

    def redirects(self) -> Mapping[str, Gateway]:
        """The connections whose callers are sent away, and where to."""
        return self._ctx.redirects

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

    def seen_alive(self, spi_in: int, now: float) -> None:
        """Authenticated ESP came in for that SPI, so its peer lives (RFC 7296 section 2.4)."""
        child = self._ctx.table.child_by_spi(spi_in)
        if child is not None:
            child.sa.last_seen = now

    def seen_sending(self, spi_in: int, when: float) -> None:
        """ESP went out at that time on the pair of that inbound SPI: a NAT on the way needs no keep-alive."""
        child = self._ctx.table.child_by_spi(spi_in)
        if child is not None:
            child.sa.last_sent = max(child.sa.last_sent, when)

    def first_inbound(self, spi_in: int, now: float) -> None:
        """The first authenticated ESP packet of a new pair came in: outbound traffic may move to it as well."""
        child = self._ctx.table.child_by_spi(spi_in)
        if child is not None:
            child.sa.last_seen = now
            if child.state in LIVE_CHILD:
                child_sa.activate(child)

    def sa_limit(self, spi_in: int, now: float, *, over: bool = False) -> None:
        """A pair nears what it may carry, in sequence numbers, packets or octets, or is `over`: rekey its Child SA."""
        child = self._ctx.table.child_by_spi(spi_in)
        if child is None or child.state not in LIVE_CHILD:
            return
        if over:
            self._ctx.count("child-used-up")
            lifetimes.used_up(child, now)
        if child.state is ChildState.INSTALLED:
            self._ctx.count("child-limit")
            self._begin(child.sa, child_rekey.rekey(child), now)

    def nat_moved(self, spi_in: int, remote: Endpoint, now: float) -> None:
        """Authenticated ESP came from another address or port: follow it where the rules of section 2.23 allow."""
        child = self._ctx.table.child_by_spi(spi_in)
        if child is None:
            return
        sa = child.sa
        path = Path(sa.path.local, remote, sa.path.natt)
        if path == sa.path or not inbound.may_move(sa, path):
            return
        if sa.mobility is not None:
            roaming.heard_from(sa, path, now)
        else:
            moving.follow(sa, path, "nat-moved")

    def addresses_changed(self, addresses: Sequence[IpAddress], now: float) -> None:
        """Tell all addresses of this machine, at the start and whenever they or the routes have changed.

        SAs whose own address has gone take another one, where MOBIKE (RFC 4555) or a NAT lets them.
        """
        roaming.addresses_changed(self._ctx, addresses, now)

    def awoken(self, now: float) -> None:
        """This machine was suspended, and no time of that is in `now`: ask every peer for a sign of life.

        Not where `dpd_delay` is 0.
        """
        check_all(self._ctx, now)

    def set_config(self, config: EngineConfig) -> None:
        """New handshakes follow `config`; SAs that exist keep what they were made with."""
        ctx, old = self._ctx, self._ctx.config
        if config.answer_rate != old.answer_rate:
            ctx.answers, ctx.strays = Limiter(config.answer_rate), Limiter(config.answer_rate)
        if config.init_rate != old.init_rate:
            ctx.begins = Limiter(config.init_rate)
        if config.cookie_lifetime != old.cookie_lifetime:
            ctx.cookies = CookieJar(ctx.random, config.cookie_lifetime)
        if config.pools != old.pools:
            ctx.pools.update(config.pools)
        ctx.config = config
        gone = {*ctx.held, *ctx.redirects, *ctx.followed, *ctx.had} - {
            connection.name for connection in config.connections
        }
        for name in gone:
            resumption.drop(ctx, name)
            ctx.redirects.pop(name, None)
            ctx.followed.pop(name, None)
            ctx.had.pop(name, None)

    def reconfigure(self, config: EngineConfig, changes: Mapping[str, ConnectionChange], now: float) -> None:
        """Go on with `config`: SAs of connections that did not change stay as they are.

        `changes` are those of connections that are in both forms, by name; see `rhp.ike.changes.compare`. SAs of
        connections that have gone, and those that hold an inner address which is lent no longer, are deleted.
        """
        rules = self._ctx.directory.rules
        self.set_config(config)
        reconfigure.carry_over(self._ctx, changes, rules, now)

    def set_vault(self, vault: Vault) -> None:
        """Another ticket key from now on; what the vault no longer holds opens nothing."""
        self._ctx.vault = vault

    def recall(self, leases: Iterable[Remembered], spent: Iterable[tuple[bytes, int]]) -> None:
        """Take up what an earlier engine had lent and spent, before anything else; what no longer fits is left out."""
        self._ctx.pools.restore(leases)
        date = resumption.wall_seconds(self._ctx)
        for ticket_id, expires in spent:
            self._ctx.spent.add(ticket_id, expires, date)

    def tell(self, memory: Memory) -> None:
        """Tell `memory` from now on what a later engine would want to `recall`."""

        def changed(lease: Lease, gone: bool) -> None:
            memory.lease_changed(lease.pool, lease.address, None if gone else lease.identity, in_use=lease.holders > 0)

        self._ctx.pools.watch(changed)
        self._ctx.spent.watch(memory.ticket_spent)

    def remembered(self) -> tuple[tuple[Remembered, ...], list[tuple[bytes, int]]]:
        """Every lease and every spent ticket there is now, as `recall` takes them."""
        return self._ctx.pools.remembered(), self._ctx.spent.items()

    def release_lease(self, address: IpAddress) -> None:
        """Let an inner address that is kept for its owner be anybody's.

        Raises LocalError for one that is in use, or that nobody has.
        """
        try:
            forgotten = self._ctx.pools.forget(address)
        except ValueError:
            raise LocalError("address-in-use", str(address)) from None
        if not forgotten:
            raise LocalError("address-not-lent", str(address))

    def set_lanes(self, lanes: int, now: float) -> None:
        """There are more lanes than before: ask for pairs for them, where a peer takes part (RFC 9611)."""
        ctx = self._ctx
        spare = max(0, ctx.config.lanes + ctx.config.spare_lanes - lanes)
        ctx.config = replace(ctx.config, lanes=lanes, spare_lanes=spare)
        for sa in ctx.table.sas():
            shared = [child for child in sa.children.values() if child.terms.place.shared]
            for child in {child.group: child for child in shared if child.outbound_active}.values():
                ctx.upkeep.lanes_due(child, now)

    def pools(self) -> list[PoolUsage]:
        """How full each pool of inner addresses is."""
        return self._ctx.pools.usage()

    def status(self, connection: str | None = None) -> list[IkeStatus]:
        """Every IKE SA, or those of a connection, with its children, as plain data.

        One that waits for its DELETE after a rekey is left out.
        """
        sas = (sa for sa in self._ctx.table.sas() if sa.successor is None)
        return [status.of(sa) for sa in sas if connection is None or sa.connection_name == connection]

    def census(self) -> Census:
        """How many IKE SAs there are of each connection; far cheaper than `status`."""
        return census.take(self._ctx.table)

    def count(self) -> int:
        """How many IKE SAs `status` tells of."""
        return sum(sa.successor is None for sa in self._ctx.table.sas())

    def _begin(self, sa: IkeSa, turn: Turn, now: float) -> None:
        sa.enqueue(turn)
        conductor.pump(sa, now)

    def _close(self, sa: IkeSa, now: float) -> None:
        if sa.renewal is not None and sa.renewal.state is IkeState.AUTHENTICATING:
            # The peer may believe in it by now: it goes as soon as that is known.
            sa.renewal.ending = _ASKED
        elif sa.renewal is not None:
            lifecycle.close(sa.renewal, _ASKED, now)
        if sa.state in delete.DELETABLE:
            sa.enqueue(delete.deletion(sa, _ASKED, lineage=True), first=True)
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
