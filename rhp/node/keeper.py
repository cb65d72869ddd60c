"""Keeps the connections up that the configuration wants up.

One function tends a connection: it looks at what the engine has and begins what is missing, the IKE SA or a further
child. It runs at the start, and again after everything that may have taken something away, later each time that it was
in vain: 1, 2, 4 ... 60 seconds, each a little longer or shorter by chance, so that many nodes do not call in step. Only
a peer that proved its crash is called at once, for it has just said that it is back.

Two nodes that call each other at the same moment get two IKE SAs. Both then know both, and the one whose identity is
the larger closes the one that it began, so that exactly one remains.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from rhp.ike import events
from rhp.ike.changes import ConnectionChange, Means
from rhp.ike.config import ConnectionConfig
from rhp.ike.crash import CRASHED
from rhp.ike.engine import Engine
from rhp.ike.errors import LocalError
from rhp.ike.mobility import is_usable
from rhp.ike.path import Endpoint, Path
from rhp.ike.reconfigure import BEGIN_ANEW
from rhp.ike.redirection import GONE
from rhp.ike.states import IkeState
from rhp.ike.status import IkeStatus
from rhp.node.journal import Journal
from rhp.pki.identity import ANONYMOUS

IpAddress = IPv4Address | IPv6Address
Command = Callable[[Callable[[float], object]], None]
Resolve = Callable[[str], Awaitable[list[IpAddress]]]
SourceOf = Callable[[IpAddress], IpAddress]

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
DOUBLE_WAIT = 0.5
CALLED_WAIT = 5.0
CRASHED_WAIT = 0.2
ROUTES_WAIT = 5.0
"""So far apart are the tries that changes of routes lead to, for a routing protocol may change them all the time."""
NO_ROUTE = "no-route"


@dataclass(slots=True)
class Charge:
    """One connection under care. `held` while an operator wants it down; `asked` are children on their way.

    `no_way` while the last try found no way to the peer, or no address of it; `looked_at` is when a change of routes
    last had it tried before its time. `detour` is the gateway that the next call goes to instead of its own, once
    (RFC 5685).
    """

    config: ConnectionConfig
    hosts: tuple[str, ...]
    held: bool
    failures: int = 0
    turn: int = 0
    retry_at: float | None = None
    no_way: bool = False
    looked_at: float = -math.inf
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None
    detour: events.Redirected | None = None
    asked: set[str] = field(default_factory=set)
    unwanted: set[str] = field(default_factory=set)


class Keeper:
    """Begins IKE SAs and children and begins them again. `command` calls one of the engine's verbs and pumps."""

    def __init__(
        self,
        engine: Engine,
        command: Command,
        journal: Journal,
        hosts: Mapping[str, tuple[str, ...]],
        connections: tuple[ConnectionConfig, ...],
        resolve: Resolve,
        source_of: SourceOf,
        chance: random.Random | None = None,
    ) -> None:
        self._engine = engine
        self._command = command
        self._journal = journal
        self._resolve = resolve
        self._source_of = source_of
        self._chance = chance or random.SystemRandom()
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._charges = {
            one.name: Charge(one, hosts.get(one.name, ()), held=one.start != "initiate") for one in connections
        }

    def start(self) -> None:
        """Begin every connection that starts by itself."""
        for name in self._charges:
            self._tend_in(name, 0.0)

    def stop(self) -> None:
        """Begin nothing any more."""
        self._stopped = True
        for charge in self._charges.values():
            _let_go(charge)

    def update(
        self,
        connections: tuple[ConnectionConfig, ...],
        hosts: Mapping[str, tuple[str, ...]],
        changes: Mapping[str, ConnectionChange],
    ) -> None:
        """Go on with another configuration: begin what is new, let go of what has gone, see to what has changed.

        `changes` are those of the connections that stay. What an operator holds down stays down, unless `start` is
        another one now.
        """
        old, self._charges = self._charges, {}
        for one in connections:
            charge = old.pop(one.name, None)
            if charge is None:
                self._charges[one.name] = Charge(one, hosts.get(one.name, ()), held=one.start != "initiate")
                self._tend_in(one.name, 0.0)
                continue
            self._charges[one.name] = charge
            charge.config, charge.hosts = one, hosts.get(one.name, ())
            if one.name in changes:
                self._see_to(charge, changes[one.name])
        for charge in old.values():
            _let_go(charge)

    def _see_to(self, charge: Charge, change: ConnectionChange) -> None:
        """A connection has changed; what the engine ends because of it is begun again when its end is heard."""
        if "start" in change.keys:
            charge.held = charge.config.start != "initiate"
        if charge.held or change.means is Means.ANEW:
            # A call under way, and where a gateway has sent us, are by the addresses of before.
            _call_off(charge)
        charge.unwanted -= change.children
        charge.failures, charge.turn = 0, 0
        if not charge.held:
            self._tend_in(charge.config.name, 0.0)

    def has_address(self, name: str) -> bool:
        """Whether there is anybody to call. KeyError for an unknown name."""
        charge = self._charges[name]
        return bool(charge.hosts) or any(net.num_addresses == 1 for net in charge.config.remote_addrs)

    def advice(self, name: str) -> str:
        """What to do where there is nobody to call, as the end of a sentence. KeyError for an unknown name."""
        if self._charges[name].config.match:
            return ": it is a realm, and its peers call"
        return "; write remote_addrs into its table"

    def want(self, name: str) -> None:
        """An operator wants the connection up, now; one that waits for its peer is called this once.

        KeyError for an unknown name.
        """
        charge = self._charges[name]
        charge.held = False
        charge.failures = 0
        charge.unwanted.clear()
        self._tend_in(name, 0.0)

    def hold(self, name: str) -> None:
        """An operator wants the connection down: begin it no more. KeyError for an unknown name."""
        charge = self._charges[name]
        charge.held = True
        _call_off(charge)

    def hold_child(self, name: str, child: str) -> None:
        """An operator wants one child down: make it no more until the connection is wanted again."""
        self._charges[name].unwanted.add(child)

    def retry_in(self, name: str) -> float | None:
        """Seconds until the next try, or None when none is planned."""
        charge = self._charges[name]
        if charge.held or charge.retry_at is None:
            return None
        return max(0.0, charge.retry_at - self._loop.time())

    def hurry(self) -> None:
        """This machine has other addresses than before, or has slept: what waits for its next try is tried now."""
        for name, charge in self._charges.items():
            if charge.retry_at is not None and not self._stopped:
                charge.failures = 0
                self._tend_in(name, 0.0)

    def rerouted(self) -> None:
        """Routes have changed: whom the last try found no way to, or no address of, is tried before its time."""
        now = self._loop.time()
        for name, charge in self._charges.items():
            if charge.retry_at is None or not charge.no_way or self._stopped:
                continue
            wait = max(0.0, charge.looked_at + ROUTES_WAIT - now)
            if now + wait < charge.retry_at:
                charge.looked_at = now + wait
                self._tend_in(name, wait)

    def heard(self, event: events.Event) -> float | None:
        """Look at an event; gives the seconds until the next try where it is a failure that will be tried again."""
        name = getattr(event, "connection", "")
        charge = self._charges.get(name)
        if charge is None:
            return None
        match event:
            case events.IkeEstablished(role=role):
                # A peer that authenticates us and has no address for us is not to be asked every second.
                if not charge.config.request_addresses:
                    charge.failures = 0
                # A peer that called us makes its further children itself; only what it leaves out is for us to make.
                self._tend_in(name, 0.0 if role == "initiator" else CALLED_WAIT)
                if not charge.held and charge.config.unique != "never":
                    self._loop.call_later(DOUBLE_WAIT, self._close_doubles, name)
            case events.IkeReauthenticated():
                charge.failures = 0
            case events.ChildEstablished(child_name=child):
                charge.failures = 0
                charge.asked.discard(child)
            case events.Redirected():
                charge.detour = event
            case events.InitiationFailed(reason=GONE.reason) | events.IkeClosed(reason=GONE.reason) if charge.detour:
                charge.asked.clear()
                # Who waits for its peer, but called it when it was asked to, goes on as well.
                charge.held = False
                self._tend_in(name, 0.0)
            case events.InitiationFailed(reason=reason) | events.IkeClosed(reason=reason) if reason in BEGIN_ANEW:
                charge.asked.clear()
                self._tend_in(name, 0.0)
            case events.ChildClosed(child_name=child, reason=reason) if reason in BEGIN_ANEW:
                charge.asked.discard(child)
                self._tend_in(name, 0.0)
            case events.InitiationFailed() | events.IkeClosed():
                charge.asked.clear()
                return self._again(name, event.reason)
            case events.ChildFailed(child_name=child) | events.ChildClosed(child_name=child):
                charge.asked.discard(child)
                return self._again(name, event.reason)
        return None

    def _again(self, name: str, reason: str = "") -> float | None:
        charge = self._charges[name]
        charge.no_way = reason == NO_ROUTE
        charge.held = charge.held or charge.config.start == "wait"
        if charge.held or self._stopped:
            return None
        if (planned := self.retry_in(name)) is not None:
            return round(planned, 1)  # One loss is often told twice, by the child and by its IKE SA.
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(charge.failures, 16)) * self._chance.uniform(0.8, 1.2)
        if reason == CRASHED.reason and not charge.failures:
            wait = self._chance.uniform(0.0, CRASHED_WAIT)
        charge.failures += 1
        self._tend_in(name, wait)
        return round(wait, 1)

    def _tend_in(self, name: str, seconds: float) -> None:
        charge = self._charges[name]
        if charge.timer is not None:
            charge.timer.cancel()
        charge.timer = self._loop.call_later(seconds, self._tend, name)
        charge.retry_at = self._loop.time() + seconds if seconds else None

    def _tend(self, name: str) -> None:
        charge = self._charges[name]
        charge.timer = charge.retry_at = None
        if charge.held or self._stopped:
            return
        ours = self._engine.status(name)
        established = [sa for sa in ours if sa.established_at is not None]
        if established:
            self._tend_children(charge, established)
        elif not any(sa.role == "initiator" for sa in ours) and (charge.task is None or charge.task.done()):
            charge.task = self._loop.create_task(self._initiate(charge), name=f"rhp-initiate-{name}")

    def _tend_children(self, charge: Charge, established: list[IkeStatus]) -> None:
        live = {child.name for sa in established for child in sa.children}
        newest = max(established, key=lambda sa: sa.established_at or 0.0)
        for child in charge.config.children:
            if child.name in live | charge.asked | charge.unwanted:
                continue
            charge.asked.add(child.name)
            try:
                self._command(partial(self._engine.create_child, newest.ike_id, child.name))
            except LocalError:
                charge.asked.discard(child.name)

    async def _initiate(self, charge: Charge) -> None:
        name = charge.config.name
        detour, charge.detour = charge.detour, None
        try:
            path = await self._path(charge, detour)
        except OSError as error:
            wait = self._again(name, NO_ROUTE)
            detail = error.strerror or str(error)
            self._journal.write(
                "connecting failed", connection=name, reason=NO_ROUTE, detail=detail, fault="network", retry_in=wait
            )
            return
        self._journal.write("connecting", connection=name, path=path)
        try:
            gateway = detour.gateway if detour is not None else None
            self._command(lambda now: self._engine.initiate(name, now, path, gateway))
        except LocalError as error:
            self._journal.write("connecting failed", connection=name, reason=error.reason, detail=error.detail)
            self._again(name)

    async def _path(self, charge: Charge, detour: events.Redirected | None) -> Path:
        """The next of the peer's addresses in turn, with the address of ours that goes with it; OSError without one.

        Who was sent on goes where it was sent.
        """
        config, hosts = charge.config, charge.hosts
        remotes: list[IpAddress] = [net[0] for net in config.remote_addrs if net.num_addresses == 1]
        if detour is not None:
            remotes, hosts = ([], (detour.target,)) if isinstance(detour.target, str) else ([detour.target], ())
        problems: list[str] = []
        for host in hosts:
            try:
                remotes += await self._resolve(host)
            except OSError as error:
                # One name in vain is no reason not to call the others.
                problems.append(f"{host}: {error.strerror or error}")
        if detour is not None:
            problems += [f"{detour.target}: no other gateway can be at {ip}" for ip in remotes if not is_usable(ip)]
            remotes = [remote for remote in remotes if is_usable(remote)]
        if not remotes:
            raise OSError("; ".join(problems) or "there is no address to call")
        remote = remotes[charge.turn % len(remotes)]
        charge.turn += 1
        ours = [net[0] for net in config.local_addrs if net.num_addresses == 1 and net.version == remote.version]
        local = ours[0] if ours else self._source_of(remote)
        return Path(Endpoint(local, config.local_port), Endpoint(remote, config.remote_port), natt=False)

    def _close_doubles(self, name: str) -> None:
        """Of two IKE SAs with one peer, begun by either side, close ours when our identity is the larger.

        One that is ending already, and only waits for the answer to its DELETE, is no double.
        """
        if self._stopped:
            return
        live = [sa for sa in self._engine.status(name) if sa.state == IkeState.ESTABLISHED.value]
        for sa in live:
            if sa.role != "initiator" or sa.local is None or sa.peer is None or sa.peer == ANONYMOUS:
                continue
            theirs = [other for other in live if other.role == "responder" and other.peer == sa.peer]
            if theirs and (sa.local.id_type, sa.local.data) > (sa.peer.id_type, sa.peer.data):
                self._command(partial(self._engine.close, sa.ike_id))


def _let_go(charge: Charge) -> None:
    """Begin nothing any more for a connection."""
    if charge.timer is not None:
        charge.timer.cancel()
    _call_off(charge)


def _call_off(charge: Charge) -> None:
    """Give up a call that has not found out yet where it goes."""
    charge.detour = None
    if charge.task is not None:
        charge.task.cancel()
        # The next one does not wait for its end.
        charge.task = None
