"""IKE_SA_INIT and IKE_AUTH: the way to an established IKE SA with its first Child SA."""

from ipaddress import ip_network

import pytest
from ladder_world import child, config, connection, net, tunnel

from rhp.ike.errors import Fault, LocalError
from rhp.ike.events import (
    AuthenticationFailed,
    ChildEstablished,
    ChildFailed,
    HandshakeRefused,
    IkeClosed,
    IkeEstablished,
    InitiationFailed,
    StateChanged,
)
from rhp.ike.selectors import ETHERNET
from rhp.pki.identity import parse_identity
from rhp.wire.iana import NotifyType
from rhp.wire.ke import KE
from rhp.wire.message import parse_message
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify
from rhp.wire.sa import SA
from rhp.wire.vendor import Vendor

FAILURES = (ChildFailed, AuthenticationFailed, InitiationFailed, HandshakeRefused, IkeClosed)


def test_psk_handshake(ladder):
    link = ladder()

    # a --- IKE_SA_INIT: SA, KE, Ni, N(NAT_D) ---> b
    link.initiate()
    assert link.a.states() == ["connecting"]
    assert link.b.states() == []
    link.deliver()
    assert link.b.states() == ["half-open"]

    # a <--- SA, KE, Nr, N(NAT_D) --- b
    link.deliver()
    assert link.a.states() == ["authenticating"]
    assert link.a.sas == {} and link.b.sas == {}

    # a --- IKE_AUTH: IDi, IDr, AUTH, SA, TSi, TSr ---> b
    link.deliver()
    assert link.b.states() == ["established"]
    assert len(link.b.sas) == 1
    assert link.a.happened(IkeEstablished) == []

    # a <--- IDr, AUTH, SA, TSi, TSr --- b
    link.deliver()
    assert link.a.states() == ["established"]
    assert link.flight == []
    link.check_pairs()
    for side in (link.a, link.b):
        assert len(side.happened(IkeEstablished)) == 1
        assert len(side.happened(ChildEstablished)) == 1
        assert not any(side.happened(kind) for kind in FAILURES)


def test_events_and_status_tell_who_and_what(ladder):
    link = ladder().establish()
    (event,) = link.b.happened(IkeEstablished)
    assert (event.connection, event.role, event.peer) == ("t", "responder", parse_identity("a@x"))
    assert event.suite == "aes128gcm16-prfsha256-x25519"
    status = link.a.status()
    assert (status.role, status.peer, status.local) == ("initiator", parse_identity("b@x"), parse_identity("a@x"))
    assert status.spi_i == link.b.status().spi_i and status.spi_r == link.b.status().spi_r
    (pair,) = status.children
    assert (pair.name, pair.mode, pair.state) == ("ethernet", "ethernet", "installed")
    assert pair.spi_in == link.a.child().spi_in
    order = [event.new for event in link.a.happened(StateChanged)]
    assert order == ["connecting", "authenticating", "established"]
    order = [event.new for event in link.b.happened(StateChanged)]
    assert order == ["half-open", "authenticating", "established"]


def test_ethernet_child_asks_for_etherip_between_any_addresses(ladder):
    link = ladder().establish()
    for side in (link.a, link.b):
        assert side.child().mode == "ethernet"
        assert side.child().local_ts == side.child().remote_ts == ETHERNET
        assert side.child().outbound_active
        assert side.child().replaces is None


def test_tunnel_child(ladder):
    a = config(connection("a@x", "b@x", children=(tunnel(),)))
    b = config(connection("b@x", "a@x", children=(tunnel(local=("10.2.0.0/16",), remote=("10.1.0.0/16",)),)))
    link = ladder(a, b).establish()
    link.check_pairs()
    assert link.a.child().mode == "tunnel"
    assert link.a.child().local_ts == (net("10.1.0.0/16"),)
    assert link.b.child().local_ts == (net("10.2.0.0/16"),)


def test_first_message_has_everything_a_responder_needs(ladder):
    link = ladder()
    link.initiate()
    message = parse_message(link.flight[0].datagram)
    kinds = [type(payload) for payload in message.payloads]
    assert kinds[:3] == [SA, KE, Nonce]
    assert kinds[-1] is Vendor
    notifies = {payload.type for payload in message.all(Notify)}
    assert notifies == {
        NotifyType.NAT_DETECTION_SOURCE_IP,
        NotifyType.NAT_DETECTION_DESTINATION_IP,
        NotifyType.SIGNATURE_HASH_ALGORITHMS,
        NotifyType.IKEV2_FRAGMENTATION_SUPPORTED,
        NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED,
    }
    assert message.spi_r == bytes(8) and any(message.spi_i)
    assert message.initiator and not message.response and message.message_id == 0


@pytest.mark.parametrize(
    "suite",
    [
        "aes256gcm16-prfsha384-ecp384",
        "aes256-sha256-modp2048",
        "aes128ctr-sha512-prfsha512-ecp256",
        "chacha20poly1305-prfsha256-x448",
        "aes192ccm16-prfsha1-ecp521",
    ],
)
def test_other_suites(ladder, suite):
    pytest.importorskip("rhp._fast.dh") if "modp" in suite else None
    link = ladder(config(connection("a@x", "b@x", ike=(suite,))), config(connection("b@x", "a@x", ike=(suite,))))
    link.establish()
    assert link.a.states() == link.b.states() == ["established"]
    link.check_pairs()


@pytest.mark.parametrize(
    "esp", ["aes256-sha256-noesn", "chacha20poly1305-esn", "aes128gcm16-esn-noesn", "aes256ctr-sha512-noesn"]
)
def test_other_esp_suites(ladder, esp):
    link = ladder(
        config(connection("a@x", "b@x", children=(child(esp=(esp,)),))),
        config(connection("b@x", "a@x", children=(child(esp=(esp,)),))),
    ).establish()
    link.check_pairs()
    assert link.a.child().suite.esn == ("esn" in esp.split("-"))
    assert len(link.a.child().integ_in) == (0 if "sha" not in esp else link.a.child().suite.integrity.key_bytes)


def test_child_that_cannot_be_leaves_the_ike_sa_alone(ladder):
    b = config(connection("b@x", "a@x", children=(child(esp=("aes256gcm16",)),)))
    link = ladder(b=b).establish()
    assert link.a.states() == link.b.states() == ["established"]
    assert link.a.sas == link.b.sas == {}
    (failed,) = link.a.happened(ChildFailed)
    assert (failed.child_name, failed.reason, failed.fault) == ("ethernet", "peer-said-no-proposal-chosen", Fault.PEER)
    (failed,) = link.b.happened(ChildFailed)
    assert failed.reason == "no-proposal-chosen"
    assert link.a.happened(InitiationFailed) == link.b.happened(HandshakeRefused) == []


def test_connection_without_children_is_childless(ladder):
    link = ladder(a=config(connection("a@x", "b@x", children=()))).establish()
    assert link.a.states() == link.b.states() == ["established"]
    assert link.a.sas == link.b.sas == {}
    assert link.b.happened(ChildFailed) == []


def test_unknown_connection_is_the_callers_mistake(ladder):
    with pytest.raises(LocalError) as caught:
        ladder().initiate(connection="nobody")
    assert caught.value.reason == "unknown-connection"


def test_responder_without_a_fitting_proposal(ladder):
    link = ladder(b=config(connection("b@x", "a@x", ike=("aes256gcm16-prfsha384-ecp384",))))
    link.initiate()
    link.settle()
    assert link.b.states() == []
    (refused,) = link.b.happened(HandshakeRefused)
    assert refused.reason == "no-proposal-chosen"
    # The answer is unprotected, so it is believed only after nothing better has come.
    assert link.a.states() == ["connecting"]
    link.advance(2.5)
    (failed,) = link.a.happened(InitiationFailed)
    assert (failed.reason, failed.fault) == ("peer-said-no-proposal-chosen", Fault.PEER)
    assert link.a.states() == []


def test_responder_takes_its_own_first_choice(ladder):
    ours = "aes128gcm16-aes256gcm16-prfsha256-prfsha384-x25519"
    theirs = ("aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-x25519")
    link = ladder(config(connection("a@x", "b@x", ike=(ours,))), config(connection("b@x", "a@x", ike=theirs)))
    link.establish()
    assert link.a.status().suite == "aes256gcm16-prfsha384-x25519"


def test_nobody_answers(ladder):
    link = ladder()
    link.lost = lambda packet: True
    link.initiate()
    link.advance(31)
    assert link.a.states() == ["connecting"]
    link.advance(1)
    (failed,) = link.a.happened(InitiationFailed)
    assert (failed.reason, failed.fault) == ("no-answer", Fault.NETWORK)
    assert link.a.states() == []
    assert link.a.engine.counters["retransmitted"] == 5
    assert link.a.engine.next_deadline() is None


def test_half_open_sa_is_forgotten(ladder):
    link = ladder()
    link.initiate()
    link.deliver()
    link.lost = lambda packet: True
    link.advance(36)
    assert link.b.states() == []
    (refused,) = link.b.happened(HandshakeRefused)
    assert refused.reason == "half-open-timeout"
    assert link.b.engine.next_deadline() is None


def test_close_before_it_is_established(ladder):
    link = ladder()
    ike_id = link.initiate()
    link.call(link.a, "close", ike_id)
    assert link.a.states() == []
    (failed,) = link.a.happened(InitiationFailed)
    assert (failed.reason, failed.fault) == ("closed", Fault.NONE)
    assert link.a.engine.next_deadline() is None


def test_second_connection_is_found_by_identity(ladder):
    b = config(
        connection("b@x", "c@x", name="first"),
        connection("b@x", "*@x", name="any-of-x"),
        connection("b@x", "a@x", name="t"),
    )
    link = ladder(b=b).establish()
    assert link.b.status().connection == "t"
    assert link.b.child().connection == "t"


def test_connection_is_found_by_whom_the_peer_wants(ladder):
    b = config(connection("other@x", "a@x", name="first"), connection("b@x", "a@x", name="t"))
    link = ladder(b=b).establish()
    assert link.b.status().connection == "t"
    assert link.b.status().local == parse_identity("b@x")


def test_connection_whose_proposals_do_not_fit_cannot_take_over(ladder):
    b = config(
        connection("b@x", "c@x", name="first"),
        connection("b@x", "a@x", name="t", ike=("aes256gcm16-prfsha384-ecp384",)),
    )
    link = ladder(b=b).establish()
    (failed,) = link.b.happened(AuthenticationFailed)
    assert failed.reason == "suite-not-allowed"
    assert link.a.states() == link.b.states() == []


def test_connection_for_other_addresses_is_not_considered(ladder):
    b = config(connection("b@x", "a@x", remote_addrs=(ip_network("203.0.113.0/24"),)))
    link = ladder(b=b)
    link.initiate()
    link.settle()
    assert link.b.happened(HandshakeRefused)[0].reason == "no-proposal-chosen"


def test_slow_guard_holds_up_nobody_else(ladder):
    link = ladder(b=config(connection("b@x", "%any")))
    link.b.guard_waits = True
    link.establish()
    assert link.a.states() == ["authenticating"]
    assert link.b.states() == ["authenticating"]
    # The request comes again while the guard thinks: it is dropped without a word.
    link.advance(3)
    assert link.b.engine.counters["request-waiting"] == 2
    assert link.flight == []
    link.answer_guards(link.b)
    # The first answer accepted the peer, the next one proves us.
    assert link.b.states() == ["authenticating"]
    link.answer_guards(link.b)
    assert link.b.states() == ["established"]
    link.settle()
    assert link.a.states() == ["established"]
    link.check_pairs()


def test_guard_that_answers_too_late(ladder):
    link = ladder()
    link.b.guard_waits = True
    link.establish()
    link.advance(60)
    assert link.a.states() == link.b.states() == []
    link.b.guard_waits = False
    link.answer_guards(link.b)
    assert link.b.engine.counters["late-guard-answer"] == 1
    assert link.b.sas == {}
