"""One peer, one IKE SA: a peer that starts anew replaces its old one, and two that begin at once end with one."""

import pytest
from ladder_net import LOSE
from ladder_world import config, connection, psk_policy

from rhp.guard.secrets import SecretStore
from rhp.ike.events import AuthenticationFailed, ChildEstablished, IkeClosed, IkeEstablished
from rhp.wire.delete import Delete
from rhp.wire.iana import NotifyType


def test_peer_starts_anew(ladder):
    link = ladder().establish()
    old = link.b.status()
    link.advance(100)
    link.a.restart()

    # a --- IKE_AUTH: .. N(INITIAL_CONTACT) ---> b, which forgets the old one without a DELETE
    link.initiate()
    link.deliver()
    link.deliver()
    assert link.read(link.flight[0]).notify(NotifyType.INITIAL_CONTACT) is not None
    link.settle()
    link.check_established()
    assert link.b.status().ike_id != old.ike_id
    (closed,) = link.b.happened(IkeClosed)
    assert (closed.ike_id, closed.reason) == (old.ike_id, "initial-contact")
    assert len(link.b.gone) == 1
    assert not any(link.reader.read(packet.datagram).all(Delete) for packet in link.sent)
    assert link.b.sizes()["ike"] == link.b.sizes()["peers"] == 1


def test_responder_starts_anew(ladder):
    link = ladder().establish()
    link.advance(100)
    link.b.restart()
    link.initiate(link.b)
    link.settle()
    link.check_established()
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["initial-contact"]


def test_old_one_stays_until_the_new_one_is_authenticated(ladder):
    # Anybody can send an IKE_SA_INIT, so only IKE_AUTH may replace anything.
    link = ladder().establish()
    old = link.b.status()
    link.a.restart()
    link.initiate()
    link.deliver()
    link.deliver()
    assert old.ike_id in [status.ike_id for status in link.b.engine.status()]
    assert link.b.happened(IkeClosed) == []
    assert len(link.b.sas) == 1


def test_wrong_key_replaces_nothing(ladder):
    link = ladder().establish()
    old = link.b.status()
    link.a.restart()

    link.a.guard = SecretStore(psk_policy(b"another key"))
    link.initiate()
    link.settle()
    assert [status.ike_id for status in link.b.engine.status()] == [old.ike_id]
    assert link.b.happened(IkeClosed) == []


def test_second_ike_sa_without_initial_contact(ladder):
    # a knows of the first one, so it does not say INITIAL_CONTACT; still only the newer one stays.
    link = ladder().establish()
    first = link.a.status().ike_id
    link.advance(100)
    link.initiate()
    link.deliver()
    link.deliver()
    assert link.read(link.flight[0]).notify(NotifyType.INITIAL_CONTACT) is None
    link.settle()
    link.advance(5)
    link.check_established()
    assert link.a.status().ike_id != first
    assert [event.ike_id for event in link.a.happened(IkeClosed)] == [first]


@pytest.mark.parametrize("seed", range(6))
def test_both_begin_at_once(ladder, seed):
    link = ladder(seed=seed)
    # a --- IKE_SA_INIT ---> . <--- IKE_SA_INIT --- b
    link.initiate(link.a)
    link.initiate(link.b)
    link.settle()
    link.advance(5)
    link.check_established()
    assert link.a.status().spi_i == link.b.status().spi_i
    assert len(link.a.happened(IkeClosed)) == len(link.b.happened(IkeClosed)) == 1
    link.advance(70)
    assert link.a.sizes()["ike"] == link.b.sizes()["ike"] == 1
    link.check_established()


@pytest.mark.parametrize("seed", range(30))
def test_both_begin_at_once_over_a_bad_network(ladder, seed):
    link = ladder(seed=seed)
    link.fate = lambda packet: LOSE if link.chance.random() < 0.3 else "deliver"
    link.initiate(link.a)
    link.advance(link.chance.random())
    link.initiate(link.b)
    for _ in range(8):
        link.chance.shuffle(link.flight)
        link.advance(1)
    link.fate = lambda packet: "deliver"
    link.advance(200)
    link.check_established()
    assert link.a.sizes()["ike"] == link.b.sizes()["ike"] == 1


def test_different_peers_of_one_connection_live_side_by_side(ladder):
    link = ladder(b=config(connection("b@x", "*@x")), c=config(connection("c@x", "b@x")))
    link.initiate(link.a)
    link.initiate(link.c, to=link.b)
    link.settle()
    assert link.b.states() == ["established"] * 2
    assert {str(status.peer.data) for status in link.b.engine.status()} == {"b'a@x'", "b'c@x'"}
    assert link.b.happened(IkeClosed) == []
    # One of them starts anew: the other one does not notice.
    link.a.restart()
    link.initiate(link.a)
    link.settle()
    assert link.b.states() == ["established"] * 2
    assert len(link.b.happened(IkeClosed)) == 1
    assert link.c.happened(IkeClosed) == []


def test_same_identity_from_elsewhere(ladder):
    # The same user on another machine: the newer one stays (section 2.4).
    link = ladder(b=config(connection("b@x", "*@x")), c=config(connection("a@x", "b@x")))
    link.initiate(link.a)
    link.settle()
    link.advance(60)
    link.initiate(link.c, to=link.b)
    link.settle()
    assert link.b.states() == link.c.states() == ["established"]
    assert link.b.status().path.remote.ip == link.c.address
    assert [event.reason for event in link.b.happened(IkeClosed)] == ["initial-contact"]
    # The other machine was not told; it finds out by its next check.
    link.advance(130)
    assert link.a.states() == []
    assert len(link.a.happened(IkeEstablished)) == 1


def test_reconnect_after_a_rekey(ladder):
    link = ladder().establish()
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.settle()
    link.a.restart()
    link.initiate()
    link.settle()
    link.advance(5)
    link.check_established()
    assert len(link.b.happened(IkeClosed)) == 1


def test_peer_starts_anew_during_a_rekey(ladder):
    link = ladder().establish()
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.deliver()
    link.flight.clear()
    link.a.restart()
    link.initiate()
    link.settle()
    link.advance(150)
    link.check_established()
    assert link.b.sizes()["ike"] == 1


def crowd(ladder, policy, **more):
    """a and c bear the same name, and b decides what becomes of that."""
    b = config(connection("b@x", "a@x", unique=policy, dpd_delay=0))
    return ladder(config(connection("a@x", "b@x", **more)), b, c=config(connection("a@x", "b@x", **more)))


def test_keep_refuses_the_same_peer_from_elsewhere(ladder):
    # c --- IKE_AUTH, without INITIAL_CONTACT ---> b, which has a: AUTHENTICATION_FAILED
    link = crowd(ladder, "keep", unique="never").establish()
    old = link.b.status().ike_id
    link.advance(60)
    link.initiate(link.c, to=link.b)
    link.settle()
    assert link.c.states() == []
    assert [one.ike_id for one in link.b.engine.status()] == [old]
    (failed,) = link.b.happened(AuthenticationFailed)
    assert failed.reason == "peer-is-here-already"
    assert len(link.b.happened(ChildEstablished)) == 1, "the new one never had a Child SA"
    assert len(link.a.sas) == len(link.b.sas) == 1
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []


def test_keep_lets_a_peer_come_back_where_it_was(ladder):
    # Then it is a renewal, or it has forgotten the old one.
    link = crowd(ladder, "keep", unique="never").establish()
    link.advance(60)
    link.a.restart()
    link.initiate()
    link.settle()
    link.advance(70)
    assert link.a.states() == link.b.states() == ["established"]
    assert len(link.a.sas) == len(link.b.sas) == 1
    link.check_pairs()


def test_keep_believes_a_peer_that_started_anew(ladder):
    # c --- IKE_AUTH: N(INITIAL_CONTACT) ---> b: what b keeps is nothing but a memory
    link = crowd(ladder, "keep").establish()
    link.advance(60)
    link.initiate(link.c, to=link.b)
    link.settle()
    assert link.b.states() == link.c.states() == ["established"]
    assert [event.reason for event in link.b.happened(IkeClosed)] == ["initial-contact"]


@pytest.mark.parametrize("seed", range(4))
def test_keep_and_both_begin_at_once(ladder, seed):
    a, b = (config(connection(*ends, unique="keep")) for ends in (("a@x", "b@x"), ("b@x", "a@x")))
    link = ladder(a, b, seed=seed)
    link.initiate(link.a)
    link.initiate(link.b)
    link.settle()
    link.advance(40)
    link.check_established()


def test_never_lets_all_live_side_by_side(ladder):
    # Several devices with one identity: none says INITIAL_CONTACT, and it would not be believed.
    link = crowd(ladder, "never", unique="never").establish()
    assert link.read(link.sent[2]).notify(NotifyType.INITIAL_CONTACT) is None
    link.advance(60)
    link.initiate(link.c, to=link.b)
    link.settle()
    link.advance(60)
    assert link.b.states() == ["established"] * 2
    assert len(link.b.sas) == 2
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == link.c.happened(IkeClosed) == []


def test_never_and_one_of_them_says_that_it_is_the_first(ladder):
    link = crowd(ladder, "never").establish()
    link.advance(60)
    link.initiate(link.c, to=link.b)
    link.settle()
    assert link.b.states() == ["established"] * 2


def test_never_and_each_is_renewed_where_it_is(ladder):
    link = crowd(ladder, "never", unique="never").establish()
    link.advance(60)
    link.initiate(link.c, to=link.b)
    link.settle()
    link.call(link.c, "reauthenticate", link.c.status().ike_id)
    link.settle()
    link.advance(70)
    assert link.b.states() == ["established"] * 2
    assert len(link.a.sas) == len(link.c.sas) == 1 and len(link.b.sas) == 2
    assert link.b.count("ike-reauthenticated") == 1
