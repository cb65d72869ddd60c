"""A node that has been taken over: it says whatever it likes to the guard, and gets nothing out of it."""

import asyncio
import random
import struct

import pytest
from guard_octets import covered, init
from guard_world import OCTETS, SECRETS, A, B, story

from rhp.guard import service
from rhp.guard.kinds import ANSWERS, QUESTIONS
from rhp.guard.messages import LARGEST, build_question
from rhp.guard.protocol import (
    Accepted,
    AddAddress,
    AddRoute,
    AddTapQueue,
    AuthData,
    CaptureTraffic,
    CheckPsk,
    ConfigureLink,
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

FORGED = b"this is a certificate of somebody else, please sign"
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
