"""Both sides replace the same SA at once, with additional key exchanges (RFC 9370 section 2.2.4).

    a --- CREATE_CHILD_SA: N1 ---> . <--- CREATE_CHILD_SA: N2 --- b
    a <--- N3, link --- . --- N4, link ---> b: nothing is made yet, and the four nonces tell
    IKE_FOLLOWUP_KE goes on for the one without the lowest nonce; the other one ends here

The seeds make one side's exchange hold the lowest nonce in some runs and the other side's in others.
"""

import pytest
from ladder_net import LOSE
from ladder_wishes import SIDES, delete_child, held_up, rekey_child, rekey_ike, sides
from ladder_world import ESP_PROPOSAL, IKE_PROPOSAL, child, config, connection, tunnel

from rhp.ike.events import ChildClosed, ChildEstablished, ChildFailed, ChildRekeyed, IkeClosed, IkeRekeyed
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.ke import KE
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify

SEEDS = pytest.mark.parametrize("seed", range(1, 7))
WAYS = pytest.mark.parametrize("way", [rekey_child, rekey_ike], ids=["child", "ike"])
IKE, ESP = f"{IKE_PROPOSAL}-ke1_mlkem768", f"{ESP_PROPOSAL}-x25519-ke1_mlkem768"
PLAIN_ESP = f"{ESP_PROPOSAL}-x25519"
CHANGE, FOLLOW = ExchangeType.CREATE_CHILD_SA, ExchangeType.IKE_FOLLOWUP_KE


def hybrid(ladder, seed=1, **more):
    """Two sides that know nothing but hybrid suites; each message is one packet."""
    more.setdefault("children", (child(esp=(ESP,)),))
    link = ladder(
        config(connection("a@x", "b@x", ike=(IKE,), **more), fragment_size=0),
        config(connection("b@x", "a@x", ike=(IKE,), **more), fragment_size=0),
        seed=seed,
    ).establish()
    link.began = len(link.sent)
    return link


def mixed(ladder, seed=1):
    """What a begins has no further key exchange, because b prefers that; what b begins has one."""
    ike, esp = (IKE, IKE_PROPOSAL), (ESP, PLAIN_ESP)
    link = ladder(
        config(connection("a@x", "b@x", ike=ike, children=(child(esp=esp),)), fragment_size=0),
        config(connection("b@x", "a@x", ike=ike[::-1], children=(child(esp=esp[::-1]),)), fragment_size=0),
        seed=seed,
    ).establish()
    link.began = len(link.sent)
    return link


def cross(link, way):
    """Both requests and both answers; who made the exchange that stays, and the other one."""
    way(link, link.a)
    way(link, link.b)
    requests = list(link.flight)
    link.deliver()
    link.deliver()
    answers = list(link.flight)
    of_a, of_b = (min(nonce(link, one), nonce(link, other)) for one, other in zip(requests, answers, strict=True))
    link.deliver()
    link.deliver()
    return (link.b, link.a) if of_a < of_b else (link.a, link.b)


def nonce(link, packet):
    return link.read(packet).first(Nonce).data


def requests(link, side=None, exchange=None):
    """The requests since the beginning, of one side and of one kind."""
    found = [packet for packet in link.sent[link.began :] if not packet.header.response]
    if side is not None:
        found = [packet for packet in found if packet.sender == side.name]
    return [packet for packet in found if exchange in (None, packet.header.exchange)]


def answers_with(link, kind):
    return [packet for packet in link.sent[link.began :] if link.read(packet).notify(kind) is not None]


def check_over(link, way, begun=2, rekeys=1):
    """One SA is left on each side, replaced so many times, without a message that nobody needed and without delay."""
    assert link.flight == []
    link.check_established()
    assert len(requests(link, exchange=CHANGE)) == begun
    assert answers_with(link, NotifyType.TEMPORARY_FAILURE) == []
    assert answers_with(link, NotifyType.STATE_NOT_FOUND) == []
    for side in link.sides:
        assert side.happened(ChildClosed, ChildFailed, IkeClosed) == []
        assert len(side.happened(ChildEstablished)) == 1
        assert len(side.happened(ChildRekeyed if way is rekey_child else IkeRekeyed)) == rekeys
        assert side.child().outbound_active
        assert not side.sa().linked and side.sa().rival is None
    # It is over: nobody comes back for anything.
    sent = len(link.sent)
    link.advance(80)
    assert len(link.sent) == sent
    link.check_established()


@WAYS
@SEEDS
def test_the_nonces_tell_who_goes_on(ladder, way, seed):
    link = hybrid(ladder, seed)
    old = {side.name: side.child().spi_in for side in link.sides}
    stays, goes = cross(link, way)

    # The one goes on, the other one has nothing to delete and says nothing.
    (packet,) = link.flight
    assert packet.sender == stays.name and packet.header.exchange == FOLLOW
    assert goes.count("rekey-gave-way") == 1 and stays.count("rekey-gave-way") == 0
    for side in link.sides:
        assert side.count(f"{'child' if way is rekey_child else 'ike'}-rekeys-crossed") == 1
        assert list(side.sas) == [old[side.name]] and side.child().outbound_active
    # What it had begun has no place any more on the other side.
    assert not stays.sa().linked and len(goes.sa().linked) == 1

    link.settle()
    assert requests(link, goes, FOLLOW) == []
    (last,) = [packet for packet in requests(link) if link.read(packet).all(Delete)]
    assert last.sender == stays.name
    check_over(link, way)


@WAYS
@SEEDS
def test_one_side_has_further_key_exchanges_and_the_other_has_none(ladder, way, seed):
    link = mixed(ladder, seed)
    old = {side.name: side.child().spi_in for side in link.sides}
    stays, _ = cross(link, way)

    follows = [packet for packet in link.flight if packet.header.exchange == FOLLOW]
    deletes = [packet for packet in link.flight if packet.header.exchange == ExchangeType.INFORMATIONAL]
    if stays is link.a:
        # a's is done with its answer, b does not go on: a deletes the old one.
        assert follows == [] and [packet.sender for packet in deletes] == ["a"]
        assert link.b.count("rekey-gave-way") == 1
    else:
        # b goes on, and a deletes what it has got; the old pair serves meanwhile.
        assert [packet.sender for packet in follows] == ["b"] and [packet.sender for packet in deletes] == ["a"]
        for side in link.sides:
            assert side.sas[old[side.name]].outbound_active
            assert side.status().children[0].state in ("installed", "rekeying")
    link.settle()
    assert requests(link, link.a, FOLLOW) == []
    for side in link.sides:
        assert old[side.name] not in side.sas or way is rekey_ike
    if way is rekey_ike:
        check_over(link, way)
        return
    # The port has seen one pair more on the side that granted it.
    assert [len(side.happened(ChildRekeyed)) for side in link.sides] == ([1, 1] if stays is link.a else [1, 2])
    link.check_established()
    assert all(side.child().outbound_active for side in link.sides)
    assert answers_with(link, NotifyType.TEMPORARY_FAILURE) == []


@WAYS
@SEEDS
@SIDES
def test_one_request_is_late(ladder, way, seed, who):
    """The other side has gone on when it comes: it is refused, and whoever sent it has nothing to wait for."""
    link = hybrid(ladder, seed)
    one, other = sides(link, who)
    late = held_up(link, way, one, other)
    # other --- IKE_FOLLOWUP_KE ---> . <--- the request of one
    assert link.flight[0].header.exchange == FOLLOW
    link.hand_over(late)
    assert link.read(link.flight[-1]).notify(NotifyType.TEMPORARY_FAILURE) is not None
    link.settle()
    link.check_established()
    assert one.count("peer-busy") == 0
    sent = len(requests(link, exchange=CHANGE))
    link.advance(80)
    assert len(requests(link, exchange=CHANGE)) == sent == 2
    for side in link.sides:
        assert len(side.happened(ChildRekeyed, IkeRekeyed)) == 1
        assert side.happened(ChildFailed, ChildClosed, IkeClosed) == []


@WAYS
@SEEDS
@SIDES
def test_one_answer_is_late(ladder, way, seed, who):
    """The answer to one's request comes when the peer's rekey is over, or has not gone on: the nonces tell the same."""
    link = hybrid(ladder, seed)
    one, other = sides(link, who)
    way(link, one)
    way(link, other)
    link.deliver()
    link.deliver()
    index = 0 if link.flight[0].sender == other.name else 1
    late = link.flight.pop(index)
    link.settle()
    link.hand_over(late, "late")
    link.settle()
    check_over(link, way)


@WAYS
@SEEDS
def test_who_should_go_on_does_not(ladder, way, seed):
    """The one that has stopped begins anew when the peer's time is over."""
    link = hybrid(ladder, seed)
    stays, goes = cross(link, way)
    link.flight.clear()
    sa = stays.sa()
    stays.engine._ctx.timers.cancel(sa.requests.timer)
    link.advance(19)
    assert requests(link, goes, FOLLOW) == [] and len(requests(link, goes, CHANGE)) == 1
    link.advance(2, settle=False)
    assert goes.count("link-expired") == 1
    # Once, and perhaps again because nobody answers.
    assert len({packet.datagram for packet in link.flight}) == 1
    assert link.flight[0].sender == goes.name and link.flight[0].header.exchange == CHANGE
    assert goes.happened(ChildFailed) == []


@WAYS
@SEEDS
def test_who_should_stop_goes_on(ladder, way, seed):
    """A peer that goes on with the lowest nonce finds that nothing waits for it."""
    link = hybrid(ladder, seed)
    way(link, link.a)
    way(link, link.b)
    link.deliver()
    link.deliver()
    links = {packet.sender: link.read(packet).notify(NotifyType.ADDITIONAL_KEY_EXCHANGE) for packet in link.flight}
    link.deliver()
    link.deliver()
    stays = link.a if link.a.count("rekey-gave-way") == 0 else link.b
    goes = link.other(stays)
    answer = link.say(goes, [KE(36, bytes(1184)), links[stays.name]], FOLLOW)
    assert answer.notify(NotifyType.STATE_NOT_FOUND) is not None
    assert stays.count("unknown-link") == 1


@WAYS
def test_a_peer_that_has_lost_its_state_is_asked_again_soon(ladder, way):
    link = hybrid(ladder)
    way(link, link.a)
    link.deliver()
    link.deliver()
    link.reply(link.drop(), [Notify(NotifyType.STATE_NOT_FOUND)])
    assert link.a.happened(ChildFailed) == []
    link.advance(4)
    assert len(requests(link, link.a, CHANGE)) == 2
    assert len(link.a.happened(ChildRekeyed, IkeRekeyed)) == 1


@SEEDS
def test_rekeys_of_different_children_do_not_wait_for_each_other(ladder, seed):
    ethernet, here, there = child(esp=(ESP,)), ("10.1.0.0/16",), ("10.2.0.0/16",)
    of_a, of_b = tunnel(local=here, remote=there, esp=(ESP,)), tunnel(local=there, remote=here, esp=(ESP,))
    link = ladder(
        config(connection("a@x", "b@x", ike=(IKE,), children=(ethernet, of_a)), fragment_size=0),
        config(connection("b@x", "a@x", ike=(IKE,), children=(ethernet, of_b)), fragment_size=0),
        seed=seed,
    ).establish()
    link.call(link.a, "create_child", link.a.status().ike_id, "net")
    link.settle()
    link.began = len(link.sent)
    for side, name in zip(link.sides, ("ethernet", "net"), strict=True):
        (wanted,) = [one.child_id for one in side.status().children if one.name == name]
        link.call(side, "rekey_child", wanted)
    link.settle()
    link.check_established(children=2)
    assert answers_with(link, NotifyType.TEMPORARY_FAILURE) == []
    assert [len(side.happened(ChildRekeyed)) for side in link.sides] == [2, 2]


@SIDES
@SEEDS
def test_the_child_is_deleted_meanwhile(ladder, who, seed):
    link = hybrid(ladder, seed)
    cross(link, rekey_child)
    one, _ = sides(link, who)
    delete_child(link, one)
    link.settle()
    link.advance(60)
    link.check_established(children=0)
    assert all(not side.sa().linked for side in link.sides)


@pytest.mark.parametrize("lanes", [1, 2])
def test_same_lifetimes_without_jitter(ladder, lanes):
    """Both sides' clocks run out at the very same moment, again and again: nothing is lost, and nobody is put off."""
    more = {"ike": (IKE,), "children": (child(esp=(ESP,), rekey_time=100, life_time=130),)}
    more |= {"jitter": 0, "rekey_time": 270, "life_time": 330}
    link = ladder(
        config(connection("a@x", "b@x", **more), lanes=lanes), config(connection("b@x", "a@x", **more), lanes=lanes)
    ).establish()
    link.advance(20)
    rekeyed = 0
    for _ in range(600):
        link.advance(2)
        assert link.a.states() == link.b.states() == ["established"]
        # Each side sends on something that the other one opens.
        for side in link.sides:
            sent_on = [sa.spi_out for sa in side.sas.values() if sa.outbound_active]
            assert sent_on and set(sent_on) <= set(link.other(side).sas)
    link.advance(6)
    link.check_established(children=lanes)
    for side in link.sides:
        rekeyed += len(side.happened(ChildRekeyed, IkeRekeyed))
        assert side.count("child-rekeys-crossed") >= 9 and side.count("ike-rekeys-crossed") >= 3
        assert side.count("peer-busy") == 0
        assert side.happened(ChildClosed, ChildFailed, IkeClosed) == []
    assert rekeyed >= 26


@pytest.mark.parametrize("spoilt", [KE(36, bytes(1184)), KE(36, b"short"), KE(19, bytes(64))],
                         ids=["no key", "short", "another method"])  # fmt: skip
def test_secrets_go_where_a_key_exchange_fails(ladder, spoilt):
    link = hybrid(ladder, children=(child(esp=(f"{ESP_PROPOSAL}-x25519-ke1_ecp256-ke2_mlkem768",)),))
    rekey_child(link, link.a)
    for _ in range(3):
        link.deliver()
    (waiting,) = link.b.sa().linked.values()
    secrets = [waiting.first, *waiting.secrets]
    assert [len(secret) for secret in secrets] == [32, 32]
    link.deliver()
    request = link.read(link.drop())
    wrong = [spoilt if isinstance(one, KE) else one for one in request.payloads]
    sealed = link.forge(link.a, wrong, FOLLOW, message_id=request.message_id)
    answer = link.ask(link.b, sealed)
    if spoilt.data == bytes(1184):
        # Zeros are a key of ML-KEM as good as any: then the secrets have been used, and go as well.
        assert answer.first(KE) is not None
    else:
        assert answer.notify(NotifyType.INVALID_SYNTAX) is not None
    assert [len(secret) for secret in secrets] == [0, 0]


def test_secrets_go_when_nothing_comes_of_it(ladder):
    link = hybrid(ladder)
    rekey_child(link, link.a)
    link.deliver()
    (waiting,) = link.b.sa().linked.values()
    link.fate = lambda packet: LOSE
    link.advance(21)
    assert link.b.count("link-expired") == 1
    assert len(waiting.first) == 0
