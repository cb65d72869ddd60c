"""IKE_FOLLOWUP_KE: rekeys and further Child SAs with additional key exchanges (RFC 9370 section 2.2.4)."""

from dataclasses import replace

import pytest
from ladder_net import LOSE
from ladder_world import child, config, connection

from rhp.crypto import keyexchange
from rhp.ike.events import ChildClosed, ChildEstablished, ChildFailed, ChildRekeyed, IkeClosed, IkeRekeyed
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.ke import KE
from rhp.wire.notify import Notify
from rhp.wire.sa import SA

IKE = "aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_mlkem1024"
ESP = "aes128gcm16-x25519-ke1_mlkem768-ke3_ecp256"
CHANGE, FOLLOW = ExchangeType.CREATE_CHILD_SA, ExchangeType.IKE_FOLLOWUP_KE
LINK = NotifyType.ADDITIONAL_KEY_EXCHANGE


@pytest.fixture
def up(ladder):
    """Two sides whose messages are not in fragments, so that each is one packet."""
    children = (child(esp=(ESP,)),)
    link = ladder(
        config(connection("a@x", "b@x", ike=(IKE,), children=children), fragment_size=0),
        config(connection("b@x", "a@x", ike=(IKE,), children=children), fragment_size=0),
    )
    link.establish()
    link.advance(1)
    return link


def rekey_ike(link, side):
    link.call(side, "rekey_ike", side.status().ike_id)


def rekey_child(link, side):
    link.call(side, "rekey_child", side.child().child_id)


def further_child(link, side):
    link.call(side, "create_child", side.status().ike_id, "ethernet")


WAYS = (rekey_ike, rekey_child, further_child)
ROLES = pytest.mark.parametrize("name", ["a", "b"])
EVERY = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


def side_of(link, name):
    return link.a if name == "a" else link.b


def children_after(way):
    return 2 if way is further_child else 1


def check_done(link, way):
    """What was asked for is there, on both sides, and works."""
    assert link.flight == []
    link.check_established(children=children_after(way))
    for side in link.sides:
        assert len(side.happened(IkeRekeyed)) == (way is rekey_ike)
        assert len(side.happened(ChildRekeyed)) == (way is rekey_child)
        assert len(side.happened(ChildEstablished)) == children_after(way)
        assert not side.happened(ChildFailed, ChildClosed, IkeClosed)
        assert all(not sa.linked for sa in side.table.sas())
    assert link.a.status().suite == IKE
    if way is not rekey_ike:
        assert link.a.status().children[-1].suite == f"{ESP}-esn"
    # The new keys serve in both directions.
    for side in link.sides:
        further = link.say(side, [])
        assert further is not None and further.payloads == ()


@EVERY
@ROLES
def test_each_key_exchange_has_its_exchange(up, way, name):
    side = side_of(up, name)
    other = up.other(side)
    before = len(up.sent)
    pairs = set(other.sas)
    way(up, side)

    # side --- CREATE_CHILD_SA: SA(.. ADDKE), Ni, KE(x25519) ---> other
    message = up.read(up.deliver())
    assert message.exchange == CHANGE and message.first(KE).method == 31

    # side <--- SA, Nr, KE(x25519), N(ADDITIONAL_KEY_EXCHANGE)(link) --- other: nothing is there yet
    message = up.read(up.deliver())
    link = message.notify(LINK).data
    assert message.first(KE).method == 31
    assert set(other.sas) == pairs and other.happened(IkeRekeyed) == []
    assert len(side.table.by_id(side.status().ike_id).queue or ()) == 0

    # side --- IKE_FOLLOWUP_KE: KE(ML-KEM-768), N(..)(link) ---> other
    message = up.read(up.deliver())
    assert message.exchange == FOLLOW and message.notify(LINK).data == link
    assert (message.first(KE).method, len(message.first(KE).data)) == (36, 1184)

    # side <--- KE(ciphertext), N(..)(another link) --- other
    message = up.read(up.deliver())
    assert (message.first(KE).method, len(message.first(KE).data)) == (36, 1088)
    assert message.notify(LINK).data != link
    assert set(other.sas) == pairs

    # side --- IKE_FOLLOWUP_KE: the last one ---> other, which has the new SA now
    message = up.read(up.deliver())
    assert message.first(KE).method == (37 if way is rekey_ike else 19)
    if way is rekey_ike:
        assert len(other.happened(IkeRekeyed)) == 1
    else:
        assert len(set(other.sas) - pairs) == 1
    assert side.happened(IkeRekeyed) == []

    # side <--- KE, and no link --- other
    assert up.read(up.deliver()).notify(LINK) is None
    up.settle()
    kinds = [packet.header.exchange for packet in up.sent[before:] if not packet.header.response]
    assert kinds[:3] == [CHANGE, FOLLOW, FOLLOW]
    check_done(up, way)


@EVERY
@ROLES
@pytest.mark.parametrize("index", range(6))
def test_lost_once(up, way, name, index):
    way(up, side_of(up, name))
    for _ in range(index):
        up.deliver()
    up.drop()
    up.advance(5)
    check_done(up, way)


@EVERY
@ROLES
@pytest.mark.parametrize("index", range(6))
def test_doubled(up, way, name, index):
    way(up, side_of(up, name))
    for _ in range(index):
        up.deliver()
    twin = up.flight[0]
    up.hand_over(twin, "twin")
    up.settle()
    up.hand_over(twin, "late")
    up.settle()
    check_done(up, way)


def test_all_of_it_in_fragments(ladder):
    children = (child(esp=(ESP,)),)
    link = ladder(
        config(connection("a@x", "b@x", ike=(IKE,), children=children), fragment_size=576),
        config(connection("b@x", "a@x", ike=(IKE,), children=children), fragment_size=576),
    ).establish()
    for way, side in ((rekey_child, link.a), (rekey_ike, link.b), (rekey_child, link.b), (rekey_ike, link.a)):
        link.advance(1)
        way(link, side)
        link.settle()
        link.check_established()
    assert max(len(packet.datagram) for packet in link.sent[2:]) <= 576 - 32


# Both sides at once, and other company.


@pytest.mark.parametrize("ways", [(one, other) for one in WAYS for other in WAYS],
                         ids=lambda ways: "-".join(way.__name__ for way in ways))  # fmt: skip
@pytest.mark.parametrize("steps", range(8))
def test_both_sides_at_once(up, ways, steps):
    """b begins when that many messages of a's have been delivered."""
    ways[0](up, up.a)
    for _ in range(steps):
        if up.flight:
            up.deliver()
    if up.b.states() == ["established"] and up.b.status().children[0].state == "installed" and len(up.b.sas) == 1:
        ways[1](up, up.b)
    up.settle()
    up.advance(60)
    assert up.flight == []
    assert up.a.states() == up.b.states() == ["established"]
    up.check_pairs()
    assert all(sa.outbound_active for side in up.sides for sa in side.sas.values())
    for side in up.sides:
        assert not side.happened(IkeClosed)
        assert all(not sa.linked for sa in side.table.sas())
        assert all(one.state == "installed" for one in side.status().children)


def test_a_change_of_ours_waits_for_the_peers(up):
    rekey_ike(up, up.a)
    up.deliver()
    before = len(up.sent)
    rekey_child(up, up.b)
    assert len(up.sent) == before
    # What is no change does not wait.
    up.call(up.b, "delete_child", up.b.child().child_id)
    assert up.sent[-1].header.exchange == ExchangeType.INFORMATIONAL
    up.settle()
    up.advance(30)
    assert up.a.states() == up.b.states() == ["established"]


def test_a_change_of_ours_begins_when_the_peer_does_not_go_on(up):
    rekey_ike(up, up.a)
    up.deliver()
    up.flight.clear()
    up.a.engine._ctx.timers._heap.clear()
    rekey_child(up, up.b)
    assert up.flight == []
    up.fate = lambda packet: LOSE
    up.advance(21)
    assert up.b.count("link-expired") == 1
    assert up.sent[-1].sender == "b" and up.sent[-1].header.exchange == CHANGE


def test_a_peer_that_has_lost_its_state_says_so_and_the_rekey_begins_again(up):
    for way in (rekey_child, rekey_ike):
        before = up.b.count("unknown-link")
        way(up, up.a)
        up.deliver()
        up.deliver()
        # The request is on its way for longer than b waits.
        late = up.drop()
        up.lost = lambda packet: packet.header.exchange == FOLLOW
        up.advance(21)
        up.lost = lambda packet: False
        up.hand_over(late, "late")
        up.settle()
        up.advance(30)
        assert up.b.count("unknown-link") == before + 1
        assert up.b.count("link-expired") >= 1
        assert not up.a.happened(IkeClosed) and not up.b.happened(IkeClosed)
        up.check_established()


@EVERY
def test_an_sa_that_ends_meanwhile_leaves_nothing(up, way):
    way(up, up.a)
    up.deliver()
    up.deliver()
    up.call(up.b, "close", up.b.status().ike_id)
    up.settle()
    up.advance(70)
    up.check_empty()


def test_a_child_that_is_deleted_meanwhile(up):
    rekey_child(up, up.a)
    up.deliver()
    up.deliver()
    up.deliver()
    up.call(up.b, "delete_child", up.b.child().child_id)
    up.settle()
    up.advance(30)
    assert up.a.states() == up.b.states() == ["established"]
    up.check_pairs()
    assert not up.a.count("internal-error") and not up.b.count("internal-error")


# What a hostile peer could send.


def begun(up, esp=ESP):
    """A CREATE_CHILD_SA request of a, forged; the link that b gives."""
    further_child(up, up.a)
    request = up.read(up.drop())
    up.a.sa().requests.close()
    up.a.engine._ctx.timers.cancel(up.a.sa().requests.timer)
    up.a.sa().turn = None
    answer = up.say(up.a, request.payloads, CHANGE, message_id=request.message_id)
    return answer.notify(LINK).data


def follow(up, *payloads):
    return up.say(up.a, payloads, FOLLOW)


@pytest.mark.parametrize("link", [b"", b"x" * 8, b"x" * 5000])
def test_an_unknown_link(up, link):
    answer = follow(up, KE(36, bytes(1184)), Notify(LINK, link))
    assert answer.notify(NotifyType.STATE_NOT_FOUND) is not None
    assert up.b.states() == ["established"]


def test_a_link_is_good_for_once(up):
    link = begun(up)
    assert follow(up, KE(19, bytes(64)), Notify(LINK, link)).notify(NotifyType.INVALID_SYNTAX) is not None
    assert up.b.states() == []


@pytest.mark.parametrize("payloads", [(), (KE(36, bytes(1184)),)], ids=["nothing", "no link"])
def test_incomplete(up, payloads):
    begun(up)
    assert follow(up, *payloads).notify(NotifyType.INVALID_SYNTAX) is not None
    up.advance(30)
    assert up.b.sas == {}


def test_many_beginnings_without_an_end(up):
    """Each is answered with a link at first, then the peer is told to finish what it has begun."""
    links = [begun(up), begun(up)]
    assert len(set(links)) == 2
    further_child(up, up.a)
    request = up.read(up.drop())
    answer = up.say(up.a, request.payloads, CHANGE, message_id=request.message_id)
    assert answer.notify(NotifyType.TEMPORARY_FAILURE) is not None
    assert len(up.b.sa().linked) == 2
    up.advance(21, settle=False)
    assert not up.b.sa().linked
    assert len(up.b.sas) == 1


def answered(up, way, index):
    """Deliver a's change up to its message of that index, which is not answered by b but by the test."""
    way(up, up.a)
    for _ in range(index):
        up.deliver()
    request = up.drop()
    answer = up.ask(up.b, request.datagram)
    return request, answer.payloads


@pytest.mark.parametrize(
    "change",
    [
        lambda ke: KE(ke.method, ke.data[:-1]),
        lambda ke: KE(37 if ke.method == 36 else 36, ke.data),
        lambda ke: None,
    ],
    ids=["short", "another method", "missing"],
)
@pytest.mark.parametrize("index", [2, 4], ids=["first", "last"])
def test_a_bad_answer_costs_a_child_only(up, change, index):
    request, payloads = answered(up, further_child, index)
    spoilt = [change(one) if isinstance(one, KE) else one for one in payloads]
    up.reply(request, [one for one in spoilt if one is not None])
    (event,) = up.a.happened(ChildFailed)
    assert event.reason in ("key-exchange-left-out", "incomplete-child", "peer-said-unknown-error")
    up.settle()
    up.advance(30)
    # What b may have installed is taken back.
    assert up.a.states() == up.b.states() == ["established"]
    up.check_pairs()
    assert len(up.a.sas) == 1


@pytest.mark.parametrize("index", [2, 4], ids=["first", "last"])
def test_a_bad_answer_ends_an_ike_sa_that_was_replaced(up, index):
    request, payloads = answered(up, rekey_ike, index)
    up.reply(request, [KE(one.method, b"short") if isinstance(one, KE) else one for one in payloads])
    assert up.a.states() == []
    (event,) = up.a.happened(IkeClosed)
    assert event.reason == "unusable-rekey"


def test_key_exchanges_that_the_answer_leaves_out(up):
    """The suite has three key exchanges, and there is no link to the second one."""
    request, payloads = answered(up, further_child, 0)
    up.reply(request, [one for one in payloads if not isinstance(one, Notify) or one.type != LINK])
    (event,) = up.a.happened(ChildFailed)
    assert event.reason == "key-exchange-left-out"
    up.flight.clear()


def test_an_answer_with_a_key_exchange_that_was_not_offered(up):
    request, payloads = answered(up, further_child, 0)
    (chosen,) = [one for one in payloads if isinstance(one, SA)]
    (proposal,) = chosen.proposals
    other = [replace(one, id=31) if one.type == 6 else one for one in proposal.transforms]
    spoilt = SA((replace(proposal, transforms=tuple(other)),))
    up.reply(request, [spoilt if one is chosen else one for one in payloads])
    for more in ([Notify(LINK, b"a link")], []):
        request = up.drop()
        public, _ = keyexchange.respond(*ke_of(up, request))
        up.reply(request, [KE(ke_of(up, request)[0], public), *more])
    (event,) = up.a.happened(ChildFailed)
    assert event.reason == "answer-not-offered"
    assert len(up.a.sas) == 1
    up.flight.clear()


def ke_of(up, request):
    ke = up.read(request).first(KE)
    return ke.method, ke.data


def test_a_secret_that_was_tampered_with_makes_other_keys(up):
    """Implicit rejection of ML-KEM: both sides install, and nothing gets through, neither one way nor the other."""
    request, payloads = answered(up, further_child, 2)
    up.reply(request, [KE(36, bytes(1088)) if isinstance(one, KE) else one for one in payloads])
    up.settle()
    new = [sa for sa in up.a.sas.values() if sa.child_id != min(one.child_id for one in up.a.sas.values())]
    (sa,) = new
    assert up.b.sas[sa.spi_out].encr_in != sa.encr_out


def test_deletes_follow(up):
    rekey_child(up, up.a)
    up.settle()
    assert any(up.read(packet).all(Delete) for packet in up.sent[-2:])
