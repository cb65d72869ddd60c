"""Changes of the machine that the service carries out in turn: too many of them, and one that is cut off."""

import asyncio
from dataclasses import replace

from guard_world import OCTETS, A, B, story

from rhp.guard import service
from rhp.guard.messages import build_question
from rhp.guard.protocol import (
    AuthData,
    ConfigureLink,
    Done,
    OpenRawEsp,
    ProvePsk,
    Refused,
)


def test_too_much_at_once_is_refused(policy):
    """Questions about the machine are carried out in turn; a queue of them has its end."""

    @story
    async def scene(made):
        slow = asyncio.Event()
        answer = made.service._guard._network.answer

        async def hold(question):
            await slow.wait()
            return await answer(question)

        made.service._guard._network.answer = hold
        for _ in range(service.MOST_UNDER_WAY + 5):
            await made.send(build_question(7, OpenRawEsp(5)))
        for _ in range(5):
            assert "too much at once" in (await made.hear())[0].reason
        # Handshakes go on meanwhile.
        assert isinstance(await made.ask(ProvePsk("office", A, B, 5, OCTETS)), AuthData)
        slow.set()
        for _ in range(service.MOST_UNDER_WAY):
            assert "address family" in (await made.hear())[0].reason

    scene(policy)


def test_what_is_under_way_when_the_node_dies_is_done_and_nothing_else_is_begun(policy):
    """Half of a change, or one that is noted by nobody, could not be taken back."""

    @story
    async def scene(made):
        begun, ended, go = [], [], asyncio.Event()

        async def answer(question):
            begun.append(question)
            await go.wait()
            ended.append(question)
            return Done()

        made.service._guard._network.answer = answer
        for family in (4, 6):
            await made.send(build_question(7, OpenRawEsp(family)))
        await made.until(lambda: made.service.counters["questions"] == 2 and begun)
        made.end.close()
        closing = asyncio.ensure_future(made.service.close())
        await made.until(lambda: not made.service._open)
        assert not closing.done()
        go.set()
        await asyncio.wait_for(closing, 20)
        assert begun == ended == [OpenRawEsp(4)]

    scene(policy)


def test_a_policy_that_no_question_can_be_held_against_leaves_the_one_before(policy):
    """A mistake of ours in what was adopted; without an answer the node would wait for good, for each change."""

    @story
    async def scene(made):
        network = made.service._guard._network

        before, after = (ConfigureLink("rhpt0", addresses=(one,)) for one in ("10.77.0.1/24", "10.66.0.1/24"))
        following = "fe80::1%eth0/64"

        async def answer(question):
            network.policy = replace(policy, addresses=(following,))
            return Done()

        network.answer = answer
        assert await made.ask(before) == Refused("the guard failed (ValueError)")
        assert isinstance(await made.ask(after), Refused)
        assert made.service.counters["forbidden"] == 1
        following = "10.66.0.1/24"
        assert await made.ask(before) == await made.ask(after) == Done()
        assert made.service.counters["failed"] == 1

    scene(policy)


def test_what_never_ends_is_cut_off(policy, monkeypatch):
    monkeypatch.setattr(service, "PATIENCE", 0.05)

    @story
    async def scene(made):
        begun = []

        async def answer(question):
            begun.append(question)
            await asyncio.Event().wait()

        made.service._guard._network.answer = answer
        await made.send(build_question(7, OpenRawEsp(4)))
        await made.until(lambda: begun)
        await asyncio.wait_for(made.service.close(), 20)

    scene(policy)
