"""Rekey of an IKE SA: new SPIs and keys, the same children untouched, the old one deleted once."""

from ladder_net import LOSE
from ladder_wishes import SIDES, sides
from ladder_world import config, connection

from rhp.ike.effects import InstallSA
from rhp.ike.errors import Fault
from rhp.ike.events import ChildClosed, ChildRekeyed, EngineFault, IkeClosed, IkeEstablished, IkeRekeyed
from rhp.wire.delete import Delete
from rhp.wire.iana import NotifyType, Protocol
from rhp.wire.ke import KE
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.sa import SA


@SIDES
def test_rekey(ladder, who):
    link = ladder().establish()
    link.advance(5)
    one, other = sides(link, who)
    old = one.status()
    pairs = dict(one.sas)

    # one --- CREATE_CHILD_SA: SA(IKE, new SPI), Ni, KE ---> other
    link.call(one, "rekey_ike", old.ike_id)
    request = link.read(link.flight[0])
    assert request.first(SA).proposals[0].protocol == Protocol.IKE
    assert len(request.first(SA).proposals[0].spi) == 8
    assert request.first(KE) is not None and request.first(Nonce) is not None
    link.deliver()
    assert len(other.table._by_spi) == 2
    assert len(other.engine.status()) == 1

    # one <--- SA(IKE, new SPI), Nr, KE --- other
    link.deliver()
    new = one.status()
    assert new.ike_id == old.ike_id
    assert {new.spi_i, new.spi_r}.isdisjoint({old.spi_i, old.spi_r})
    # Who rekeys is the initiator of the new IKE SA, whoever was that of the old one.
    assert (new.role, other.status().role) == ("initiator", "responder")
    assert new.peer == old.peer and new.path == old.path

    # one --- INFORMATIONAL on the old IKE SA: D(IKE) ---> other, and its empty answer
    delete = link.read(link.flight[0])
    assert delete.payloads == (Delete(Protocol.IKE, ()),)
    assert (delete.spi_i, delete.spi_r) == (old.spi_i, old.spi_r)
    link.deliver()
    assert link.read(link.flight[0]).payloads == ()
    link.deliver()
    assert link.flight == []
    link.check_established()
    assert len(one.table._by_spi) == len(other.table._by_spi) == 1

    # The children did not notice.
    assert one.sas == pairs
    for side in link.sides:
        assert side.gone == []
        assert len(side.happened(IkeRekeyed)) == 1
        assert len(side.happened(IkeEstablished)) == 1
        assert side.happened(IkeClosed, ChildClosed, ChildRekeyed) == []


@SIDES
def test_keys_are_new(ladder, who):
    link = ladder().establish()
    one, _ = sides(link, who)
    before = one.sa()
    old_sk_d, old_in, old_out = before.sk_d.expose(), before.cipher_in, before.cipher_out
    link.call(one, "rekey_ike", one.status().ike_id)
    link.settle()
    after = one.sa()
    assert after.sk_d.expose() != old_sk_d
    assert after.cipher_in is not old_in and after.cipher_out is not old_out
    # The old one is wiped.
    assert before.sk_d is None and before.cipher_in is None and before.cipher_out is None


def test_message_ids_begin_at_zero(ladder):
    link = ladder().establish()
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.settle()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    assert link.flight[0].header.message_id == 0
    # a is the responder of the new IKE SA.
    assert not link.flight[0].header.initiator
    link.settle()
    link.check_established()


def test_children_can_be_rekeyed_after_it(ladder):
    link = ladder().establish()
    for side in (link.b, link.a, link.b):
        link.call(side, "rekey_ike", side.status().ike_id)
        link.settle()
        for one in link.sides:
            link.call(one, "rekey_child", one.child().child_id)
            link.settle()
            link.check_established()
    assert len(link.a.happened(ChildRekeyed)) == 6
    link.call(link.a, "delete_child", link.a.child().child_id)
    link.settle()
    link.check_established(children=0)


def test_invalid_ke(ladder):
    a = config(connection("a@x", "b@x", ike=("aes128gcm16-prfsha256-x25519-ecp256",)))
    b = config(connection("b@x", "a@x", ike=("aes128gcm16-prfsha256-ecp256-x25519",)))
    link = ladder(a, b).establish()
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    request = link.drop()
    assert link.read(request).first(KE).method == 31
    link.reply(request, [Notify(NotifyType.INVALID_KE_PAYLOAD, b"\x00\x13")])
    assert link.read(link.flight[0]).first(KE).method == 19
    link.settle()
    link.check_established()
    assert link.a.status().suite == "aes128gcm16-prfsha256-ecp256"
    assert len(link.a.happened(IkeRekeyed)) == 1


def test_soft_lifetime(ladder):
    a = config(connection("a@x", "b@x", rekey_time=1000, life_time=1500))
    b = config(connection("b@x", "a@x", rekey_time=0, life_time=0))
    link = ladder(a, b).establish()
    link.advance(899)
    assert link.a.happened(IkeRekeyed) == []
    link.advance(102)
    assert len(link.a.happened(IkeRekeyed)) == len(link.b.happened(IkeRekeyed)) == 1
    link.check_established()


def test_hard_lifetime(ladder):
    link = ladder(a=config(connection("a@x", "b@x", rekey_time=0, life_time=300))).establish()
    link.advance(299)
    assert link.a.states() == ["established"]
    link.advance(2)
    assert link.a.states() == link.b.states() == []
    (closed,) = link.a.happened(IkeClosed)
    assert (closed.reason, closed.fault) == ("lifetime", Fault.NONE)
    assert link.a.sas == link.b.sas == {}


@SIDES
def test_delete_of_the_old_one_gets_lost_for_ever(ladder, who):
    link = ladder().establish()
    one, other = sides(link, who)
    link.call(one, "rekey_ike", one.status().ike_id)
    link.deliver()
    link.deliver()
    old = link.flight[0].header.spi_i
    link.fate = lambda packet: LOSE if packet.header.spi_i == old else "deliver"
    link.advance(70)
    # The one gives up, the other one does not wait for ever; the new IKE SA is as good as ever.
    assert len(one.table._by_spi) == len(other.table._by_spi) == 1
    link.check_established()
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []


@SIDES
def test_answer_that_cannot_be_used(ladder, who):
    # The peer believes in an IKE SA that we cannot use: both are lost, and both sides end with nothing.
    link = ladder().establish()
    one, other = sides(link, who)
    link.call(one, "rekey_ike", one.status().ike_id)
    request = link.deliver()
    answer = link.read(link.drop())
    link.reply(request, [payload for payload in answer.payloads if not isinstance(payload, KE)])
    link.settle()
    assert one.states() == []
    assert one.sas == {}
    (closed,) = one.happened(IkeClosed)
    assert closed.reason == "unusable-rekey"
    link.advance(200)
    assert other.states() == []
    assert other.sas == {}


def test_pending_work_moves_to_the_new_ike_sa(ladder):
    link = ladder().establish()
    ike_id = link.a.status().ike_id
    link.call(link.a, "rekey_ike", ike_id)
    link.call(link.a, "create_child", ike_id, "ethernet")
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.settle()
    link.check_established(children=2)
    assert len(link.a.happened(ChildRekeyed)) == 1
    # Only the DELETE travelled on the old one after the rekey.
    assert link.a.happened(EngineFault) == []


def test_closing_during_a_rekey(ladder):
    link = ladder().establish()
    ike_id = link.a.status().ike_id
    link.call(link.a, "rekey_ike", ike_id)
    link.call(link.a, "close", ike_id)
    link.settle()
    link.advance(70)
    assert link.a.states() == link.b.states() == []
    link.check_empty()
    assert len(link.a.happened(IkeClosed)) == len(link.b.happened(IkeClosed)) == 1


def test_nothing_is_installed_by_it(ladder):
    link = ladder().establish()
    effects = []
    apply = link.a.apply
    link.a.apply = lambda effect: (effects.append(effect), apply(effect))
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    link.settle()
    assert not any(isinstance(effect, InstallSA) for effect in effects)
