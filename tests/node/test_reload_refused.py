"""Reloads that fail, are refused, or come at a bad time: what was in force stays whole."""

import asyncio
from ipaddress import ip_interface

import pytest
from loopback import until
from reload_rig import pair, serving, spis, up

from rhp.guard.protocol import (
    AdoptConfiguration,
    ConfigureLink,
    Done,
    FingerprintSecrets,
    ReadConfiguration,
    Refused,
    RemoveAddress,
)
from rhp.node.control.server import CommandRefused


def nothing_changed(a, before, names):
    return up(a, *names) and spis(a, names[0]) == before and [one.name for one in a._config.connections] == list(names)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (ReadConfiguration, RuntimeError("a secret detail")),
        (ReadConfiguration, Refused("the disk is full")),
        (ReadConfiguration, Done()),
        (AdoptConfiguration, RuntimeError("a secret detail")),
        (AdoptConfiguration, Refused("the disk is full")),
    ],
)
def test_a_guard_that_fails_leaves_everything_as_it_was(written, question, answer, caplog):
    async def story():
        async with pair(written, "one", "two") as (a, guard, _):
            before = spis(a, "one")
            written("a", "one")
            guard.answers[question] = answer
            with pytest.raises(CommandRefused, match="nothing was changed") as refused:
                await a.reload("test")
            assert "secret" not in str(refused.value)
            assert nothing_changed(a, before, ("one", "two"))
            guard.answers.clear()
            assert (await a.reload("test"))["removed"] == ["two"]

    asyncio.run(story())


def test_a_wrong_file_and_a_setting_that_needs_a_restart_change_nothing(written):
    async def story():
        async with pair(written, "one", "two") as (a, guard, _):
            before = spis(a, "one")
            written("a", "one", tables={"one": {"psk": "0xnot hexadecimal", "dpd_delay": "soon"}})
            told = await a.reload("test")
            assert not told["applied"] and told["file"].endswith("a.toml")
            wheres = [mistake["where"] for mistake in told["mistakes"]]
            assert wheres == ["connections.one.psk", "connections.one.dpd_delay"]
            assert all(mistake["line"] for mistake in told["mistakes"])
            written("a", "one", node={"lanes": 2, "log_level": "debug"})
            told = await a.reload("test")
            assert not told["applied"] and told["restart"] == ["node.lanes"]
            assert nothing_changed(a, before, ("one", "two"))
            assert AdoptConfiguration not in map(type, guard.asked)

    asyncio.run(story())


def test_what_the_machine_refuses_is_told_and_the_rest_is_in_force(written):
    async def story():
        async with pair(written, "one") as (a, guard, _):
            before = spis(a, "one")
            interface = {"name": "no-such-a", "addresses": ["10.77.0.1/24", "fd77::1/64"]}
            written("a", "one", interface=interface)
            guard.answers[ConfigureLink] = Refused("no room for another address")
            told = await a.reload("test")
            assert told["applied"] and told["refused"] == ["no room for another address"] * 2
            assert told["settings"] == ["interface.addresses"]
            guard.answers.clear()
            guard.asked.clear()
            written("a", "one", interface={**interface, "addresses": ["fd77::1/64"]})
            assert (await a.reload("test"))["refused"] == []
            questions = [one for one in guard.asked if isinstance(one, RemoveAddress | ConfigureLink)]
            assert questions[0] == RemoveAddress("no-such-a", "10.77.0.1/24")
            assert questions[1].addresses == ("fd77::1/64",)
            assert a._config.station.ip4 is None and a._config.station.ip6 == ip_interface("fd77::1/64").ip
            assert spis(a, "one") == before

    asyncio.run(story())


def test_a_guard_that_fails_after_the_adoption_leaves_no_half_of_a_configuration(written):
    async def story():
        async with pair(written, "one") as (a, guard, _):
            before = spis(a, "one")
            guard.answers[FingerprintSecrets] = RuntimeError("a secret detail")
            written("a", "one", "two")
            told = await a.reload("test")
            assert told["applied"] and told["added"] == ["two"]
            # A ticket that is bound to nothing is none.
            assert [one.resumption for one in a._config.connections] == [True, False]
            assert spis(a, "one") == before
            guard.answers.clear()
            written("a", "one")
            assert (await a.reload("test"))["removed"] == ["two"]

    asyncio.run(story())


def test_a_mistake_of_ours_at_a_signal_is_seen(written, caplog):
    async def story():
        async with serving(written("a", "one")) as (a, _):
            a._rooms.keeper.update = None
            a.reload_soon("SIGHUP")
            await until(lambda: not a._reloader.tasks)

    with caplog.at_level("ERROR", logger="rhp"):
        asyncio.run(story())
    assert "step failed" in caplog.text


def test_reloads_at_once_are_done_one_after_the_other(written):
    async def story():
        async with pair(written, "one") as (a, guard, _):
            written("a", "one", "two")
            both = await asyncio.gather(a.reload("one"), a.reload("other"))
            assert [told["added"] for told in both] == [["two"], []]
            kinds = [type(one).__name__ for one in guard.asked if "Configuration" in type(one).__name__]
            assert kinds == ["ReadConfiguration", "AdoptConfiguration"] * 2

    asyncio.run(story())


def test_a_node_that_begins_or_ends_does_not_reload(written):
    async def story():
        async with serving(written("a", "one")) as (a, guard):
            a._state = "starting"
            with pytest.raises(CommandRefused, match="starting"):
                await a.reload("test")
            a.reload_soon("SIGHUP")
            await until(lambda: not a._reloader.tasks)
            a._state = "running"
            assert ReadConfiguration not in map(type, guard.asked)
            # It is asked to end while the guard reads.
            ask, read = guard.ask, asyncio.Event()

            async def slowly(question):
                answer = await ask(question)
                if isinstance(question, ReadConfiguration):
                    await read.wait()
                return answer

            guard.ask = slowly
            written("a", "one", "two")
            reload = asyncio.create_task(a.reload("test"))
            await until(lambda: ReadConfiguration in map(type, guard.asked))
            a._state = "stopping"
            read.set()
            await reload
            assert [one.name for one in a._config.connections] == ["one"]
            a._state = "running"

    asyncio.run(story())
