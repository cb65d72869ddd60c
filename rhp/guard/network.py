"""Network administration: answers the questions about the TAP, sockets, links and routes, within the policy.

What is made is noted in one undo log, and `ReleaseAll` takes it back, newest first. Sockets and TAP queues belong to
the asker once they are handed over, and go with it.
"""

from __future__ import annotations

import os

from rhp.guard.links import LinkError, Links
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import (
    AddRoute,
    Answer,
    ConfigureLink,
    Descriptors,
    Done,
    NetworkQuestion,
    OpenRawEsp,
    OpenTap,
    OpenUdp,
    Refused,
    ReleaseAll,
    RemoveRoute,
)
from rhp.guard.sockets import open_raw_esp, open_tap, open_udp
from rhp.guard.undo import UndoLog


class NetworkAdministration:
    """Does what the policy and the machine allow, and refuses the rest with one sentence."""

    def __init__(self, policy: GuardPolicy) -> None:
        self.policy = policy
        self._undo = UndoLog()
        self._links = Links(self._undo)
        self._shared_ports: set[tuple[str, int]] = set()

    async def answer(self, question: NetworkQuestion) -> Answer:
        """Answer one question; never raises for what a question asks."""
        try:
            return await self._answer(question)
        except (LinkError, ValueError) as error:
            return Refused(str(error))
        except OSError as error:
            return Refused(error.strerror or str(error))

    async def _answer(self, question: NetworkQuestion) -> Answer:
        match question:
            case OpenTap(name, queues):
                self._require_ours(name)
                opened = open_tap(name, queues)
                self._links.created(name)
                return Descriptors(opened)
            case OpenUdp(address, port, reuse):
                return self._open_udp(address, port, reuse)
            case OpenRawEsp(family):
                if family not in (4, 6):
                    raise ValueError(f"{family} is not an address family: 4 or 6 is")
                return Descriptors((open_raw_esp(family),))
            case ConfigureLink():
                self._require_ours(question.name)
                if question.bridge is not None and question.bridge not in self.policy.bridges:
                    raise ValueError(f"joining the bridge {question.bridge} is not in the configuration")
                await self._links.configure(question)
            case AddRoute():
                self._require_ours(question.interface, *self.policy.bridges)
                await self._links.add_route(question)
            case RemoveRoute():
                await self._links.remove_route(question)
            case ReleaseAll():
                return await self._release()
        return Done()

    def _require_ours(self, name: str, *also: str) -> None:
        if name not in self.policy.interfaces and name not in also:
            raise ValueError(f"the interface {name} is not in the configuration")

    def _open_udp(self, address: str, port: int, reuse: bool) -> Answer:
        group = (address, port)
        if reuse and port and group not in self._shared_ports:
            # A shared port can be joined by any program of the same user, another node included. The first socket of
            # ours therefore has to get the port for itself once.
            os.close(open_udp(address, port, reuse=False))
            self._shared_ports.add(group)
        return Descriptors((open_udp(address, port, reuse),))

    async def _release(self) -> Answer:
        self._shared_ports.clear()
        problems = await self._undo.run()
        return Refused("; ".join(problems)) if problems else Done()
