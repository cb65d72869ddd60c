"""Network administration: answers the questions about TAP, sockets, links, routes, name servers, within the policy.

What is made is noted in one undo log, and `ReleaseAll` takes it back, newest first. Sockets and TAP queues belong to
the asker once they are handed over, and go with it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable
from pathlib import Path

from rhp.guard.capture import Capture
from rhp.guard.channel import close_all
from rhp.guard.firewall import Firewall, FirewallError
from rhp.guard.given import GivenSockets
from rhp.guard.kept import KeptTaps
from rhp.guard.links import LinkError, Links
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import (
    AddAddress,
    AddRoute,
    AddTapQueue,
    Answer,
    AssignedQuestion,
    CaptureTraffic,
    ClearDns,
    ConfigureLink,
    Descriptors,
    Done,
    MendCaptures,
    NetworkQuestion,
    OpenIcmp,
    OpenRawEsp,
    OpenTap,
    OpenUdp,
    Refused,
    ReleaseAll,
    ReleaseTraffic,
    RemoveAddress,
    RemoveRoute,
    SetDns,
)
from rhp.guard.resolver import Resolver, ResolverError
from rhp.guard.sockets import open_icmp, open_raw_esp, open_udp
from rhp.guard.taps import OpenedTap, add_queue, open_tap
from rhp.guard.undo import UndoLog

MOST_SOCKETS = 1024
"""Handed over in all: what the most lanes take twice, for each is opened once, or again where adding a lane failed."""

MOST_CHANGES = 1 << 16
"""Held at once: more routes than the peers of the largest gateway have, and taken back within seconds."""


class NetworkAdministration:
    """Does what the policy and the machine allow, and refuses the rest with one sentence."""

    def __init__(self, policy: GuardPolicy, kept: KeptTaps | None = None, given: GivenSockets | None = None) -> None:
        self._kept = kept if kept is not None and kept.there else None
        self._given = given
        self._policy = policy
        self._ever = set(policy.interfaces)
        self._undo = UndoLog()
        self._links = Links(self._undo)
        self._resolver = Resolver(self._undo, policy)
        self._capture = Capture(self._undo, Path(policy.state_dir))
        self._firewall = Firewall(self._undo, policy.firewall, policy.interfaces[0], Path(policy.state_dir))
        self._taps: dict[str, int] = {}
        self._queues: dict[str, int] = {}
        self._sockets = 0
        self._shared_ports: set[tuple[str, int]] = set()

    @property
    def policy(self) -> GuardPolicy:
        """What it goes by. With another one, what was done for interfaces of before can still be taken back."""
        return self._policy

    @policy.setter
    def policy(self, policy: GuardPolicy) -> None:
        for name in set(self._policy.interfaces) - set(policy.interfaces):
            self._taps.pop(name, None)
            if self._kept is not None:
                # It goes when the node lets go of it, which has the last tunnels in it end before.
                self._kept.forget(name)
        self._policy = policy
        self._ever |= set(policy.interfaces)

    def keep_guarded(self) -> str | None:
        """Make the firewall's table again where somebody has removed it: what was done, or why it could not be."""
        try:
            return "the table had been removed, and stands again" if self._firewall.mend() else None
        except FirewallError as error:
            return f"the table has been removed, and {error}"

    def guard_again(self) -> Answer:
        """Do once more what the firewall does."""
        try:
            self._firewall.again()
        except FirewallError as error:
            return Refused(str(error))
        return Done()

    async def recover(self) -> Answer:
        """Take back what an earlier run, which was killed, left behind: what does not go with its interface.

        Once and before the first question, for afterwards it would be our own.
        """
        return await self._tried(self._recover())

    async def answer(self, question: NetworkQuestion) -> Answer:
        """Answer one question; never raises for what a question asks."""
        return await self._tried(self._answer(question))

    async def _tried(self, work: Awaitable[Answer]) -> Answer:
        try:
            return await work
        except (LinkError, ResolverError, FirewallError, ValueError) as error:
            return Refused(str(error))
        except OSError as error:
            return Refused(error.strerror or str(error))

    async def _recover(self) -> Answer:
        self._resolver.recover()
        self._firewall.recover()
        await self._capture.recover()
        return Done()

    async def _answer(self, question: NetworkQuestion) -> Answer:
        match question:
            case OpenTap(name, queues, offload):
                self._require_ours(name)
                opened = await self._adopted(name, queues, offload) or open_tap(name, queues, offload=offload)
                if self.policy.by_station:
                    _steer(opened.fds)
                self._guarded(name, opened.fds)
                self._made(name, opened)
                return Descriptors(opened.fds, opened.offloads)
            case AddTapQueue(name):
                self._require_made(name)
                if self._queues[name] >= self.policy.lanes:
                    raise ValueError(f"the interface {name} has a queue for each lane already")
                # A queue without the header that the others have would take it away from all of them.
                queue = add_queue(name, header=self._taps[name] != 0)
                self._queues[name] += 1
                if self._kept is not None:
                    self._kept.keep_also(name, queue)
                return Descriptors((queue,), self._taps[name])
            case OpenUdp() | OpenRawEsp() | OpenIcmp():
                return self._open(question)
            case ConfigureLink():
                self._require_made(question.name)
                if question.bridge is not None and question.bridge not in self.policy.bridges:
                    raise ValueError(f"joining the bridge {question.bridge} is not in the configuration")
                self._require_room()
                await self._links.configure(question)
            case AddRoute():
                self._require_ours(question.interface, *self.policy.bridges)
                self._require_room()
                await self._links.add_route(question)
            case RemoveRoute():
                await self._links.remove_route(question)
            case AddAddress() | RemoveAddress() | SetDns() | ClearDns() | CaptureTraffic() | ReleaseTraffic():
                await self._assigned(question)
            case MendCaptures():
                await self._capture.mend()
            case ReleaseAll():
                return await self._release()
        return Done()

    async def _adopted(self, name: str, queues: int, offload: bool) -> OpenedTap | None:
        """The interface of the run before, where the service manager kept it."""
        if self._kept is not None and name in self._taps:
            # One of this run the node asks for anew once it has let go of it, or another hub has its name now. What the
            # manager still holds of it would be in the way for good; it lets go soon, and the next try finds it gone.
            self._kept.forget(name)
        opened = self._kept.adopt(name, queues, offload=offload) if self._kept is not None else None
        if opened is not None:
            try:
                await self._links.bare(name)
            except LinkError:
                close_all(opened.fds)
                raise
        return opened

    def _made(self, name: str, opened: OpenedTap) -> None:
        if self._kept is None:
            self._links.created(name)
        else:
            self._kept.keep(name, opened.fds)
            self._links.rests(name)
        self._taps[name], self._queues[name] = opened.offloads, len(opened.fds)

    def _guarded(self, name: str, queues: tuple[int, ...]) -> None:
        """No frame passes before the firewall stands, for this interface too; without it, there is no interface."""
        try:
            self._firewall.apply((*self.policy.interfaces, *self.policy.bridges))
        except FirewallError:
            close_all(queues)
            if self._kept is not None:
                self._kept.forget(name)
            raise

    async def _assigned(self, question: AssignedQuestion) -> None:
        """What a peer assigned: on our own interface only, and only where the configuration asks peers for it."""
        if isinstance(question, AddAddress | SetDns | CaptureTraffic) or question.interface not in self._ever:
            self._require_ours(question.interface)
        match question:
            case AddAddress():
                self._require_asked()
                self._require_room()
                await self._links.add_address(question)
            case RemoveAddress():
                await self._links.remove_address(question)
            case SetDns():
                self._require_asked()
                await self._resolver.set(question)
            case ClearDns():
                await self._resolver.clear(question.interface)
            case CaptureTraffic():
                self._require_asked()
                await self._capture.set(question)
            case ReleaseTraffic():
                await self._capture.release(question)

    def _require_asked(self) -> None:
        if not self.policy.assigned:
            raise ValueError("no connection of the configuration asks its peer for addresses")

    def _require_ours(self, name: str, *also: str) -> None:
        if name not in self.policy.interfaces and name not in also:
            raise ValueError(f"the interface {name} is not in the configuration")

    def _require_made(self, name: str) -> None:
        """Of what was taken back nothing is ours any more: the manager's interface, for one, has no firewall then."""
        self._require_ours(name)
        if name not in self._taps:
            raise ValueError(f"the interface {name} was not made here")

    def _require_room(self) -> None:
        if len(self._undo) >= MOST_CHANGES:
            raise ValueError("there are more routes and addresses of this node than any node has")

    def _open(self, question: OpenUdp | OpenRawEsp | OpenIcmp) -> Answer:
        if self._sockets >= MOST_SOCKETS:
            raise ValueError("this node has had more sockets than any node has")
        match question:
            case OpenUdp(address, port, reuse):
                answer = self._open_udp(address, port, reuse)
            case OpenRawEsp(family):
                answer = Descriptors((open_raw_esp(_checked(family)),))
            case OpenIcmp(family):
                answer = Descriptors((open_icmp(_checked(family)),))
        self._sockets += 1
        return answer

    def _open_udp(self, address: str, port: int, reuse: bool) -> Descriptors:
        group = (address, port)
        if reuse and self._given is not None and (given := self._given.take(address, port)) is not None:
            # Whoever bound it has made sure that nobody else has the port.
            self._shared_ports.add(group)
            return Descriptors((given,))
        if reuse and port and group not in self._shared_ports:
            # A shared port can be joined by any program of the same user, another node included. The first socket of
            # ours therefore has to get the port for itself once.
            os.close(open_udp(address, port, reuse=False))
            self._shared_ports.add(group)
        return Descriptors((open_udp(address, port, reuse),))

    async def _release(self) -> Answer:
        self._shared_ports.clear()
        self._taps.clear()
        problems = await self._undo.run()
        return Refused("; ".join(problems)) if problems else Done()


def _steer(queues: tuple[int, ...]) -> None:
    """OSError where the machine does not allow it; then the interface goes with its queues."""
    from rhp.guard.steering import by_station

    try:
        by_station(queues[0])
    except OSError as error:
        for queue in queues:
            os.close(queue)
        raise OSError(error.errno, f"frames cannot be shared out by station: {error.strerror}") from None


def _checked(family: int) -> int:
    if family not in (4, 6):
        raise ValueError(f"{family} is not an address family: 4 or 6 is")
    return family
