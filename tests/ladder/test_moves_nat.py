"""NATs that appear, forget and move, and sides that want none (RFC 4555 sections 3.8 and 3.9)."""

from dataclasses import replace

import pytest
from ladder_nat import Nat
from ladder_net import A, B
from ladder_roam import A2, A3, COOKIE2, UPDATE, check_at, ends, has, notifies, roaming, sent, traffic
from ladder_wishes import rekey_child

from rhp.ike.events import PathChanged, PathRefused
from rhp.ike.path import Endpoint
from rhp.wire.iana import NotifyType
from rhp.wire.notify import Notify

SUPPORTED = NotifyType.MOBIKE_SUPPORTED
ADDITIONAL4, ADDITIONAL6 = NotifyType.ADDITIONAL_IP4_ADDRESS, NotifyType.ADDITIONAL_IP6_ADDRESS


def test_a_nat_appears_on_the_new_path_and_disappears(ladder):
    link = roaming(ladder).establish()
    assert link.a.child().encapsulation == "esp"
    # a moves behind a NAT: ESP goes in UDP from now on, and the NAT's mapping is kept alive.
    link.nat = Nat(A2)
    has(link, link.a, A2)
    link.settle()
    for side in (link.a, link.b):
        assert side.child().encapsulation == "udp"
    assert link.a.status().nat_local and link.b.status().nat_remote
    outside = link.nat.mappings[Endpoint(A2, 4500)]
    assert link.b.child().path.remote == outside
    link.advance(61)
    assert len(link.a.keepalives) == 3
    # a comes out again.
    has(link, link.a, A)
    link.settle()
    check_at(link, A, B)
    for side in (link.a, link.b):
        assert side.child().encapsulation == "esp"
        assert not side.status().nat_local and not side.status().nat_remote
    link.advance(100)
    assert len(link.a.keepalives) == 3


def test_the_nat_forgets_us_and_the_liveness_check_notices(ladder):
    link = roaming(ladder, at_a={"dpd_delay": 30.0}, at_b={"dpd_delay": 0}, nat=Nat(A)).establish()
    link.advance(31)
    assert link.a.count("liveness-checked") == 1
    link.nat.rebind()
    old = link.b.status().path
    link.advance(31)
    # a --- hashes ---> b --- hashes, of another address than before ---> a --- UPDATE_SA_ADDRESSES ---> b
    assert link.a.count("nat-mapping-changed") == 1
    new = link.b.status().path
    assert new.remote == link.nat.mappings[Endpoint(A, 4500)] != old.remote
    assert traffic(link.b) == {ends(new)} and link.b.child().path == new
    link.advance(120)
    assert link.a.count("nat-mapping-changed") == 1


def test_esp_from_elsewhere_is_followed_after_a_test(ladder):
    link = roaming(ladder, nat=Nat(A)).establish()
    link.advance(20)
    old = link.b.status().path
    link.nat.rebind()
    moved = link.nat.translate(Endpoint(A, 4500), Endpoint(B, 4500))[0]
    link.call(link.b, "nat_moved", link.b.child().spi_in, moved)
    # b --- COOKIE2 ---> a, over the new mapping alone
    (test,) = link.flight
    assert test.target == moved and traffic(link.b) == {ends(old)}
    link.settle()
    assert link.b.status().path.remote == link.b.child().path.remote == moved
    assert [event.reason for event in link.b.happened(PathChanged)] == ["nat-moved"]
    # Late packets of the old mapping do not take it back.
    link.call(link.b, "nat_moved", link.b.child().spi_in, old.remote)
    link.settle()
    assert link.b.status().path.remote == moved
    assert link.b.count("late-on-old-path") == 1
    # But a third mapping is no late packet, however soon it comes, and so is the first one after that.
    link.nat.rebind()
    third = link.nat.translate(Endpoint(A, 4500), Endpoint(B, 4500))[0]
    assert third not in (moved, old.remote)
    link.call(link.b, "nat_moved", link.b.child().spi_in, third)
    link.settle()
    assert link.b.status().path.remote == third


def test_esp_from_elsewhere_while_a_request_is_out(ladder):
    # The request went to a mapping that is gone; it goes over the other one too, and the test follows.
    link = roaming(ladder, nat=Nat(A)).establish()
    link.advance(20)
    link.nat.rebind()
    rekey_child(link, link.b)
    link.drop()
    moved = link.nat.translate(Endpoint(A, 4500), Endpoint(B, 4500))[0]
    link.call(link.b, "nat_moved", link.b.child().spi_in, moved)
    link.settle()
    link.advance(5)
    assert link.b.status().path.remote == moved
    assert {sa.path.remote for sa in link.b.sas.values()} == {moved}
    link.check_established()


def no_nats(source, target):
    return Notify(
        NotifyType.NO_NATS_ALLOWED,
        source.ip.packed + target.ip.packed + source.port.to_bytes(2) + target.port.to_bytes(2),
    )


def test_a_peer_that_allows_no_nat(ladder):
    link = roaming(ladder).establish()
    here, there = Endpoint(A, 4500), Endpoint(B, 4500)
    answer = link.ask(link.b, link.forge(link.a, (Notify(UPDATE), no_nats(here, there))))
    assert answer.notify(NotifyType.UNEXPECTED_NAT_DETECTED) is None
    # Its update comes from another address than it wrote: nothing of it is done, and it gets to know.
    link.inject(link.b, link.forge(link.a, (Notify(UPDATE), no_nats(here, there))), Endpoint(A2, 4500), natt=True)
    answer = link.flight.pop()
    assert answer.target == Endpoint(A2, 4500)
    assert notifies(link, answer, NotifyType.UNEXPECTED_NAT_DETECTED) == [b""]
    assert link.b.count("unexpected-nat") == 1
    check_at(link, A, B)
    wrong = link.say(link.a, (Notify(ADDITIONAL4, A3.packed), Notify(NotifyType.NO_NATS_ALLOWED, b"")))
    assert wrong.notify(NotifyType.UNEXPECTED_NAT_DETECTED) is not None
    assert link.b.status().peer_addresses == ()


@pytest.mark.parametrize("nat", [False, True])
def test_a_peer_that_allows_no_nat_in_ike_auth(ladder, nat):
    # a --- IKE_AUTH, N(NO_NATS_ALLOWED) ---> b: on the way from a there is a NAT, or there is none
    link = roaming(ladder, nat=Nat(A) if nat else None)
    link.initiate()
    link.deliver()
    link.deliver()
    proof = link.flight.pop(0)
    asked = link.read(proof)
    asked = replace(asked, payloads=(*asked.payloads, no_nats(proof.source, proof.target)))
    link.hand_over(replace(proof, datagram=link.seal(asked)))
    answer = link.read(link.flight[0])
    refused = answer.notify(NotifyType.UNEXPECTED_NAT_DETECTED) is not None
    assert refused is nat
    link.settle()
    assert link.a.states() == link.b.states() == ([] if nat else ["established"])
    assert link.b.count("unexpected-nat") == nat
    assert len(link.a.sas) == len(link.b.sas) == (not nat)


@pytest.mark.parametrize("exchange", ["auth", "move"])
@pytest.mark.parametrize("encapsulation", ["auto", "udp"])
def test_we_never_forbid_nats(ladder, encapsulation, exchange):
    # Section 3.9 is for a side that cannot get through a NAT. Ours always can, so it sends hashes instead.
    link = roaming(ladder, both={"encapsulation": encapsulation}).establish()
    before = 0
    if exchange == "move":
        before = len(link.sent)
        has(link, link.a, A2)
        link.settle()
    for side in link.sides:
        assert sent(link, side, NotifyType.NO_NATS_ALLOWED, before) == []
    said = {one.type for packet in link.sent[before:] for one in link.read(packet).all(Notify)}
    assert {NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP} <= said


def test_a_peer_that_sees_an_unexpected_nat_is_asked_again_a_few_times(ladder):
    link = roaming(ladder).establish()
    has(link, link.a, A2)
    for _ in range(3):
        request = link.drop()
        cookie = Notify(COOKIE2, notifies(link, request, COOKIE2)[0])
        link.reply(request, (Notify(NotifyType.UNEXPECTED_NAT_DETECTED), cookie))
    assert link.flight == []
    assert [event.reason for event in link.a.happened(PathRefused)] == ["unexpected-nat"]
    assert link.a.states() == ["established"]


def test_without_mobike_a_peer_behind_a_nat_is_followed_all_the_same(ladder):
    # The address of a changes; b believes in a NAT before it, because a asked for encapsulation.
    link = roaming(ladder, both={"mobike": False, "encapsulation": "udp"}).establish()
    has(link, link.a, A2)
    link.settle()
    check_at(link, A2, B)
    assert [event.reason for event in link.b.happened(PathChanged)] == ["nat-moved"]
