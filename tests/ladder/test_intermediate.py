"""IKE_INTERMEDIATE and additional key exchanges: post-quantum handshakes (RFC 9242, RFC 9370)."""

from dataclasses import replace

import pytest
from ladder_cuts import is_fragment, join
from ladder_tickets import crash
from ladder_tickets import sides as resumable
from ladder_world import config, connection, pubkey_side

from rhp.crypto.algorithms import prf as prf_of
from rhp.crypto.proposal import default_ike_proposals
from rhp.ike.events import AuthenticationFailed, HandshakeRefused, IkeEstablished, InitiationFailed
from rhp.wire.iana import ExchangeType, NotifyType, TransformType
from rhp.wire.ke import KE
from rhp.wire.message import build_message, build_payloads, parse_message
from rhp.wire.notify import Notify
from rhp.wire.sa import SA

HYBRID = "aes128gcm16-prfsha256-x25519-ke1_mlkem768"
CLASSICAL = "aes128gcm16-prfsha256-x25519"
THREE = "aes256-sha256-prfsha384-ecp256-ke1_mlkem768-ke3_mlkem1024-ke7_x25519"


def sides(one=(HYBRID,), other=None, **more):
    a = config(connection("a@x", "b@x", ike=one), **more)
    return a, config(connection("b@x", "a@x", ike=one if other is None else other), **more)


def exchanges(link):
    """Exchange types in the order in which requests were first sent."""
    return [packet.header.exchange for packet in link.sent if not packet.header.response and not is_fragment(packet)]


def until(link, exchange, response=False):
    """Deliver until a message of that exchange lies first in flight."""
    while link.flight:
        header = link.flight[0].header
        if header.exchange == exchange and header.response == response:
            return link
        link.deliver()
    raise AssertionError("no such message came")


def test_hybrid_handshake(ladder):
    link = ladder(*sides(fragment_size=0))
    link.initiate()

    # a --- IKE_SA_INIT: SA(.. ADDKE1), KE, Ni, N(INTERMEDIATE_EXCHANGE_SUPPORTED) ---> b
    packet = link.deliver()
    message = parse_message(packet.datagram)
    assert message.notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) is not None
    assert link.b.states() == ["half-open"]

    # a <--- SA(.. ADDKE1), KE, Nr, N(INTERMEDIATE_EXCHANGE_SUPPORTED) --- b
    message = parse_message(link.deliver().datagram)
    assert message.notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) is not None
    assert link.a.states() == ["connecting"]
    before = link.a.sa().sk_d.expose()

    # a --- IKE_INTERMEDIATE 1: KE(ML-KEM-768 encapsulation key) ---> b
    message = link.read(link.flight[0])
    assert (message.exchange, message.message_id) == (ExchangeType.IKE_INTERMEDIATE, 1)
    assert [type(one) for one in message.payloads] == [KE]
    assert (message.first(KE).method, len(message.first(KE).data)) == (36, 1184)
    link.deliver()
    assert link.b.states() == ["half-open"]
    assert link.b.sa().sk_d.expose() != before

    # a <--- IKE_INTERMEDIATE 1: KE(ciphertext) --- b
    header = link.flight[0].header
    assert (header.exchange, header.message_id, header.response) == (ExchangeType.IKE_INTERMEDIATE, 1, True)
    link.deliver()
    assert link.a.sa().sk_d.expose() == link.b.sa().sk_d.expose()
    assert link.a.states() == ["authenticating"]

    # a --- IKE_AUTH 2 ---> b, a <--- IKE_AUTH 2 --- b
    assert link.flight[0].header.message_id == 2
    link.settle()
    link.check_established()
    assert link.a.status().suite == link.b.status().suite == HYBRID
    (event,) = link.b.happened(IkeEstablished)
    assert event.suite == HYBRID


def test_the_large_messages_go_in_fragments(ladder):
    link = ladder(*sides())
    link.initiate()
    link.deliver()
    link.deliver()
    request = list(link.flight)
    assert len(request) == 2 and all(is_fragment(packet) for packet in request)
    assert all(len(packet.datagram) + 32 <= 1280 for packet in request)
    assert len(join(link, request).first(KE).data) == 1184
    link.settle()
    link.check_established()


def test_defaults_are_hybrid(ladder):
    a, b = sides()
    a, b = (
        replace(one, connections=(replace(one.connections[0], proposals=default_ike_proposals()),)) for one in (a, b)
    )
    link = ladder(a, b).establish()
    assert link.a.status().suite == HYBRID
    # IKE_SA_INIT has to fit one datagram on any path of today, for it cannot be in fragments.
    assert len(link.sent[0].datagram) < 1000
    link.check_established()


@pytest.mark.parametrize("old", ["a", "b"])
def test_a_peer_that_knows_no_additional_key_exchange_gets_a_classical_one(ladder, old):
    a, b = sides()
    modern = replace(a if old == "b" else b)
    modern = replace(modern, connections=(replace(modern.connections[0], proposals=default_ike_proposals()),))
    classical = sides((CLASSICAL,))
    link = ladder(classical[0], modern) if old == "a" else ladder(modern, classical[1])
    link.establish()
    assert link.a.status().suite == CLASSICAL
    assert exchanges(link) == [ExchangeType.IKE_SA_INIT, ExchangeType.IKE_AUTH]
    link.check_established()


def test_several_key_exchanges(ladder):
    link = ladder(*sides((THREE,), fragment_size=0)).establish()
    assert link.a.status().suite == THREE
    assert exchanges(link) == [ExchangeType.IKE_SA_INIT, *[ExchangeType.IKE_INTERMEDIATE] * 3, ExchangeType.IKE_AUTH]
    assert [packet.header.message_id for packet in link.sent[::2]] == [0, 1, 2, 3, 4]
    link.check_established()


def test_none_leaves_a_key_exchange_out(ladder):
    optional = f"{HYBRID}-ke1_none"
    for one, other in ((optional, CLASSICAL), (CLASSICAL, optional)):
        link = ladder(*sides((one,), (other,)))
        link.establish()
        if one == optional:
            # An old peer has to refuse a proposal with a transform type that it does not know; a new one picks NONE.
            assert link.a.status().suite == CLASSICAL
        link.check_established()
    link = ladder(*sides((optional,))).establish()
    assert link.a.status().suite == HYBRID


def test_a_key_exchange_that_is_required_is_not_left_out(ladder):
    for one, other in ((HYBRID, CLASSICAL), (CLASSICAL, HYBRID)):
        link = ladder(*sides((one,), (other,))).establish()
        link.advance(3)
        assert link.a.states() == link.b.states() == []
        event = link.b.happened(HandshakeRefused)[0]
        assert event.reason == "no-proposal-chosen"
        assert "ke1_mlkem768" in event.detail


def test_a_peer_without_the_exchange_is_offered_none(ladder):
    """It offers ADDKE, but does not say INTERMEDIATE_EXCHANGE_SUPPORTED."""
    link = ladder(*sides((HYBRID, CLASSICAL)))
    link.initiate()
    message = parse_message(link.drop().datagram)
    payloads = tuple(
        one
        for one in message.payloads
        if not isinstance(one, Notify) or one.type != NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED
    )
    link.inject(link.b, build_message(replace(message, payloads=payloads)))
    answer = parse_message(link.flight[-1].datagram)
    assert all(one.type < TransformType.ADDKE1 for one in answer.first(SA).proposals[0].transforms)
    assert answer.notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) is None


# Loss, doubles, order.


def check_up(link, suite=THREE):
    assert link.flight == []
    link.check_established()
    assert link.a.status().suite == suite
    for side in link.sides:
        assert len(side.happened(IkeEstablished)) == 1
        assert not side.happened(AuthenticationFailed, InitiationFailed, HandshakeRefused)
        assert side.sizes()["fragments"] == 0


@pytest.mark.parametrize("index", range(10))
def test_lost_once(ladder, index):
    link = ladder(*sides((THREE,), fragment_size=0))
    link.initiate()
    for _ in range(index):
        link.deliver()
    link.drop()
    link.advance(5)
    check_up(link)


@pytest.mark.parametrize("index", range(10))
def test_doubled(ladder, index):
    link = ladder(*sides((THREE,), fragment_size=0))
    link.initiate()
    for _ in range(index):
        link.deliver()
    twin = link.flight[0]
    link.hand_over(twin, "twin")
    link.settle()
    link.hand_over(twin, "late")
    link.settle()
    # An IKE_SA_INIT that comes late begins a half-open SA that nobody goes on with.
    assert [state for state in link.b.states() if state != "half-open"] == ["established"]
    assert link.a.states() == ["established"]
    link.check_pairs()
    assert len(link.b.happened(IkeEstablished)) == 1


@pytest.mark.parametrize("index", range(8))
def test_a_fragment_is_lost(ladder, index):
    link = ladder(*sides((HYBRID,), fragment_size=576))
    link.initiate()
    link.deliver()
    link.deliver()
    lost = []

    def fate(packet):
        if is_fragment(packet) and not lost and packet.number - link.sent[2].number == index:
            lost.append(packet)
            return True
        return False

    link.lost = fate
    link.advance(5)
    assert len(lost) == (index < 6) or lost
    check_up(link, HYBRID)


def test_an_answer_is_cut_smaller_although_the_keys_have_changed(ladder):
    """The responder has new keys already when the request comes again in smaller pieces, under the old ones."""
    link = ladder(*sides((HYBRID,)))
    link.lost = lambda packet: (
        packet.sender == "b" and len(packet.datagram) > 576 - 32 and packet.header.message_id == 1
    )
    link.initiate()
    link.settle()
    assert link.b.count("request-repeated") == 0
    link.advance(3)
    check_up(link, HYBRID)


# AUTH covers what was said.


def test_int_auth_as_the_rfc_writes_it(ladder):
    """RFC 9242 section 3.3: the octets that both sides prove, put together a second time from the wire."""
    asked = []
    link = ladder(*sides((THREE,), fragment_size=300))
    prove = link.a.answer_guard
    link.a.answer_guard = lambda question: asked.append(question) or prove(question)
    link.initiate()
    link.deliver()
    link.deliver()
    sa = next(iter(link.a.table.sas()))
    prf = prf_of(sa.agreed.prf.id)
    share_i = share_r = b""
    for message_id in (1, 2, 3):
        # The initiator changes its keys when it has read the answer, so until then its keys are those of both messages.
        sk_pi, sk_pr = sa.shake.sk_pi.expose(), sa.shake.sk_pr.expose()
        request = list(link.flight)
        share_i = prf.prf(sk_pi, share_i + bare(join(link, request, sa.cipher_out)))
        for _ in request:
            link.deliver()
        answer = list(link.flight)
        message = join(link, answer, sa.cipher_in)
        assert message.response and message.message_id == message_id
        share_r = prf.prf(sk_pr, share_r + bare(message))
        for _ in answer:
            link.deliver()
    assert asked[0].octets.endswith(share_i + share_r + (4).to_bytes(4, "big"))
    link.settle()
    link.check_established()


def bare(message):
    """A message as if it had one SK payload with nothing but the payloads inside: lengths, too."""
    first, inside = build_payloads(message.payloads)
    flags = (0x08 if message.initiator else 0) | (0x20 if message.response else 0)
    head = message.spi_i + message.spi_r + bytes((46, 0x20, 43, flags)) + message.message_id.to_bytes(4, "big")
    return (
        head + (32 + len(inside)).to_bytes(4, "big") + bytes((first, 0)) + (4 + len(inside)).to_bytes(2, "big") + inside
    )


@pytest.mark.parametrize("auth", ["psk", "pubkey"])
def test_auth_fails_when_the_two_sides_heard_different_things(ladder, auth):
    """Somebody who broke the first key exchange changes what is said in the second one: AUTH finds out."""
    if auth == "psk":
        link = ladder(*sides((HYBRID,)))
    else:
        (a, policy_a), (b, policy_b) = pubkey_side("a@x", "b@x"), pubkey_side("b@x", "a@x")
        hybrid = sides((HYBRID,))[0].connections[0].proposals
        link = ladder(config(replace(a, proposals=hybrid)), config(replace(b, proposals=hybrid)), policy_a, policy_b)
    link.initiate()
    until(link, ExchangeType.IKE_AUTH)
    shake = next(iter(link.b.table.sas())).shake
    shake.int_auth_i = bytes(len(shake.int_auth_i))
    link.settle()
    assert link.a.states() == link.b.states() == []
    (event,) = link.b.happened(AuthenticationFailed)
    assert event.reason == ("wrong-key" if auth == "psk" else "wrong-signature")


# What a hostile peer could send.


def intermediate(link, payloads, message_id=1):
    """A request of a, which waits for its answer to IKE_SA_INIT no longer, as if it had sent it."""
    sa = next(iter(link.a.table.sas()))
    frame = replace(
        parse_message(link.sent[1].datagram),
        exchange=ExchangeType.IKE_INTERMEDIATE, initiator=True, response=False, message_id=message_id,
        payloads=tuple(payloads),
    )  # fmt: skip
    link.inject(link.b, link.seal(frame), sa.path.local, natt=True)
    return link.read(link.flight.pop()) if link.flight else None


@pytest.fixture
def opened(ladder):
    link = ladder(*sides((HYBRID,), fragment_size=0))
    link.initiate()
    link.deliver()
    link.deliver()
    link.drop()
    assert link.b.states() == ["half-open"]
    return link


@pytest.mark.parametrize(
    "payload",
    [KE(36, b""), KE(36, bytes(1183)), KE(36, b"\xff" * 1184), KE(36, bytes(60_000)), KE(31, bytes(32)),
     KE(37, bytes(1568))],
    ids=["empty", "short", "above q", "long", "x25519", "another method"],
)  # fmt: skip
def test_a_bad_public_value_ends_the_handshake(opened, payload):
    answer = intermediate(opened, [payload])
    assert answer.notify(NotifyType.INVALID_SYNTAX) is not None
    assert opened.b.states() == []
    (event,) = opened.b.happened(HandshakeRefused)
    assert event.reason in ("bad-public-value", "wrong-key-exchange")


def test_ike_auth_before_the_key_exchange_is_refused(opened):
    frame = replace(
        parse_message(opened.sent[1].datagram),
        exchange=ExchangeType.IKE_AUTH, initiator=True, response=False, message_id=1, payloads=(),
    )  # fmt: skip
    sa = next(iter(opened.a.table.sas()))
    opened.inject(opened.b, opened.seal(frame), sa.path.local, natt=True)
    assert opened.read(opened.flight[-1]).notify(NotifyType.INVALID_SYNTAX) is not None
    (event,) = opened.b.happened(HandshakeRefused)
    assert event.reason == "key-exchange-left-out"


def test_exchanges_without_end_are_refused(opened):
    for number in range(1, 17):
        answer = intermediate(opened, [], number)
        assert answer.payloads == ()
    answer = intermediate(opened, [], 17)
    assert answer.notify(NotifyType.INVALID_SYNTAX) is not None
    assert opened.b.states() == []


def test_a_peer_that_never_goes_on_is_forgotten(opened):
    intermediate(opened, [])
    opened.advance(36)
    assert opened.b.states() == []


def test_each_key_exchange_has_its_time(ladder):
    """On a bad path the handshake may take longer than one exchange may."""
    link = ladder(*sides((THREE,), fragment_size=0))
    link.initiate()
    link.deliver()
    link.deliver()
    for _ in range(3):
        request = link.drop()
        link.advance(25, settle=False)
        link.flight.clear()
        link.hand_over(request, "late")
        link.deliver()
    link.settle()
    link.check_established()


@pytest.mark.parametrize("bad", [(), (KE(36, bytes(1087)),), (KE(37, bytes(1568)),)], ids=["none", "short", "method"])
def test_a_bad_answer_ends_the_handshake(ladder, bad):
    link = ladder(*sides((HYBRID,), fragment_size=0))
    link.initiate()
    link.deliver()
    link.deliver()
    request = link.drop()
    link.reply(request, bad)
    assert link.a.states() == []
    (event,) = link.a.happened(InitiationFailed)
    assert event.reason in ("bad-public-value", "wrong-key-exchange")


def test_a_ciphertext_that_was_tampered_with_shows_at_once(ladder):
    link = ladder(*sides((HYBRID,), fragment_size=0))
    link.initiate()
    link.deliver()
    link.deliver()
    request = link.drop()
    link.reply(request, [KE(36, bytes(1088))])
    # Implicit rejection: a goes on with another secret, and b cannot read a word.
    assert link.a.states() == ["authenticating"]
    link.settle()
    assert link.b.count("integrity-check-failed") > 0
    link.advance(40)
    assert link.a.states() == link.b.states() == []


def test_a_refused_exchange_ends_the_handshake(ladder):
    link = ladder(*sides((HYBRID,), fragment_size=0))
    link.initiate()
    link.deliver()
    link.deliver()
    link.reply(link.drop(), [Notify(NotifyType.NO_PROPOSAL_CHOSEN)])
    (event,) = link.a.happened(InitiationFailed)
    assert event.reason == "peer-said-no-proposal-chosen"


def test_the_exchange_has_no_place_later(ladder):
    link = ladder(*sides((HYBRID,))).establish()
    assert link.say(link.a, [KE(36, bytes(1184))], ExchangeType.IKE_INTERMEDIATE) is None
    assert link.b.count("unexpected-request") == 1


def test_secrets_are_wiped(ladder):
    link = ladder(*sides((HYBRID,), fragment_size=0))
    link.initiate()
    link.deliver()
    link.deliver()
    sa = next(iter(link.a.table.sas()))
    old = [sa.sk_d, sa.shake.sk_pi, sa.shake.sk_pr]
    link.settle()
    assert [len(secret) for secret in old] == [0, 0, 0]


def test_a_ticket_carries_the_strength_of_both_key_exchanges(resuming):
    """RFC 5723: no key exchange is made again, and SK_d has both in it; the next rekey makes both anew."""
    link = resuming(**resumable(ike=(HYBRID,))).establish()
    crash(link)
    before = len(link.sent)
    link.initiate()
    link.settle()
    assert ExchangeType.IKE_SESSION_RESUME in {packet.header.exchange for packet in link.sent[before:]}
    assert ExchangeType.IKE_INTERMEDIATE not in {packet.header.exchange for packet in link.sent[before:]}
    link.check_established()
    assert link.a.status().suite == HYBRID
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    link.settle()
    link.check_established()
    assert link.a.status().suite == HYBRID
