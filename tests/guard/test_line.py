"""The line between guard and node: descriptors on it, its ends, and a node that does not listen."""

import array
import asyncio
import os
import socket
import struct
from contextlib import suppress

import pytest
from guard_octets import covered, init
from guard_world import OCTETS, A, B, story

from rhp.guard.channel import Channel
from rhp.guard.kinds import Stop
from rhp.guard.local import LocalGuard
from rhp.guard.messages import LARGEST, build_question
from rhp.guard.protocol import (
    AuthData,
    OpenRawEsp,
    ProvePsk,
    Refused,
    SignOctets,
)
from rhp.guard.remote import GONE, RemoteGuard

SO_PASSRIGHTS = 83


def hand_over(made, fds):
    """Send descriptors to the guard, as what an older kernel lets through."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
    with suppress(OSError):
        made.service._channel._end.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 1)
    made.end.sendmsg([build_question(7, ProvePsk("office", A, B, 5, OCTETS))], rights)


def test_descriptors_are_not_taken(policy):
    @story
    async def scene(made):
        reads, writes = os.pipe()
        hand_over(made, [writes])
        os.close(writes)
        await made.until(lambda: made.ends)
        assert made.ends == ["unasked-descriptors"]
        assert made.service.counters["questions"] == 0
        # Nobody has the other end any more.
        assert await asyncio.to_thread(os.read, reads, 1) == b""
        os.close(reads)

    scene(policy)


def test_a_kernel_that_can_lets_no_descriptor_through(policy):
    @story
    async def scene(made):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [made.end.fileno()]))]
        try:
            made.service._channel._end.getsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS)
        except OSError:
            # Linux before 6.16: there it is the end.
            hand_over(made, [made.end.fileno()])
            await made.until(lambda: made.ends)
            assert made.ends == ["unasked-descriptors"]
            return
        with pytest.raises(PermissionError):
            made.end.sendmsg([b"x"], rights)
        assert isinstance(await made.ask(ProvePsk("office", A, B, 5, OCTETS)), AuthData)
        assert made.ends == []

    scene(policy)


def test_a_socket_that_takes_long_to_close_holds_up_nothing(policy):
    """Data that nobody reads, and SO_LINGER: whoever closes it last waits, here far longer than a test may."""

    @story
    async def scene(made):
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as server:
            slow = []
            for _ in range(3):
                one = socket.create_connection(server.getsockname())
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
                one.setblocking(False)
                with suppress(BlockingIOError):
                    while True:
                        one.send(bytes(1 << 16))
                slow.append(one)
            # The first is read, the others wait in the line when the guard hangs up.
            for one in slow:
                hand_over(made, [one.fileno()])
                # Not the last one any more.
                one.close()
            began = loop.time()
            await made.until(lambda: made.ends)
            await made.service.close()
            assert loop.time() - began < 40
            assert made.ends == ["unasked-descriptors"]

    scene(policy)


def test_one_that_never_listens_is_given_up(policy):
    @story
    async def scene(made):
        loop = asyncio.get_running_loop()
        question = build_question(7, ProvePsk("office", A, B, 5, OCTETS))

        async def flood():
            while True:
                await loop.sock_sendall(made.end, question)

        flooding = loop.create_task(flood())
        await made.until(lambda: made.ends)
        assert made.ends == ["deaf"]
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)

    scene(policy)


def test_the_end_of_the_line_is_heard(policy):
    @story
    async def scene(made):
        made.end.close()
        await made.until(lambda: made.ends)
        assert made.ends == ["gone"]

    scene(policy)


def test_both_ends_together_many_at_once(policy):
    """The node's own side of the line: hundreds of questions, each with its own answer."""

    @story
    async def scene(made):
        guard = RemoteGuard(Channel(made.end, os.getpid()))
        octets = [covered(init(), nonce=bytes([n]) * 32) for n in range(200)]
        answers = await asyncio.gather(*(guard.ask(ProvePsk("office", A, B, 5, one)) for one in octets))
        local = LocalGuard(policy)
        assert answers == [local.secret(ProvePsk("office", A, B, 5, one)) for one in octets]
        stops = []
        guard.stopped = stops.append
        made.service.tell(Stop("SIGTERM"))
        await made.until(lambda: stops)
        assert stops == ["SIGTERM"]
        guard.close()

    scene(policy)


def test_without_a_guard_every_question_is_refused(policy):
    @story
    async def scene(made):
        guard = RemoteGuard(Channel(made.end, os.getpid()))
        lost = []
        guard.lost = lambda: lost.append(True)
        made.service._guard._network.answer = lambda question: asyncio.Event().wait()
        waiting = asyncio.ensure_future(guard.ask(OpenRawEsp(4)))
        await made.until(lambda: made.service.counters["questions"] == 1)
        await made.service.close()
        assert await waiting == Refused(GONE)
        assert await guard.ask(OpenRawEsp(4)) == Refused(GONE)
        assert lost == [True]

    scene(policy)


def test_a_question_that_is_too_long_does_not_leave(policy):
    @story
    async def scene(made):
        guard = RemoteGuard(Channel(made.end, os.getpid()))
        answer = await guard.ask(SignOctets("office", bytes(LARGEST), None))
        assert answer == Refused("the question is too long for the guard")
        guard.close()

    scene(policy)
