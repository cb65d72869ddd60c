"""Child SAs: selectors, modes, further children with a fresh key exchange, and refusals that leave the IKE SA alone."""

from dataclasses import replace

import pytest
from ladder_world import child, config, connection, net, tunnel

from rhp.ike.errors import Fault, LocalError
from rhp.ike.events import ChildClosed, ChildEstablished, ChildFailed, IkeClosed
from rhp.wire.iana import IpProtocol, NotifyType, TransformType
from rhp.wire.ke import KE
from rhp.wire.notify import Notify
from rhp.wire.sa import SA
from rhp.wire.ts import TSi, TSr

ESP_KE = "aes128gcm16-x25519"


def link_with(ladder, ours, theirs, **limits):
    return ladder(
        config(connection("a@x", "b@x", children=ours)), config(connection("b@x", "a@x", children=theirs), **limits)
    )


def mirrored(*local_and_remote):
    """Tunnel children for a and for b: (name, a's networks, b's networks)."""
    ours = tuple(tunnel(name, local, remote) for name, local, remote in local_and_remote)
    theirs = tuple(tunnel(name, remote, local) for name, local, remote in local_and_remote)
    return ours, theirs


def create(link, side, name):
    link.call(side, "create_child", side.status().ike_id, name)


def test_responder_narrows(ladder):
    # a asks for 10.0.0.0/8 on both sides, b allows less.
    ours = (tunnel("net", ("10.0.0.0/8",), ("10.0.0.0/8",)),)
    theirs = (tunnel("net", ("10.2.0.0/16",), ("10.1.0.0/16", "10.3.0.0/16")),)
    link = link_with(ladder, ours, theirs).establish()
    link.check_established()
    assert link.a.child().local_ts == (net("10.1.0.0/16"), net("10.3.0.0/16"))
    assert link.a.child().remote_ts == (net("10.2.0.0/16"),)
    (event,) = link.a.happened(ChildEstablished)
    assert event.local_ts == link.a.child().local_ts


def test_families_of_one_side_only_are_left_out(ladder):
    ours = (tunnel("net", ("10.1.0.0/16", "fd01::/32"), ("10.2.0.0/16", "fd02::/32")),)
    theirs = (tunnel("net", ("10.2.0.0/16",), ("10.1.0.0/16", "fd01::/32")),)
    link = link_with(ladder, ours, theirs).establish()
    link.check_established()
    assert link.b.child().remote_ts == (net("10.1.0.0/16"),)


def test_ts_unacceptable_in_ike_auth(ladder):
    ours, theirs = (
        (tunnel("net", ("10.1.0.0/16",), ("10.9.0.0/16",)),),
        (tunnel("net", ("10.2.0.0/16",), ("10.1.0.0/16",)),),
    )
    link = link_with(ladder, ours, theirs)
    # a --- IKE_AUTH: .. SA, TSi, TSr ---> b
    link.initiate()
    for _ in range(3):
        link.deliver()
    # a <--- IDr, AUTH, N(TS_UNACCEPTABLE) --- b
    answer = link.read(link.flight[0])
    assert answer.notify(NotifyType.TS_UNACCEPTABLE) is not None
    assert answer.first(SA) is None
    link.settle()
    link.check_established(children=0)
    (failed,) = link.a.happened(ChildFailed)
    assert (failed.reason, failed.fault) == ("peer-said-ts-unacceptable", Fault.PEER)
    assert link.a.happened(ChildEstablished, ChildClosed, IkeClosed) == []


def test_first_child_that_fits_is_taken(ladder):
    ours = (tunnel("second", ("10.1.0.0/16",), ("10.2.0.0/16",)),)
    theirs = (
        tunnel("first", ("10.8.0.0/16",), ("10.9.0.0/16",)),
        tunnel("second", ("10.2.0.0/16",), ("10.1.0.0/16",)),
    )
    link = link_with(ladder, ours, theirs).establish()
    link.check_established()
    assert link.b.child().child_name == "second"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ((child(),), (tunnel("t", ("0.0.0.0/0", "::/0"), ("0.0.0.0/0", "::/0")),)),
        ((tunnel("t", ("0.0.0.0/0",), ("0.0.0.0/0",)),), (child(),)),
    ],
    ids=["ethernet-to-tunnel", "tunnel-to-ethernet"],
)
def test_modes_that_do_not_fit(ladder, ours, theirs):
    link = link_with(ladder, ours, theirs).establish()
    link.check_established(children=0)
    (failed,) = link.b.happened(ChildFailed)
    assert failed.reason == "mode-mismatch"
    wanted = "transport" if ours[0].mode == "ethernet" else "tunnel"
    assert failed.detail.startswith(f"the peer wants {wanted} mode; the child {theirs[0].name} is ")
    assert len(link.a.happened(ChildFailed)) == 1


def test_ethernet_child_with_narrower_addresses(ladder):
    # A peer that asks for EtherIP between the two outer addresses only gets just that.
    inner, outer = (net("192.0.2.1/32", 97),), (net("192.0.2.2/32", 97),)
    link = link_with(ladder, (replace(child(), local_ts=inner, remote_ts=outer),), (child(),)).establish()
    link.check_established()
    assert (link.b.child().local_ts, link.b.child().remote_ts) == (outer, inner)


@pytest.mark.parametrize("protocol", [0, 6])
def test_ethernet_child_wants_etherip(ladder, protocol):
    # Any protocol is narrowed to EtherIP, another protocol is refused.
    selectors = (net("0.0.0.0/0", protocol),)
    link = link_with(ladder, (replace(child(), local_ts=selectors, remote_ts=selectors),), (child(),)).establish()
    link.check_established(children=0 if protocol else 1)
    assert all(selector.protocol == IpProtocol.ETHERIP for sa in link.a.sas.values() for selector in sa.local_ts)


def test_further_child_from_each_side(ladder):
    ours, theirs = mirrored(
        ("one", ("10.1.0.0/16",), ("10.2.0.0/16",)),
        ("two", ("10.3.0.0/16",), ("10.4.0.0/16",)),
        ("three", ("10.5.0.0/16",), ("10.6.0.0/16",)),
    )
    link = link_with(ladder, ours, theirs).establish()
    create(link, link.a, "two")
    # a --- CREATE_CHILD_SA: SA, Ni, TSi, TSr ---> b
    request = link.read(link.flight[0])
    assert request.first(KE) is None
    assert request.notify(NotifyType.REKEY_SA) is None
    link.settle()
    create(link, link.b, "three")
    link.settle()
    link.check_established(children=3)
    assert {sa.child_name for sa in link.a.sas.values()} == {"one", "two", "three"}
    assert len({sa.child_id for sa in link.a.sas.values()}) == 3
    assert len(link.a.happened(ChildEstablished)) == 3
    assert all(sa.outbound_active for side in link.sides for sa in side.sas.values())


def test_further_child_with_a_fresh_key_exchange(ladder):
    children = (child(esp=(ESP_KE,)),)
    link = link_with(ladder, children, children)
    link.initiate()
    link.deliver()
    link.deliver()
    # Section 1.2: no key exchange transform within IKE_AUTH.
    offer = link.read(link.flight[0]).first(SA).proposals[0]
    assert TransformType.KE not in [transform.type for transform in offer.transforms]
    link.settle()
    assert link.a.child().suite.key_exchange is None
    create(link, link.a, "ethernet")
    request, answer = link.read(link.deliver()), link.read(link.flight[0])
    assert request.first(KE).method == answer.first(KE).method == 31
    assert request.first(KE).data != answer.first(KE).data
    link.settle()
    link.check_established(children=2)
    newest = max(link.a.sas.values(), key=lambda sa: sa.child_id)
    assert newest.suite.key_exchange == 31


def test_invalid_ke_in_a_further_child(ladder):
    ours, theirs = (child(esp=("aes128gcm16-x25519-ecp256",)),), (child(esp=("aes128gcm16-ecp256",)),)
    link = link_with(ladder, ours, theirs).establish()
    # a --- KE(x25519) ---> b, a <--- N(INVALID_KE_PAYLOAD, ecp256) --- b, a --- KE(ecp256) ---> b
    create(link, link.a, "ethernet")
    assert link.read(link.deliver()).first(KE).method == 31
    assert link.read(link.deliver()).notify(NotifyType.INVALID_KE_PAYLOAD).data == b"\x00\x13"
    assert link.read(link.flight[0]).first(KE).method == 19
    link.settle()
    link.check_established(children=2)
    assert link.a.happened(ChildFailed) == link.b.happened(ChildFailed) == []


def test_invalid_ke_for_ever(ladder):
    # b's answer names a method again and again: a tries once and gives up.
    children = (child(esp=("aes128gcm16-x25519-ecp256",)),)
    link = link_with(ladder, children, children).establish()
    create(link, link.a, "ethernet")
    for method in (19, 31, 19):
        request = link.drop()
        link.reply(request, [Notify(NotifyType.INVALID_KE_PAYLOAD, method.to_bytes(2))])
        if not link.flight:
            break
    assert link.flight == []
    assert len(link.a.happened(ChildFailed)) == 1
    assert link.a.states() == ["established"]
    assert len(link.a.sas) == 1


def test_refused_further_child_leaves_all_else(ladder):
    ours = (tunnel("one"), tunnel("two", ("10.3.0.0/16",), ("10.4.0.0/16",)))
    theirs = (tunnel("one", ("10.2.0.0/16",), ("10.1.0.0/16",)),)
    link = link_with(ladder, ours, theirs).establish()
    create(link, link.a, "two")
    link.settle()
    link.check_established()
    (failed,) = link.a.happened(ChildFailed)
    assert (failed.child_name, failed.reason) == ("two", "peer-said-ts-unacceptable")
    assert link.b.count("ts-unacceptable") == 1


def test_too_many_children(ladder):
    link = link_with(ladder, (child(),), (child(),), max_children=3).establish()
    for _ in range(4):
        create(link, link.a, "ethernet")
        link.settle()
    link.check_established(children=3)
    assert [failed.reason for failed in link.a.happened(ChildFailed)] == ["peer-said-no-additional-sas"] * 2


def test_queue_of_children_is_worked_off_one_by_one(ladder):
    # The window is one: the second request waits for the first answer.
    link = link_with(ladder, (child(),), (child(),)).establish()
    for _ in range(3):
        create(link, link.a, "ethernet")
    assert len(link.flight) == 1
    link.settle()
    link.check_established(children=4)


def test_both_sides_make_a_child_at_once(ladder):
    link = link_with(ladder, (child(),), (child(),)).establish()
    create(link, link.a, "ethernet")
    create(link, link.b, "ethernet")
    link.settle()
    link.check_established(children=3)


def test_unknown_names_are_the_callers_mistake(ladder):
    link = ladder().establish()
    with pytest.raises(LocalError) as caught:
        create(link, link.a, "nothing")
    assert caught.value.reason == "unknown-child"
    for verb in ("rekey_ike", "close"):
        with pytest.raises(LocalError):
            link.call(link.a, verb, 99)
    for verb in ("rekey_child", "delete_child"):
        with pytest.raises(LocalError):
            link.call(link.a, verb, 99)
    assert link.flight == []


def test_answer_with_widened_selectors(ladder):
    # b's answer is for more than a asked: a does not install it and has b forget it.
    ours, theirs = mirrored(("one", ("10.1.0.0/16",), ("10.2.0.0/16",)))
    link = link_with(ladder, ours, theirs).establish()
    create(link, link.a, "one")
    request = link.deliver()
    answer = link.read(link.drop())
    payloads = [type(one)((net("10.0.0.0/8"),)) if isinstance(one, TSi | TSr) else one for one in answer.payloads]
    link.reply(request, payloads)
    (failed,) = link.a.happened(ChildFailed)
    assert failed.reason == "selectors-not-offered"
    link.settle()
    link.check_established()


def test_answer_in_the_other_mode(ladder):
    # Transport mode was asked for and is not granted: EtherIP cannot be carried, so b is told to forget the pair.
    link = ladder().establish()
    create(link, link.a, "ethernet")
    request = link.deliver()
    assert len(link.b.sas) == 2
    answer = link.read(link.drop())
    link.reply(request, [one for one in answer.payloads if one != answer.notify(NotifyType.USE_TRANSPORT_MODE)])
    (failed,) = link.a.happened(ChildFailed)
    assert failed.reason == "mode-mismatch"
    link.settle()
    link.check_established()


def test_selectors_within_each_other_become_one(ladder):
    ours = (tunnel("net", ("10.1.2.0/24", "10.1.0.0/16", "10.1.3.0/24"), ("10.2.0.0/16",)),)
    theirs = (tunnel("net", ("10.2.0.0/16",), ("10.0.0.0/8",)),)
    link = link_with(ladder, ours, theirs).establish()
    link.check_established()
    assert link.b.child().remote_ts == (net("10.1.0.0/16"),)
