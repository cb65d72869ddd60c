"""The rooms of a running node, as far as a configuration furnishes them: what each does when there is another one.

First the hubs that are new get their interfaces, for whoever comes next may be in one of them. Then everything else
happens in one go. What goes to the guard is put into the queue in the order in which it has to happen, an interface's
addresses before the routes from them. At last the hubs that are no longer wanted go, as soon as the last tunnel in them
has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from rhp.guard.protocol import Answer, ConfigureLink, NetworkQuestion, Refused, RemoveAddress
from rhp.ike.config import EngineConfig
from rhp.ike.engine import Engine
from rhp.node.changes import Changes
from rhp.node.children import Children
from rhp.node.errors import StartError
from rhp.node.hubs import OWN, Hubs
from rhp.node.journal import Journal
from rhp.node.keeper import Command, Keeper
from rhp.node.log import set_levels
from rhp.node.network import NetworkQueue
from rhp.node.settings import InterfaceSettings, NamedHubSettings, NodeSettings

Sentences = asyncio.Future[str]

LOOK_SECONDS = 0.1
"""So often a hub that is to go is looked at: a tunnel in it ends when its peer confirms that, or is given up."""

PATIENCE = 3.0
"""Seconds for which a reload waits for such hubs; they go later as well."""


@dataclass(slots=True)
class Rooms:
    """What follows a configuration. `names` are its connections, `expected` whom each of them expects.

    `place` adds to the engine's configuration what it has to know of this machine; `interfaces` hears which are ours.
    """

    engine: Engine
    command: Command
    keeper: Keeper
    children: Children
    hubs: Hubs
    network: NetworkQueue
    journal: Journal
    names: set[str]
    expected: dict[str, str]
    place: Callable[[EngineConfig], EngineConfig]
    interfaces: Callable[[Collection[str]], None]
    leaving: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    closed: bool = False

    def obstacle(self, new: NodeSettings) -> str:
        """A sentence where these settings cannot be followed yet."""
        for hub in new.hubs:
            if hub.name in self.leaving:
                return f"the hub {hub.name} of before still has tunnels that are ending; try again in a moment"
        return ""

    async def follow(self, new: NodeSettings, engine: EngineConfig, changes: Changes) -> list[str]:
        """Go by it; a sentence for each thing that the machine refused."""
        set_levels(new.log_level, new.log_levels)
        self.hubs.belong(engine.connections)
        refused = await self._add_hubs(new)
        if self.closed:
            return refused  # The node ends meanwhile.
        answers = self._furnish(new)
        placed = self.place(engine)
        self.expected.clear()
        self.expected.update({one.name: one.expects for one in placed.connections})
        for name in changes.removed:
            self.journal.last_errors.pop(name, None)
        self.names.clear()
        self.names.update(self.expected)
        self.children.adopt_policies({one.name: one.policy for one in placed.connections})
        by_name = {change.name: change for change in changes.changed}
        # Before the engine, so that what ends is known to be wanted again.
        self.keeper.update(placed.connections, new.hosts, by_name)
        self.command(partial(self.engine.reconfigure, placed, by_name))
        self._remove_hubs(new)
        refused += [sentence for sentence in await asyncio.gather(*answers) if sentence]
        if self.leaving:
            await asyncio.wait(self.leaving.values(), timeout=PATIENCE)
        return refused

    def close(self) -> None:
        """Follow nothing any more, and wait for no hub."""
        self.closed = True
        for task in self.leaving.values():
            task.cancel()

    async def _add_hubs(self, new: NodeSettings) -> list[str]:
        """Those that are not there: new ones, and those whose interface could not be made before."""
        there = {hub.name for hub in self.hubs}
        problems = []
        for settings in new.hubs:
            if settings.name not in there:
                try:
                    await self.hubs.add(settings)
                except StartError as error:
                    problems.append(str(error))
        self.interfaces(self.hubs.interfaces())
        return problems

    def _furnish(self, new: NodeSettings) -> list[Sentences]:
        """Each hub that stays, and its interface."""
        answers: list[Sentences] = []
        there = {hub.name: hub.settings for hub in self.hubs}
        for settings in (NamedHubSettings(OWN, new.interface, new.hub), *new.hubs):
            old = there.get(settings.name)
            if old is not None:
                answers += self._readdress(old.interface, settings.interface)
                self.hubs.adopt(settings)
        return answers

    def _remove_hubs(self, new: NodeSettings) -> None:
        wanted = {OWN, *(one.name for one in new.hubs)}
        for name in [hub.name for hub in self.hubs if hub.name not in wanted and hub.name not in self.leaving]:
            task = asyncio.get_running_loop().create_task(self._remove_hub(name), name=f"rhp-remove-hub-{name}")
            self.leaving[name] = task

    async def _remove_hub(self, name: str) -> None:
        try:
            while self.children.ports().get(name):
                await asyncio.sleep(LOOK_SECONDS)
            # Their routes are taken back in front of it.
            await self.network.drained()
            interface = next(hub.settings.interface.name for hub in self.hubs if hub.name == name)
            await self.hubs.remove(name)
            self.interfaces(self.hubs.interfaces())
            self.journal.write("hub removed", hub=name, interface=interface)
        finally:
            del self.leaving[name]

    def _readdress(self, old: InterfaceSettings, new: InterfaceSettings) -> list[Sentences]:
        """Take addresses of the interface back, and give it new ones."""
        if old.addresses == new.addresses:
            return []
        gone = [str(one) for one in old.addresses if one not in new.addresses]
        questions: list[NetworkQuestion] = [RemoveAddress(new.name, text) for text in gone]
        # All of them: with the first address of a network the kernel may take away the others.
        questions += [ConfigureLink(new.name, addresses=(str(one),)) for one in new.addresses]
        return [self._ask(question) for question in questions]

    def _ask(self, question: NetworkQuestion) -> Sentences:
        answer: Sentences = asyncio.get_running_loop().create_future()
        self.network.submit(question, partial(_answered, answer))
        return answer


def _answered(waiting: Sentences, answer: Answer) -> None:
    if not waiting.done():
        waiting.set_result(answer.reason if isinstance(answer, Refused) else "")
