"""Rekey of a Child SA: new keys, the same lineage, traffic that always has a pair, and the old pair deleted once."""

import pytest
from ladder_wishes import SIDES, sides
from ladder_world import child, config, connection

from rhp.ike.errors import Fault, LocalError
from rhp.ike.events import ChildClosed, ChildEstablished, ChildFailed, ChildRekeyed, IkeClosed
from rhp.wire.delete import Delete
from rhp.wire.iana import NotifyType, Protocol
from rhp.wire.ke import KE
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.sa import SA
from rhp.wire.ts import TSi, TSr


@SIDES
def test_rekey(ladder, who):
    link = ladder().establish()
    link.advance(5)
    one, other = sides(link, who)
    old_one, old_other = one.child(), other.child()

    # one --- CREATE_CHILD_SA: N(REKEY_SA, its inbound SPI), SA, Ni, TSi, TSr ---> other
    link.call(one, "rekey_child", old_one.child_id)
    request = link.read(link.flight[0])
    assert request.notify(NotifyType.REKEY_SA).spi == old_one.spi_in.to_bytes(4)
    assert request.notify(NotifyType.REKEY_SA).protocol == Protocol.ESP
    assert request.notify(NotifyType.USE_TRANSPORT_MODE) is not None
    assert all(request.first(kind) is not None for kind in (SA, Nonce, TSi, TSr))
    link.deliver()

    # other has both pairs, receives on both, and sends on the old one.
    assert len(other.sas) == 2 and len(one.sas) == 1
    new_other = next(sa for sa in other.sas.values() if sa.spi_in != old_other.spi_in)
    assert not new_other.outbound_active
    assert (new_other.replaces, new_other.child_id) == (old_other.spi_in, old_other.child_id)
    assert [pair.state for pair in other.status().children] == ["rekeyed", "installed"]

    # one <--- SA, Nr, TSi, TSr --- other; one sends on the new pair at once
    link.deliver()
    new_one = next(sa for sa in one.sas.values() if sa.spi_in != old_one.spi_in)
    assert new_one.outbound_active and new_one.child_id == old_one.child_id
    assert len(one.sas) == 2

    # one --- INFORMATIONAL: D(old) ---> other, which moves to the new pair and lets the old one go
    assert link.read(link.flight[0]).payloads == (Delete(Protocol.ESP, (old_one.spi_in.to_bytes(4),)),)
    link.deliver()
    assert list(other.sas) == [new_other.spi_in] and other.child().outbound_active

    # one <--- D(other half) --- other
    assert link.read(link.flight[0]).payloads == (Delete(Protocol.ESP, (old_other.spi_in.to_bytes(4),)),)
    link.deliver()
    assert link.flight == []
    link.check_established()
    assert link.a.gone and link.b.gone and len(link.a.gone) == len(link.b.gone) == 1
    for side in link.sides:
        (event,) = side.happened(ChildRekeyed)
        assert event.spi_in == side.child().spi_in
        assert len(side.happened(ChildEstablished)) == 1
        assert side.happened(ChildClosed, ChildFailed, IkeClosed) == []


@SIDES
def test_keys_are_new_in_both_directions(ladder, who):
    link = ladder().establish()
    one, _ = sides(link, who)
    before = one.child()
    link.call(one, "rekey_child", before.child_id)
    link.settle()
    after = one.child()
    keys = {one.expose() for one in (before.encr_in, before.encr_out, after.encr_in, after.encr_out)}
    assert len(keys) == 4
    assert after.spi_in != before.spi_in and after.spi_out != before.spi_out
    assert (after.local_ts, after.remote_ts, after.mode) == (before.local_ts, before.remote_ts, before.mode)


def test_traffic_on_the_new_pair_moves_the_other_side(ladder):
    link = ladder().establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.deliver()
    link.deliver()
    new = max(link.b.sas)
    assert not link.b.sas[new].outbound_active
    link.call(link.b, "first_inbound", new)
    assert link.b.sas[new].outbound_active
    # Once is enough, and an unknown SPI is nobody's.
    link.call(link.b, "first_inbound", new)
    link.call(link.b, "first_inbound", 0xDEAD)
    link.settle()
    link.check_established()


def test_with_a_fresh_key_exchange(ladder):
    children = (child(esp=("aes128gcm16-x25519",)),)
    link = ladder(
        config(connection("a@x", "b@x", children=children)), config(connection("b@x", "a@x", children=children))
    ).establish()
    link.call(link.b, "rekey_child", link.b.child().child_id)
    request, answer = link.read(link.deliver()), link.read(link.flight[0])
    assert request.first(KE).method == answer.first(KE).method == 31
    link.settle()
    link.check_established()
    assert link.a.child().suite.key_exchange == 31


def test_invalid_ke(ladder):
    a = config(connection("a@x", "b@x", children=(child(esp=("aes128gcm16-x25519-ecp256",)),)))
    b = config(connection("b@x", "a@x", children=(child(esp=("aes128gcm16-ecp256",)),)))
    link = ladder(a, b).establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.settle()
    link.check_established()
    assert link.b.count("invalid-ke") == 1
    assert link.a.child().suite.key_exchange == 19
    assert len(link.a.happened(ChildRekeyed)) == 1


def test_soft_lifetime(ladder):
    children = (child(rekey_time=100, life_time=150),)
    link = ladder(
        config(connection("a@x", "b@x", children=children)),
        config(connection("b@x", "a@x", children=(child(rekey_time=0, life_time=0),))),
    ).establish()
    link.advance(89.9)
    assert link.a.happened(ChildRekeyed) == []
    link.advance(10.2)
    assert len(link.a.happened(ChildRekeyed)) == len(link.b.happened(ChildRekeyed)) == 1
    link.check_established()
    link.advance(1000)
    assert 9 <= len(link.a.happened(ChildRekeyed)) <= 13
    link.check_established()


def test_hard_lifetime(ladder):
    children = (child(rekey_time=0, life_time=150),)
    link = ladder(a=config(connection("a@x", "b@x", children=children))).establish()
    link.advance(149)
    assert len(link.a.sas) == 1
    link.advance(2)
    link.check_established(children=0)
    (closed,) = link.a.happened(ChildClosed)
    assert (closed.reason, closed.fault) == ("lifetime", Fault.NONE)
    assert link.b.happened(ChildClosed)[0].reason == "deleted-by-peer"


def test_data_plane_asks_for_a_rekey(ladder):
    link = ladder().establish()
    spi = link.b.child().spi_in
    link.call(link.b, "sa_limit", spi)
    # While that runs, the data plane may say it again.
    link.call(link.b, "sa_limit", spi)
    link.call(link.b, "sa_limit", 0xDEAD)
    link.settle()
    link.call(link.b, "sa_limit", spi)
    link.settle()
    link.check_established()
    assert len(link.b.happened(ChildRekeyed)) == 1


def test_refused_for_now_and_tried_again(ladder):
    link = ladder().establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    request = link.drop()
    link.reply(request, [Notify(NotifyType.TEMPORARY_FAILURE)])
    assert link.a.status().children[0].state == "installed"
    assert link.flight == []
    link.advance(4)
    link.check_established()
    assert len(link.a.happened(ChildRekeyed)) == 1
    assert link.a.happened(ChildFailed) == []


def test_peer_has_lost_the_child(ladder):
    # CHILD_SA_NOT_FOUND: the pair is worth nothing, so a new lineage takes its place (section 2.25).
    link = ladder().establish()
    old = link.a.child()
    link.call(link.a, "rekey_child", old.child_id)
    request = link.drop()
    link.reply(request, [Notify(NotifyType.CHILD_SA_NOT_FOUND, b"", Protocol.ESP, old.spi_in.to_bytes(4))])
    (closed,) = link.a.happened(ChildClosed)
    assert (closed.reason, closed.fault) == ("lost-by-peer", Fault.PEER)
    link.settle()
    assert len(link.a.sas) == 1
    assert link.a.child().child_id != old.child_id


def test_rekey_of_a_child_that_is_not_there(ladder):
    link = ladder().establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    request = link.read(link.drop())
    link.a.sa().requests.next_id -= 0
    payloads = [
        Notify(NotifyType.REKEY_SA, b"", 3, b"\xde\xad\xbe\xef")
        if isinstance(one, Notify) and one.type == 16393
        else one
        for one in request.payloads
    ]
    answer = link.ask(link.b, link.forge(link.a, payloads, 36, message_id=request.message_id))
    notify = answer.notify(NotifyType.CHILD_SA_NOT_FOUND)
    assert (notify.protocol, notify.spi) == (Protocol.ESP, b"\xde\xad\xbe\xef")
    assert len(link.b.sas) == 1
    assert link.b.states() == ["established"]


def test_busy_child_is_not_rekeyed_twice(ladder):
    link = ladder().establish()
    child_id = link.a.child().child_id
    link.call(link.a, "rekey_child", child_id)
    with pytest.raises(LocalError) as caught:
        link.call(link.a, "rekey_child", child_id)
    assert caught.value.reason == "child-busy"
    link.settle()
    link.check_established()
    assert len(link.a.happened(ChildRekeyed)) == 1


def test_rekey_queued_twice_happens_once(ladder):
    # Both wait behind another exchange; the second one has lost its purpose when its turn comes.
    link = ladder().establish()
    link.call(link.a, "create_child", link.a.status().ike_id, "ethernet")
    child_id = link.a.child().child_id
    link.call(link.a, "rekey_child", child_id)
    link.call(link.a, "rekey_child", child_id)
    link.settle()
    link.check_established(children=2)
    assert len(link.a.happened(ChildRekeyed)) == 1


def test_answer_that_was_not_offered(ladder):
    # The new pair is refused and the peer told to forget it; the old one stays and is tried again.
    link = ladder().establish()
    old = link.a.child()
    link.call(link.a, "rekey_child", old.child_id)
    request = link.deliver()
    answer = link.read(link.drop())
    payloads = [one for one in answer.payloads if not isinstance(one, TSr)]
    link.reply(request, payloads)
    assert list(link.a.sas) == [old.spi_in]
    link.settle()
    assert len(link.b.sas) == 1
    assert link.a.states() == link.b.states() == ["established"]
