"""A node that has been taken over: it says whatever it likes to the guard, and gets nothing out of it.

The guard is the real one with real secrets, at the end of a real line; only the node is played here.
"""

import array
import asyncio
import os
import random
import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from guard_octets import covered, init

from rhp.guard import service
from rhp.guard.channel import Channel, pair
from rhp.guard.kinds import ANSWERS, QUESTIONS, Stop
from rhp.guard.local import LocalGuard
from rhp.guard.messages import LARGEST, build_question, parse_told
from rhp.guard.policy import GuardPolicy, PpkSecret, PrivateKey, PskSecret
from rhp.guard.protocol import (
    Accepted,
    AddAddress,
    AddRoute,
    AddTapQueue,
    AuthData,
    CaptureTraffic,
    CheckPsk,
    ConfigureLink,
    Done,
    FingerprintSecrets,
    MixPpk,
    OpenRawEsp,
    OpenTap,
    OpenUdp,
    ProvePsk,
    Refused,
    RunHook,
    SetDns,
    SignOctets,
    TellAlive,
    TellState,
)
from rhp.guard.remote import GONE, RemoteGuard
from rhp.guard.service import Service
from rhp.pki import ca

SECRETS = (b"swordfish and chips", b"a post-quantum preshared key of ours")
A, B = (2, b"a.example.org"), (2, b"b.example.org")
OCTETS = covered(init())
FORGED = b"this is a certificate of somebody else, please sign"
SO_PASSRIGHTS = 83
ELSEWHERE = "192.0.2.9/32"
FORBIDDEN = [
    SignOctets("office", FORGED, frozenset({2})),
    SignOctets("home", OCTETS, None),
    ProvePsk("office", A, B, 5, FORGED),
    ProvePsk("office", A, B, 7, OCTETS),
    ProvePsk("office", A, B, 99, OCTETS),
    ProvePsk("home", A, B, 5, OCTETS),
    ProvePsk("office", (2, bytes(5000)), B, 5, OCTETS),
    ProvePsk("office", (-1, b""), B, 5, OCTETS),
    CheckPsk("office", A, B, 5, FORGED, bytes(32)),
    MixPpk("office", b"other", 5, bytes(32), bytes(32), bytes(32)),
    MixPpk("office", b"one", 5, b"", b"", b""),
    MixPpk("office", b"one", 5, bytes(32), bytes(32), bytes(4000)),
    FingerprintSecrets("x" * 1000, bytes(32)),
    OpenTap("rhpt0", 200),
    OpenTap("x" * 1000, 1),
    AddTapQueue("x" * 1000),
    OpenUdp("127.0.0.1", 500),
    OpenUdp("::", 53),
    OpenUdp("::", 70000),
    ConfigureLink("rhpt0", addresses=("10.66.0.1/24",)),
    ConfigureLink("rhpt0", addresses=("nonsense",)),
    ConfigureLink("rhpt0", mtu=1 << 40),
    ConfigureLink("rhpt0", mac=bytes(5)),
    ConfigureLink("rhpt0", queue_length=1 << 30),
    ConfigureLink("rhpt0", segments=1),
    AddRoute("0.0.0.0/0", "rhpt0"),
    AddRoute("10.0.0.0/8", "rhpt0"),
    AddRoute("fd00::/8", "rhpt0"),
    AddRoute("nonsense", "rhpt0"),
    AddRoute("fd88::%x\nx/64", "rhpt0"),
    ConfigureLink("rhpt0", addresses=("fe80::1%x\nx/64",)),
    TellState("starting"),
    TellState("READY=1\nMAINPID=1"),
    TellAlive(0, 0),
    TellAlive(1, -1),
    TellAlive(1 << 32, 1),
    TellAlive(1, 1 << 40),
    RunHook("tunnel-up"),
    RunHook("/bin/sh"),
]
# What the rooms behind the checks refuse, as they always did.
REFUSED = [
    ConfigureLink("eth0", mtu=1400),
    ConfigureLink("rhpt0", bridge="br0"),
    AddRoute("10.88.1.0/24", "eth0"),
    AddAddress("rhpt0", ELSEWHERE),
    AddAddress("eth0", ELSEWHERE),
    SetDns("rhpt0", ("192.0.2.1",)),
    CaptureTraffic("rhpt0", "0.0.0.0/0", ("192.0.2.1",), "10.77.0.1", "10.77.0.2"),
    AddTapQueue("rhpt0"),
    OpenTap("eth0", 1),
    OpenRawEsp(5),
    CheckPsk("office", A, B, 5, OCTETS, bytes(32)),
    ProvePsk("office", A, (2, b"stranger.example.org"), 5, OCTETS),
    FingerprintSecrets("office", b"short"),
]


@pytest.fixture(scope="module")
def policy():
    from datetime import UTC, datetime, timedelta

    then = datetime.now(UTC) - timedelta(hours=1)
    made = ca.issue(ca.create_ca("lab", then, key_type="ecdsa-p256", days=2), ["a.example.org"], then, days=2)
    return GuardPolicy(
        psks=(PskSecret("office", "a.example.org", "b.example.org", SECRETS[0]),),
        ppks=(PpkSecret("office", b"one", SECRETS[1]),),
        keys=(PrivateKey("office", pem=made.private_key),),
        interfaces=("rhpt0",),
        addresses=("10.77.0.1/24",),
        ports=(500, 4500),
        reach=("10.88.0.0/16", "10.77.0.0/24", "fd88::/16"),
        queue_lengths=(1000,),
        segments=(),
        lanes=4,
    )


class Lines:
    """A log that remembers."""

    def __init__(self):
        self.written = []

    def write(self, event, **fields):
        self.written.append((event, fields))


class World:
    """The guard's service, and the node's end of the line: raw in `end`, or through `ask`."""

    def __init__(self, policy):
        ours, self.end = pair()
        self.log, self.ends = Lines(), []
        self.service = Service(
            Channel(ours, os.getpid(), bare=True), LocalGuard(policy), policy, self.log, self.ends.append
        )
        self.service.start()
        self.end.setblocking(False)
        self._loop = asyncio.get_running_loop()

    async def send(self, octets):
        if octets:
            await self._loop.sock_sendall(self.end, octets)
        else:
            self.end.send(octets)

    async def hear(self):
        """The next answer, and its octets."""
        octets = await asyncio.wait_for(self._loop.sock_recv(self.end, LARGEST), 60)
        return parse_told(octets, ())[1], octets

    async def ask(self, question):
        await self.send(build_question(7, question))
        return (await self.hear())[0]

    async def until(self, condition):
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def world(policy):
    made = World(policy)
    try:
        yield made
    finally:
        await made.service.close()
        made.end.close()


def story(told):
    """A coroutine as a test."""

    def run(policy, *args, **kwargs):
        async def scene():
            async with world(policy) as made:
                await told(made, *args, **kwargs)

        asyncio.run(scene())

    return run


def test_a_sound_node_is_served(policy):
    @story
    async def scene(made):
        proof = await made.ask(ProvePsk("office", A, B, 5, OCTETS))
        assert isinstance(proof, AuthData)
        assert await made.ask(CheckPsk("office", A, B, 5, OCTETS, proof.data)) == Accepted()
        assert isinstance(await made.ask(SignOctets("office", OCTETS, frozenset({2}))), AuthData)
        assert made.log.written == []
        assert made.service.counters["forbidden"] == made.service.counters["malformed"] == 0

    scene(policy)


@pytest.mark.parametrize("question", FORBIDDEN, ids=lambda one: type(one).__name__)
def test_what_no_sound_node_asks_is_refused_and_logged(policy, question):
    @story
    async def scene(made):
        answer = await made.ask(question)
        assert isinstance(answer, Refused)
        assert answer.reason.startswith("the node asked ")
        ((event, fields),) = made.log.written
        assert event == "guard refused"
        assert fields["command"] == type(question).__name__
        assert fields["detail"] == answer.reason

    scene(policy)


@pytest.mark.parametrize("question", REFUSED, ids=lambda one: type(one).__name__)
def test_what_the_policy_does_not_cover_is_refused(policy, question):
    @story
    async def scene(made):
        assert isinstance(await made.ask(question), Refused)

    scene(policy)


def test_no_answer_and_no_line_has_a_secret_in_it(policy):
    @story
    async def scene(made):
        said = b""
        for question in (*REFUSED, *FORBIDDEN[: service.FORBIDDEN_AT_ONCE - 1]):
            await made.send(build_question(7, question))
            answer, octets = await made.hear()
            assert isinstance(answer, Refused)
            said += octets
        said += repr(made.log.written).encode()
        for secret in SECRETS:
            assert secret not in said
        assert b"PRIVATE KEY" not in said

    scene(policy)


def test_who_asks_for_what_is_forbidden_waits_for_everything(policy, monkeypatch):
    """The first few cost nothing but a line; then each takes its time, and what comes meanwhile waits with it."""
    monkeypatch.setattr(service, "FORBIDDEN_PER_SECOND", 5.0)

    @story
    async def scene(made):
        loop = asyncio.get_running_loop()
        began = loop.time()
        many = service.FORBIDDEN_AT_ONCE + 10
        for _ in range(many):
            await made.send(build_question(7, FORBIDDEN[0]))
        for _ in range(many):
            assert isinstance((await made.hear())[0], Refused)
        assert isinstance(await made.ask(ProvePsk("office", A, B, 5, OCTETS)), AuthData)
        assert loop.time() - began >= 10 / 5.0
        assert made.service.counters["forbidden"] == many

    scene(policy)


def test_no_peer_can_slow_the_guard_down(policy):
    """What a peer sends may be strange, and a sound node then asks strange things, as often as peers come."""

    @story
    async def scene(made):
        strange = [
            CheckPsk("office", A, B, 5, OCTETS, bytes(2000)),
            CheckPsk("office", A, (255, bytes(5000)), 5, OCTETS, bytes(32)),
            CheckPsk("office", A, B, 5, covered(init((33, 34, 40, *[41] * 200))), bytes(32)),
            CheckPsk("office", A, B, 5, FORGED, bytes(32)),
            ProvePsk("office", A, (255, bytes(5000)), 5, OCTETS),
        ]
        for _ in range(2 * service.FORBIDDEN_AT_ONCE):
            for question in strange:
                assert isinstance(await made.ask(question), Refused)
        many = SignOctets("office", OCTETS, frozenset(range(1000)))
        assert isinstance(await made.ask(many), AuthData)
        assert made.service._tokens == service.FORBIDDEN_AT_ONCE
        assert made.service._pause is None

    scene(policy)


def malformed():
    """Everything that is no question, in kinds."""
    good = build_question(7, ProvePsk("office", A, B, 5, OCTETS))
    chance = random.Random(1)
    yield b"\0"
    yield b""
    yield good[:-1]
    yield good + b"\0"
    yield b"\2" + good[1:]
    yield good[:1] + b"\xfe" + good[2:]
    yield good[:2] + bytes(4) + good[6:]
    yield bytes(LARGEST + 1)
    yield bytes(LARGEST)
    for kind in (*ANSWERS, 192, 193):
        yield struct.pack("!BBI", 1, kind, 1) + bytes(16)
    for kind in QUESTIONS:
        yield struct.pack("!BBI", 1, kind, 1) + chance.randbytes(40)


@pytest.mark.parametrize("octets", list(malformed()), ids=lambda octets: f"{len(octets)}-{octets[:2].hex()}")
def test_what_is_no_question_is_counted_and_not_answered(policy, octets):
    @story
    async def scene(made):
        await made.send(octets)
        assert isinstance(await made.ask(ProvePsk("office", A, B, 5, OCTETS)), AuthData)
        assert made.service.counters["malformed"] == 1
        assert made.log.written[0][0] == "guard malformed"
        assert made.ends == []

    scene(policy)


def test_after_so_much_of_it_the_node_is_given_up(policy):
    @story
    async def scene(made):
        for _ in range(service.MOST_MALFORMED):
            await made.send(b"nonsense")
        await made.until(lambda: made.ends)
        assert made.ends == ["malformed"]
        assert made.service.counters["malformed"] == service.MOST_MALFORMED

    scene(policy)


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
            return  # Linux before 6.16; what is done there stands above.
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
