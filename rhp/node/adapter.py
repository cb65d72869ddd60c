"""Between the sans-IO engine and the world.

Whatever comes in (a datagram on the IKE port, an event of the data plane, a guard's answer, a timer, a command) becomes
one of the engine's verbs; then `pump` carries out its effects in their order and sets the timer for its next deadline.
All of this runs in one thread, so the engine needs no lock. Packets never come here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeVar

from rhp.guard.guard import Guard
from rhp.guard.protocol import Question, Refused
from rhp.ike import effects, events
from rhp.ike.engine import Engine
from rhp.ike.errors import LocalError
from rhp.ike.path import IKE_PORT, Endpoint, Path
from rhp.net.udp import UdpEdge
from rhp.node.children import Children
from rhp.node.slumber import Slumber
from rhp.node.tunnels import LooksAfterTunnels

if TYPE_CHECKING:
    from rhp.spi.esp import DataPlane, Event

NON_ESP_MARKER = b"\0\0\0\0"
KEEP_ALIVE = b"\xff"
EVENTS_PER_WAKEUP = 256
ALIVE_SECONDS = 2.0

_logger = logging.getLogger("rhp")

T = TypeVar("T")
Listener = Callable[[events.Event], None]


class Adapter:
    """Joins engine, data plane, guard and edges. `ike` and `natt` are edges by address family (AF_INET, AF_INET6)."""

    def __init__(
        self,
        engine: Engine,
        plane: DataPlane,
        guard: Guard,
        *,
        ike: Mapping[int, UdpEdge],
        natt: Mapping[int, UdpEdge],
        children: Children,
        tunnels: LooksAfterTunnels,
        listener: Listener,
    ) -> None:
        self._engine = engine
        self._plane = plane
        self._guard = guard
        self._ike, self._natt = ike, natt
        self._children = children
        self._tunnels = tunnels
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._alive_timer: asyncio.TimerHandle | None = None
        self._slumber = Slumber()
        self._questions: set[asyncio.Task[None]] = set()
        self._pumping = False
        self._stopped = True
        self.on_tap_lost: Callable[[int, int, int], None] | None = None
        self.on_path_answer: Callable[[int, int], None] | None = None
        self.on_frames: Callable[[], None] | None = None
        self.on_wake: Callable[[float], None] | None = None
        self.shape: Callable[[effects.InstallSA], effects.InstallSA] | None = None
        self.counters: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to listen to the data plane."""
        self._stopped = False
        self._loop.add_reader(self._plane.event_fd, self._poll_plane)
        self._alive_timer = self._loop.call_later(ALIVE_SECONDS, self._look_for_life)

    def stop(self) -> None:
        """Listen no longer; questions to the guard that are still open are dropped. Safe twice."""
        if not self._stopped:
            self._loop.remove_reader(self._plane.event_fd)
        self._stopped = True
        for timer in (self._timer, self._alive_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._alive_timer = None
        for task in self._questions:
            task.cancel()

    def receive(self, datagram: bytes, local: Endpoint, remote: Endpoint, *, natt: bool = False) -> None:
        """A datagram came to the IKE port, or with `natt` behind the marker to the NAT-T port."""
        self._engine.receive(datagram, Path(local, remote, natt), self._loop.time())
        self.pump()

    def command(self, verb: Callable[[float], object]) -> None:
        """Call one of the engine's verbs with the time, then carry out its effects. LocalError passes through."""
        try:
            verb(self._loop.time())
        finally:
            self.pump()

    def pump(self) -> None:
        """Carry out the engine's effects until there are none, then set the timer."""
        if self._pumping:
            return  # An effect led back here; the loop below goes on with what it added.
        self._pumping = True
        try:
            while todo := self._engine.effects():
                for effect in todo:
                    self._safely(self._carry_out, effect)
        finally:
            self._pumping = False
        self._set_timer()

    def _safely(self, step: Callable[[T], None], what: T) -> None:
        """A mistake of ours with one effect or event must not take the others along, and has to be seen."""
        try:
            step(what)
        except Exception:
            self.counters["step-failed"] += 1
            _logger.exception("step failed")

    def _carry_out(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Send(datagram, path):
                self._send(datagram, path)
            case effects.KeepAlive(path):
                self._send_plain(self._natt, KEEP_ALIVE, path)
            case effects.AskGuard(request_id, question):
                self._ask(request_id, question)
            case effects.Emit(event):
                self._listener(event)
            case effects.InstallSA():
                self._install(effect)
            case effects.DeactivateSA():
                self._children.deactivate(effect)
            case effects.RemoveSA():
                if ended := self._children.remove(effect):
                    self._tunnels.ended(ended)
            case effects.MigrateSA():
                if moved := self._children.migrate(effect):
                    self._tunnels.moved(moved)
            case effects.ActivateSA():
                self._children.activate(effect)

    def _send(self, datagram: bytes, path: Path) -> None:
        if path.natt:
            self._send_plain(self._natt, NON_ESP_MARKER + datagram, path)
        else:
            self._send_plain(self._ike, datagram, path)

    def _send_plain(self, edges: Mapping[int, UdpEdge], octets: bytes, path: Path) -> None:
        edge = edges.get(socket.AF_INET6 if path.remote.ip.version == 6 else socket.AF_INET)
        if edge is None:
            self.counters["send-no-such-family"] += 1
        elif not edge.send(octets, path.local, path.remote):
            self.counters["send-failed"] += 1

    def _install(self, effect: effects.InstallSA) -> None:
        if self.shape is not None:
            effect = self.shape(effect)
        try:
            lineage = self._children.install(effect)
        except ValueError as error:
            self.counters["install-failed"] += 1
            self._tunnels.install_failed(effect, str(error))
            try:
                self._engine.delete_child(effect.child_id, self._loop.time())
            except LocalError:
                self.counters["install-failed-child-gone"] += 1
            return
        self._tunnels.installed(lineage)

    def _ask(self, request_id: int, question: Question) -> None:
        task = self._loop.create_task(self._answer(request_id, question), name="rhp-guard-question")
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    async def _answer(self, request_id: int, question: Question) -> None:
        try:
            answer = await self._guard.ask(question)
        except Exception as error:
            # The handshake that waits for this answer must end, and the others go on.
            self.counters["guard-failed"] += 1
            answer = Refused(f"the guard failed ({type(error).__name__})")
        self._engine.guard_answered(request_id, answer, self._loop.time())
        self.pump()

    def _set_timer(self) -> None:
        deadline = self._engine.next_deadline()
        if self._timer is not None:
            if deadline is not None and self._timer.when() == deadline:
                return
            self._timer.cancel()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._engine.handle_timer(self._loop.time())
        self.pump()

    def _poll_plane(self) -> None:
        if self._stopped:
            return
        found = self._plane.poll_events(EVENTS_PER_WAKEUP)
        for event in found:
            self._safely(self._plane_event, event)
        if self.on_frames is not None:
            self.on_frames()
        if len(found) >= EVENTS_PER_WAKEUP:
            self._loop.call_soon(self._poll_plane)
        self.pump()

    def _plane_event(self, event: Event) -> None:
        now = self._loop.time()
        match event:
            case ("ike", remote_ip, remote_port, local_ip, local_port, data):
                path = Path(_endpoint(local_ip, local_port), _endpoint(remote_ip, remote_port), natt=True)
                self._engine.receive(data, path, now)
            case ("unknown-spi", spi, remote_ip, remote_port, local_ip, local_port):
                # Plain ESP has no ports (they are 0); an answer then goes to the IKE port.
                local, remote = (
                    _endpoint(local_ip, local_port or IKE_PORT),
                    _endpoint(remote_ip, remote_port or IKE_PORT),
                )
                self._engine.unknown_spi(spi, Path(local, remote, natt=local_port != 0), now)
            case ("first-inbound", spi_in):
                self._engine.first_inbound(spi_in, now)
            case ("sa-limit", spi_in, stage):
                self.counters["sa-limit"] += 1
                self._engine.sa_limit(spi_in, now, over=stage == "over")
            case ("nat-moved", spi_in, ip, port):
                self._engine.nat_moved(spi_in, _endpoint(ip, port), now)
            case ("no-sa", _):
                self.counters["traffic-without-sa"] += 1
            case ("path-answer", spi_in, octets):
                if self.on_path_answer is not None:
                    self.on_path_answer(spi_in, octets)
            case ("tap-lost", lane, errno, hub):
                self.counters["tap-lost"] += 1
                if self.on_tap_lost is not None:
                    self.on_tap_lost(hub, lane, errno)

    def _look_for_life(self) -> None:
        now = self._loop.time()
        if (slept := self._slumber.look()) is not None:
            self._engine.awoken(now)
            if self.on_wake is not None:
                self.on_wake(slept)
        for spi_in, heard, sent in self._children.at_work():
            if heard:
                self._engine.seen_alive(spi_in, now)
            if sent is not None:
                self._engine.seen_sending(spi_in, sent)
        self._alive_timer = self._loop.call_later(ALIVE_SECONDS, self._look_for_life)
        self.pump()


def _endpoint(ip: str, port: int) -> Endpoint:
    return Endpoint(ip_address(ip), port)
