"""The interface of EAP methods, by the example's: GTC with one-time passwords, from Identity to Success."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp.crypto.secret import Secret
from rhp.spi import find
from rhp.spi.eap import LONGEST, Ask, Done, MethodRefused, Refuse, Send

SECRET = b"12345678901234567890"
NOW = 1_111_111_109.0
REQUEST, RESPONSE, SUCCESS, FAILURE = 1, 2, 3, 4


@pytest.fixture
def gtc(extended):
    return find.load(find.EAP, "gtc")


class Keepers:
    """Where secrets are kept: questions go in, answers come out, None for a refusal."""

    def __init__(self, keeper):
        self.keeper, self.now = keeper, NOW

    def ask(self, what):
        try:
            return self.keeper.answer(what, self.now)
        except MethodRefused:
            return None


def packet(code, identifier, kind=None, data=b""):
    """An EAP packet (RFC 3748 section 4)."""
    body = b"" if kind is None else bytes((kind,)) + data
    return struct.pack("!BBH", code, identifier, 4 + len(body)) + body


def settled(step, run, keepers):
    """The step after all questions to the keeper."""
    while isinstance(step, Ask):
        step = run.told(keepers.ask(step.what))
    return step


def converse(provider, peer_keeper, server_keeper, limit=10):
    """A whole conversation over real EAP packets; the packets, and how the server's run ended."""
    peer, server = provider.peer("a@example.org"), provider.server("a@example.org")
    step, wire = settled(server.begin(), server, server_keeper), []
    for identifier in range(limit):
        if not isinstance(step, Send):
            wire.append(packet(SUCCESS if isinstance(step, Done) else FAILURE, identifier))
            return wire, step
        assert len(step.data) <= LONGEST
        wire.append(packet(REQUEST, identifier, provider.type, step.data))
        answer = settled(peer.take(wire[-1][5:]), peer, peer_keeper)
        if isinstance(answer, Refuse):
            return wire, answer
        wire.append(packet(RESPONSE, identifier, provider.type, answer.data))
        step = settled(server.take(wire[-1][5:]), server, server_keeper)
    raise AssertionError("it does not end")


def keepers(provider, secret=SECRET):
    return Keepers(provider.keeper(Secret(secret)))


def test_a_conversation_from_request_to_success(gtc):
    wire, end = converse(gtc, keepers(gtc), keepers(gtc))
    # server --- Request/GTC "One-time password: " ---> peer
    # server <--- Response/GTC "081804" --------------- peer     (RFC 6238 appendix B, its last six digits)
    # server --- Success -----------------------------> peer
    assert wire == [
        packet(REQUEST, 0, 6, b"One-time password: "),
        packet(RESPONSE, 0, 6, b"081804"),
        packet(SUCCESS, 1),
    ]
    assert end == Done(None)
    assert not gtc.derives_key
    assert gtc.peer("a@example.org").key() is None


def test_a_code_is_good_once(gtc):
    near, far = keepers(gtc), keepers(gtc)
    assert isinstance(converse(gtc, near, far)[1], Done)
    _, end = converse(gtc, near, far)
    assert end == Refuse("none of 3 codes was right")
    near.now = far.now = NOW + 30
    assert isinstance(converse(gtc, near, far)[1], Done)


@pytest.mark.parametrize(("apart", "right"), [(-60, False), (-30, True), (30, True), (61, False)])
def test_two_clocks_may_be_a_little_apart(gtc, apart, right):
    near, far = keepers(gtc), keepers(gtc)
    near.now += apart
    assert isinstance(converse(gtc, near, far)[1], Done) is right


def test_another_secret_is_refused_after_three_tries(gtc):
    wire, end = converse(gtc, keepers(gtc, b"another secret of 20"), keepers(gtc))
    assert [one[0] for one in wire] == [REQUEST, RESPONSE] * 3 + [FAILURE]
    assert end == Refuse("none of 3 codes was right")


def test_a_keeper_that_refuses_ends_it(gtc):
    gone = keepers(gtc)
    gone.keeper.wipe()
    assert converse(gtc, gone, keepers(gtc))[1] == Refuse("there is no code to give")
    assert converse(gtc, keepers(gtc), gone)[1] == Refuse("the code could not be checked")
    with pytest.raises(MethodRefused, match="no question of this method"):
        keepers(gtc).keeper.answer(b"tell me the secret", NOW)
    with pytest.raises(ValueError, match="at least 16 octets"):
        gtc.keeper(Secret(b"short"))


def test_nonsense_leads_to_an_answer_or_an_end(gtc):
    far = keepers(gtc)
    # At this time no code was good before, and none of these is.
    far.now = 0.0

    @given(data=st.binary(max_size=LONGEST).filter(lambda data: len(data) != 6))
    @settings(max_examples=200)
    def trial(data):
        run = gtc.server("whoever")
        assert isinstance(run.begin(), Send)
        for _ in range(3):
            step = settled(run.take(data), run, far)
        assert step == Refuse("none of 3 codes was right")
        assert isinstance(gtc.peer("whoever").take(data), Ask | Refuse)

    trial()
