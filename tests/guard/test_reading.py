"""The guard has its configuration read again: by a process of its own, beside everything else, and not without end."""

import asyncio
import os
from pathlib import Path

import pytest

from rhp.guard import reading
from rhp.guard.brief import Mistaken, Shares, read_revision
from rhp.guard.channel import Channel, pair
from rhp.guard.checks import ANY_ADDRESS
from rhp.guard.local import LocalGuard
from rhp.guard.protocol import (
    AdoptConfiguration,
    ConfigurationRead,
    ConfigurationWrong,
    Done,
    FingerprintSecrets,
    OpenUdp,
    ReadConfiguration,
    Refused,
)
from rhp.guard.reading import read_again, read_configuration
from rhp.guard.remote import RemoteGuard
from rhp.guard.service import Service
from rhp.node.errors import StartError

TEXT = """\
[connections.office]
remote_addrs = ["192.0.2.7"]
psk_file = "office.psk"
local.id = "a.example.org"
remote.id = "b.example.org"
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "office.psk").write_text("a secret in its own file\n")
    (tmp_path / "office.psk").chmod(0o600)
    made = tmp_path / "rhp.toml"
    made.write_text(TEXT)
    return made


class Lines:
    def write(self, event, **fields):
        """Nobody reads them here."""


class World:
    """Guard and node at the two ends of a real line; `held` keeps the reading from ending while it is set."""

    def __init__(self, file):
        first = read_configuration(file)
        self.begun, self.held = 0, asyncio.Event()
        self.held.set()

        async def read():
            self.begun += 1
            await self.held.wait()
            return await read_again(file)

        ours, theirs = pair()
        self.guard = LocalGuard(first.guard.policy, read, first)
        self.service = Service(
            Channel(ours, os.getpid(), bare=True), self.guard, first.guard.policy, Lines(), lambda why: None
        )
        self.service.start()
        self.node = RemoteGuard(Channel(theirs, os.getpid()))

    async def until(self, condition):
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.005)

    async def close(self):
        self.node.close()
        await self.service.close()


def story(file, tell):
    async def scene():
        world = World(file)
        try:
            await tell(world)
        finally:
            await world.close()

    asyncio.run(scene())


def test_a_thousand_parts_come_over_the_line_in_one_answer(file):
    names = [f"c{number}" for number in range(1000)]
    more = "".join(TEXT.replace("office]", f"{name}]").replace("b.ex", f"{name}.ex") for name in names)

    async def tell(world):
        file.write_text(TEXT + more)
        answer = await world.node.ask(ReadConfiguration(1))
        assert isinstance(answer, ConfigurationRead)
        assert [part.name for part in read_revision(answer.content).parts] == names
        assert b"secret" not in answer.content
        assert await world.node.ask(AdoptConfiguration(answer.generation)) == Done()
        assert len((await world.node.ask(FingerprintSecrets("c999", bytes(32)))).data) == 32
        file.write_text("frobnicate = 1\n")
        wrong = await world.node.ask(ReadConfiguration(2))
        assert isinstance(wrong, ConfigurationWrong)
        assert "frobnicate" in [one.where for one in wrong.mistakes]

    story(file, tell)


def test_nobody_waits_for_a_reading_and_there_is_one_at_a_time(file):
    async def tell(world):
        world.held.clear()
        first = asyncio.create_task(world.node.ask(ReadConfiguration(1)))
        await world.until(lambda: world.begun)
        assert (await world.node.ask(FingerprintSecrets("office", bytes(32)))).data
        assert "could not" not in repr(await world.node.ask(OpenUdp(ANY_ADDRESS[0], 53)))
        second = await world.node.ask(ReadConfiguration(1))
        assert second == Refused("the node asked for the configuration twice at once")
        world.held.set()
        assert isinstance(await first, ConfigurationRead)
        assert isinstance(await world.node.ask(ReadConfiguration(1)), ConfigurationRead)
        assert world.begun == 2

    story(file, tell)


def test_what_is_asked_is_held_against_the_policy_that_was_adopted(file, own_network):
    async def tell(world):
        question = OpenUdp(ANY_ADDRESS[0], 5500)
        assert "not in the configuration" in (await world.node.ask(question)).reason
        file.write_text("node.port = 5500\n" + TEXT)
        read = await world.node.ask(ReadConfiguration(1))
        assert "not in the configuration" in (await world.node.ask(question)).reason
        assert await world.node.ask(AdoptConfiguration(read.generation)) == Done()
        opened = await world.node.ask(question)
        os.close(opened.fds[0])

    story(file, tell)


def test_a_guard_that_ends_does_not_wait_for_the_reader(file):
    async def tell(world):
        world.held.clear()
        asked = asyncio.create_task(world.node.ask(ReadConfiguration(1)))
        await world.until(lambda: world.begun)
        await world.service.close()
        assert isinstance(await asked, Refused)

    story(file, tell)


def test_the_two_ways_of_reading_say_the_same(file):
    once, again = read_configuration(file), asyncio.run(read_again(file))
    assert isinstance(once, Shares) and once == again
    file.write_text("frobnicate = 1\n")
    once, again = read_configuration(file), asyncio.run(read_again(file))
    assert isinstance(once, Mistaken) and once == again


def children():
    """The processes that this one has started and not collected; older ones may be, meanwhile."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_a_reader_that_does_not_end_is_ended(file, monkeypatch):
    monkeypatch.setattr(reading, "LONGEST", 0.2)
    monkeypatch.setattr(reading, "_command", lambda file: ["sleep", "600"])
    before = children()
    with pytest.raises(StartError, match="could not be read within 0 seconds"):
        asyncio.run(read_again(file))
    assert children() <= before


@pytest.mark.parametrize(("command", "sentence"), [("exit 3", "ended with status 3"), ("echo nonsense", "status 0")])
def test_a_reader_that_says_nothing_of_use_is_told(file, monkeypatch, command, sentence):
    monkeypatch.setattr(reading, "_command", lambda file: ["sh", "-c", command])
    with pytest.raises(StartError, match=sentence):
        asyncio.run(read_again(file))


def test_a_reader_that_says_too_much_is_ended(file, monkeypatch):
    monkeypatch.setattr(reading, "LARGEST_ENCLOSED", 1000)
    monkeypatch.setattr(reading, "_command", lambda file: ["yes"])
    before = children()
    with pytest.raises(StartError, match="too large"):
        asyncio.run(read_again(file))
    assert children() <= before
