"""Rekeys with a Rockhopper whose settings are not ours to know, those that cross, and what it does late or anew."""

import pytest
from ladder_rockhopper import IKE_SUITE
from ladder_world import child, config, connection
from test_rockhopper import ESP, STATION, Meeting, they_begin, we_begin

from rhp.crypto.proposal import default_esp_proposals, default_ike_proposals
from rhp.ike.events import ChildEstablished, ChildFailed, ChildRekeyed, IkeClosed, IkeEstablished, IkeRekeyed
from rhp.ike.maker import Maker
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, NotifyType, Protocol, TransformType
from rhp.wire.message import parse_message
from rhp.wire.notify import Notify
from rhp.wire.private import ROCKHOPPER_VENDOR_ID
from rhp.wire.sa import SA
from rhp.wire.vendor import Vendor

DEFAULT = tuple(one.name for one in default_esp_proposals())
DEFAULT_IKE = tuple(one.name for one in default_ike_proposals())


def meeting_with(ladder, *, ike=(IKE_SUITE,), esp=DEFAULT, pfs=True, vault=False):
    made = connection("a.test", "b.test", ike=ike, children=(child(esp=esp),), resumption=vault)
    net = ladder(config(made, station=STATION))
    if vault:
        net.a.keep_vault()
    return Meeting(net, pfs=pfs)


def they_rekey_the_child(meeting):
    meeting.other.rekey_child()
    meeting.other.delete(meeting.other.child_rekeyed(meeting.deliver()))
    meeting.other.open(meeting.deliver())


def we_rekey_the_child(meeting):
    meeting.net.call(meeting.side, "rekey_child", meeting.side.child().child_id)
    meeting.other.answer_child_rekey(meeting.request())
    assert meeting.other.acknowledge(meeting.deliver()).first(Delete) is not None
    assert meeting.deliver() is None


def they_rekey_the_ike_sa(meeting):
    meeting.other.rekey_ike()
    meeting.other.ike_rekeyed(meeting.deliver())
    assert meeting.deliver() is not None


def we_rekey_the_ike_sa(meeting):
    meeting.net.call(meeting.side, "rekey_ike", meeting.side.status().ike_id)
    meeting.other.answer_ike_rekey(meeting.request())
    meeting.other.acknowledge(meeting.deliver(), Delete(Protocol.IKE, ()))
    meeting.deliver()
    meeting.other.move_on()


def all_rekeys(meeting, suite):
    """Both kinds from both sides, each after each."""
    for rekey in (they_rekey_the_child, we_rekey_the_child, we_rekey_the_ike_sa, they_rekey_the_ike_sa) * 2:
        rekey(meeting)
        meeting.check_pair(suite)
    assert meeting.side.happened(ChildFailed, IkeClosed) == []
    assert len(meeting.side.happened(ChildRekeyed)) == len(meeting.side.happened(IkeRekeyed)) == 4


@pytest.mark.parametrize("pfs", [True, False], ids=["pfs", "no-pfs"])
@pytest.mark.parametrize("begin", [they_begin, we_begin], ids=["they-begin", "we-begin"])
def test_one_suite_is_all_that_has_to_be_named(ladder, begin, pfs):
    """The child's proposals are the default: X25519 is their first method, and an AEAD stands in front."""
    meeting = begin(meeting_with(ladder, pfs=pfs))
    all_rekeys(meeting, "aes256-sha")


def test_who_only_answers_has_to_name_nothing(ladder):
    """Our default for the IKE SA has proposals with additional key exchanges, none of which may be in a rekey."""
    meeting = they_begin(meeting_with(ladder, ike=DEFAULT_IKE))
    assert meeting.side.sa().agreed.name == "aes256-sha256-prfsha256-modp2048"
    all_rekeys(meeting, "aes256-sha")
    assert meeting.side.sa().agreed.name == "aes256-sha256-prfsha256-modp2048"


@pytest.mark.parametrize("pfs", [True, False], ids=["pfs", "no-pfs"])
@pytest.mark.parametrize("begin", [they_begin, we_begin], ids=["they-begin", "we-begin"])
def test_a_child_without_a_group_takes_its_group(ladder, begin, pfs):
    """Its realm wants a fresh key exchange or not, and says so in the first rekey, an hour later."""
    meeting = begin(meeting_with(ladder, esp=("aes256-sha512",), pfs=pfs))
    all_rekeys(meeting, "aes256-sha512")
    assert meeting.side.child().suite.name == ("aes256-sha512-modp2048-esn" if pfs else "aes256-sha512-esn")


def test_an_additional_key_exchange_in_a_child_is_left_out(ladder):
    esp = ("aes256-sha512-modp2048-esn-ke1_mlkem768-ke1_none", "aes256-sha512-modp2048-esn-ke1_mlkem768")
    meeting = they_begin(meeting_with(ladder, esp=esp))
    all_rekeys(meeting, "aes256-sha512")
    offered = [one.first(SA) for one in meeting.other.received if one.notify(NotifyType.REKEY_SA) and not one.response]
    assert offered and all(len(one.proposals) == 1 for one in offered)
    assert not any(item.type > TransformType.ESN for one in offered for item in one.proposals[0].transforms)


def test_other_peers_are_offered_what_is_configured(ladder):
    # Between two of ours nothing of this is done: no group is added, none of the proposals is left out.
    net = ladder().establish()
    net.call(net.a, "rekey_child", net.a.child().child_id)
    net.settle()
    net.call(net.a, "rekey_ike", net.a.status().ike_id)
    net.settle()
    assert net.a.sa().maker is Maker.RHP
    assert net.a.child().suite.name == "aes128gcm16-esn"
    assert len(net.a.happened(IkeRekeyed)) == 1


@pytest.fixture(params=[they_begin, we_begin], ids=["they-begin", "we-begin"])
def met(request, ladder):
    return request.param(meeting_with(ladder, esp=(ESP,)))


def test_ike_sa_rekeys_that_cross(met):
    # Two seconds after two crossing rekeys the original would end with a fault, where both new IKE SAs are there.
    # a --- SK{SA, Ni, KE} --->|<--- SK{SA, Ni, KE} --- R
    met.net.call(met.side, "rekey_ike", met.side.status().ike_id)
    ours = met.request()
    met.other.rekey_ike()
    (again,) = met.to_us
    # a --- SK{N(TEMPORARY_FAILURE)} ---> R, as often as it asks
    refusal = met.deliver()
    assert met.other.open(refusal).notify(NotifyType.TEMPORARY_FAILURE) is not None
    met.to_us.append(again)
    assert met.deliver() == refusal
    # a <--- SK{SA, Nr, KE, N(QCD)} --- R
    met.other.answer_ike_rekey(ours)
    met.other.acknowledge(met.deliver(), Delete(Protocol.IKE, ()))
    assert met.deliver() is None
    met.other.move_on()
    assert met.side.states() == ["established"]
    assert len(met.side.happened(IkeRekeyed)) == 1
    we_rekey_the_child(met)
    they_rekey_the_child(met)
    met.check_pair()


def test_ike_sa_rekeys_that_cross_and_ours_comes_late(met):
    # R has dropped its own by our refusal when our request comes at last, for the first one was lost.
    met.net.call(met.side, "rekey_ike", met.side.status().ike_id)
    lost = met.request()
    met.other.rekey_ike()
    assert met.other.open(met.deliver()).notify(NotifyType.TEMPORARY_FAILURE) is not None
    met.net.advance(1.5, settle=False)
    again = met.request()
    assert again == lost
    met.other.answer_ike_rekey(again)
    met.other.acknowledge(met.deliver(), Delete(Protocol.IKE, ()))
    met.deliver()
    met.other.move_on()
    they_rekey_the_ike_sa(met)
    met.check_pair()
    assert met.side.states() == ["established"]


@pytest.mark.parametrize("loser", ["ours", "theirs"])
def test_child_rekeys_that_cross(met, loser):
    # a --- SK{N(REKEY_SA), ..} --->|<--- SK{N(REKEY_SA), ..} --- R; both are answered, the lowest nonce loses
    other, lowest, old = met.other, bytes(64), met.other.child
    met.net.call(met.side, "rekey_child", met.side.child().child_id)
    ours = met.request()
    other.rekey_child(nonce=lowest if loser == "theirs" else None)
    assert len(met.to_us) == 1
    answer = met.deliver()
    other.answer_child_rekey(ours, nonce=lowest if loser == "ours" else None)
    by_us = other.child
    # Its own request is answered first, for ours was on the way longer.
    other.child_rekeyed(answer)
    by_them = other.child
    assert (by_us.nonce < by_them.nonce) == (loser == "ours")
    request = met.deliver()
    # Whoever began the loser deletes it: we at once, the original two seconds later.
    if loser == "ours":
        assert other.acknowledge(request).first(Delete).spis == (by_us.spi_out,)
    else:
        assert other.acknowledge(request).first(Delete).spis == (old.spi_out,)
        other.child = by_us
    assert met.deliver() is None
    met.net.advance(2, settle=False)
    if loser == "theirs":
        other.delete(by_them.spi_in)
        assert other.open(met.deliver()).first(Delete).spis == (by_them.spi_out,)
    # And the old pair it deletes whoever has won, if it is still there.
    met.net.advance(8, settle=False)
    other.delete(old.spi_in)
    assert other.open(met.deliver()).exchange == ExchangeType.INFORMATIONAL
    met.check_pair()
    assert met.side.states() == ["established"]
    assert met.side.happened(ChildFailed, IkeClosed) == []
    they_rekey_the_child(met)
    we_rekey_the_child(met)
    met.check_pair()


@pytest.mark.parametrize("seconds", [10, 30])
def test_the_old_pair_may_stay_for_half_a_minute(met, seconds):
    # 10 s where the original began the connection, 30 s where we did; its packets may come on either meanwhile.
    met.other.rekey_child()
    spi = met.other.child_rekeyed(met.deliver())
    met.net.advance(seconds - 0.5, settle=False)
    assert len(met.side.sas) == 2
    assert met.net.flight == []
    met.other.delete(spi)
    assert met.other.open(met.deliver()).first(Delete) is not None
    met.check_pair()


@pytest.mark.parametrize("seconds", [5, 30])
def test_the_old_ike_sa_may_stay_for_half_a_minute(met, seconds):
    met.other.rekey_ike()
    answer = met.deliver()
    # The DELETE of the old IKE SA, which comes late, is made now, with the old keys.
    met.other.ike_rekeyed(answer)
    (deletion,) = met.to_us
    met.to_us.clear()
    met.net.advance(seconds - 0.5, settle=False)
    # Children and crash token are the new one's business at once.
    we_rekey_the_child(met)
    met.to_us.append(deletion)
    assert met.deliver() is not None
    met.check_pair()
    assert met.side.states() == ["established"]
    assert met.side.happened(IkeClosed) == []


def test_it_comes_back_with_a_ticket(ladder):
    """It asks for one in IKE_AUTH, and shows it when it has lost us; who it is, it says again."""
    meeting = they_begin(meeting_with(ladder, vault=True))
    assert meeting.other.ticket is not None
    # R --- Ni, N(TICKET_OPAQUE), V, N(NATD) ---> a; R <--- Nr, V, N(NATD) ---
    meeting.other.resume()
    meeting.other.resume_auth(meeting.deliver())
    # R --- SK{IDi, .., AUTH, .., N(59300), ..} ---> a; R <--- SK{IDr, AUTH, N(59301, 59303), ..} ---
    meeting.other.established(meeting.deliver())
    assert meeting.other.open(meeting.deliver()).payloads == ()
    # Its INITIAL_CONTACT has ended what was there before.
    assert meeting.side.states() == ["established"]
    assert meeting.side.sa().maker is Maker.ROCKHOPPER
    assert [event.resumed for event in meeting.side.happened(IkeEstablished)] == [False, True]
    assert len(meeting.side.happened(ChildEstablished)) == 2
    meeting.check_pair("aes256-sha")
    they_rekey_the_child(meeting)
    we_rekey_the_child(meeting)
    # Its next wish for a ticket is in CREATE_CHILD_SA, where we have none; our crash token comes by itself.
    # R --- SK{SA, Ni, KE, N(TICKET_REQUEST)} ---> a; R <--- SK{SA, Nr, KE, N(QCD)} ---; a --- SK'{N(QCD)} ---> R
    meeting.other.rekey_ike()
    meeting.other.ike_rekeyed(meeting.deliver())
    token = meeting.other.acknowledge(meeting.request())
    assert token.notify(NotifyType.QUICK_CRASH_DETECTION) is not None
    assert [parse_message(one).exchange for one in meeting.to_us] == [ExchangeType.INFORMATIONAL] * 2
    assert meeting.deliver() is not None
    assert meeting.deliver() is None
    we_rekey_the_child(meeting)
    meeting.check_pair("aes256-sha")
    assert meeting.side.happened(ChildFailed) == []


def test_its_name_is_the_last_that_we_say(ladder):
    # The original looks for its own name among all, but an older one might look at one alone.
    meeting = meeting_with(ladder)
    meeting.net.initiate()
    said = parse_message(meeting.request()).all(Vendor)
    assert said[-1] == Vendor(ROCKHOPPER_VENDOR_ID)


@pytest.mark.parametrize("kind", [NotifyType.TEMPORARY_FAILURE, NotifyType.CHILD_SA_NOT_FOUND])
def test_it_refuses_to_rekey_a_child(met, kind):
    """It says CHILD_SA_NOT_FOUND also of a pair that it is about to delete, and has room for one pair only."""
    met.net.call(met.side, "rekey_child", met.side.child().child_id)
    request = met.request()
    met.other.acknowledge(request, Notify(kind, b"", Protocol.ESP, met.other.child.spi_out))
    met.deliver()
    if kind == NotifyType.TEMPORARY_FAILURE:
        assert len(met.side.sas) == 1
    assert met.side.states() == ["established"]
    assert met.side.happened(IkeClosed) == []
    assert met.other.received[-1].exchange == ExchangeType.CREATE_CHILD_SA
