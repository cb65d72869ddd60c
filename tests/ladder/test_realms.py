"""Realms: one gateway, many roles, and each peer in the one that its identity leads to."""

from dataclasses import replace

import pytest
from ladder_addresses import pool
from ladder_auth import side, swap, tampered
from ladder_realms import (
    GATE,
    WORKS,
    bearer,
    gate,
    isolated,
    keys,
    lending,
    own_keys,
    peers,
    realm,
)
from ladder_world import config, connection

from rhp.guard.policy import GuardPolicy, PskSecret
from rhp.ike.config import RemoteAuth
from rhp.ike.errors import LocalError
from rhp.ike.events import AuthenticationFailed, ChildFailed, IkeEstablished
from rhp.ike.tasks.cert import MAX_AUTHORITIES
from rhp.ike.tasks.identify import MAX_NAMES
from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern
from rhp.realm.policy import PortPolicy
from rhp.wire.cert import CERT
from rhp.wire.certreq import CERTREQ
from rhp.wire.iana import NotifyType

CARL, DORA = "carl@sales.example.org", "dora@works.example.org"
STRONG, WEAK = "aes256gcm16-prfsha384-ecp384", "aes128-sha1-modp2048"
KEY, OTHER = b"the key of the sales people", b"the key of the workshop"


def refused(link, reason):
    """b refused a's first call with AUTHENTICATION_FAILED for that reason, and nobody keeps anything; the event."""
    link.establish(connection=link.a.config.connections[0].name)
    (failed,) = link.b.happened(AuthenticationFailed)
    assert failed.reason == reason
    (heard,) = link.a.happened(AuthenticationFailed)
    assert heard.detail == "the peer answered authentication-failed"
    assert link.b.happened(IkeEstablished) == []
    assert link.b.sas == {}
    assert link.b.states() == []
    return failed


def in_realm(link):
    """The realm of the one peer that b has, once a has called."""
    link.establish(connection=link.a.config.connections[0].name)
    link.check_established()
    status = link.b.status()
    assert status.realm == status.connection
    return status.realm


# Who belongs where.


@pytest.mark.parametrize(
    ("who", "where"),
    [
        (CARL, "sales"),
        ("Carl@Sales.Example.ORG", "sales"),
        ("boss@sales.example.org", "board"),
        ("a.sales.example.org", "sales"),
        ("a.b.sales.example.org", "sales"),
        ("sales.example.org", "rest"),
        ("till.shop.sales.example.org", "shop"),
        ("C=CH, O=example, OU=sales, CN=carl", "sales"),
        ("CN=dora, OU=works, O=Example", "works"),
        ("O=example, OU=attic, CN=x", "company"),
        ("O=elsewhere, OU=sales", "rest"),
        ("198.51.100.7", "rest"),
        ("10.7.0.1", "works"),
        ("@#0a1b", "rest"),
    ],
)
def test_the_narrowest_rule_decides(ladder, who, where):
    realms = {
        "rest": ("any",),
        "company": ("O=example",),
        "sales": ("*@sales.example.org", "*.sales.example.org", "O=example,OU=sales"),
        "works": ("OU=works, O=example", "10.7.0.0/16"),
        "shop": ("*.shop.sales.example.org",),
        "board": ("boss@sales.example.org",),
    }
    b = gate(*(realm(name, *match) for name, match in realms.items()))
    link = ladder(peers(who), b, own_keys(**{who: KEY}), keys(**dict.fromkeys(realms, KEY)))
    assert in_realm(link) == where


def test_who_fits_no_realm_is_refused(ladder):
    b = gate(realm("sales", "*@sales.example.org"), realm("works", "*@works.example.org"))
    link = ladder(peers("eve@elsewhere.org"), b, own_keys(**{"eve@elsewhere.org": KEY}), keys(sales=KEY, works=KEY))
    assert "eve@elsewhere.org" in refused(link, "unknown-identity").detail


def test_a_connection_of_its_own_comes_before_a_realm(ladder):
    b = gate(realm("sales", CARL), connection(GATE, CARL, name="carl"))
    link = ladder(peers(CARL), b, own_keys(**{CARL: KEY}), keys(sales=OTHER, carl=KEY)).establish(connection=CARL)
    assert (link.b.status().connection, link.b.status().realm) == ("carl", "")


# Credentials are a realm's own.


def test_the_key_of_one_realm_opens_no_other(ladder):
    # Dora of the workshop knows the workshop's key, and says that she is Carl of sales.
    b = gate(realm("sales", "*@sales.example.org"), realm("works", "*@works.example.org"), realm("rest", "any"))
    policy = keys(sales=KEY, works=OTHER, rest=OTHER)
    link = ladder(peers(CARL), b, own_keys(**{CARL: OTHER}), policy)
    assert refused(link, "wrong-key").connection == "sales"


def test_a_realm_with_a_key_for_each(ladder):
    psks = (
        PskSecret("sales", remote_id=CARL, key=KEY),
        PskSecret("sales", remote_id="*@sales.example.org", key=OTHER),
    )
    b = gate(realm("sales", "*@sales.example.org"))
    for who, key in ((CARL, KEY), ("dan@sales.example.org", OTHER)):
        link = ladder(peers(who), b, own_keys(**{who: key}), GuardPolicy(psks=psks))
        assert in_realm(link) == "sales"
    # Who has the key of all is not Carl.
    link = ladder(peers(CARL), b, own_keys(**{CARL: OTHER}), GuardPolicy(psks=psks))
    refused(link, "wrong-key")


def test_the_ca_of_one_realm_vouches_for_nobody_in_another(ladder):
    b = gate(
        realm("sales", "*.sales.example.org", auth="pubkey", cas=("sales CA",)),
        realm("works", "*.works.example.org", auth="pubkey"),
    )
    for name, ca, where in (
        ("a.sales.example.org", "sales CA", "sales"),
        ("a.works.example.org", "ladder CA", "works"),
    ):
        link = ladder(*_called(b, bearer(name, ca=ca)))
        assert in_realm(link) == where
    link = ladder(*_called(b, bearer("a.sales.example.org")))
    assert refused(link, "certificate-rejected").connection == "sales"


def _called(b, a):
    names = {one.name: None if one.local.method == "pubkey" else KEY for one in b.connections}
    return a[0], b, a[1], keys(**names)


# What a certificate says of its owner.


def by_certificate(*more):
    return gate(
        realm("sales", "O=example, OU=sales", auth="pubkey"),
        realm("works", "*@works.example.org", "*.works.example.org", auth="pubkey"),
        *more,
    )


@pytest.mark.parametrize(
    ("who", "subject", "names", "where"),
    [
        # The subject, or an alternative name, where the ID itself leads nowhere.
        ("laptop7.example.org", "C=CH, O=example, OU=sales, CN=laptop7", (), "sales"),
        ("laptop8.example.org", "CN=laptop8", (DORA,), "works"),
        ("laptop9.example.org", "CN=laptop9", ("x.works.example.org",), "works"),
        # The ID that the peer sends comes first.
        ("x.works.example.org", "O=example, OU=sales, CN=x", (), "works"),
        ("laptop6.example.org", "CN=laptop6", (), "rest"),
    ],
)
def test_a_certificate_leads_to_a_realm(ladder, who, subject, names, where):
    b = by_certificate(realm("rest", "any", auth="pubkey"))
    link = ladder(*_called(b, bearer(who, subject, *names)))
    assert in_realm(link) == where
    assert link.b.status().peer == parse_identity(who)


def test_a_certificate_of_the_right_subject_does_not_prove_another_id(ladder):
    #   a --> b    HDR, SK {IDi = boss, CERT (OU=sales, laptop7), AUTH}
    #   a <-- b    HDR, SK {N(AUTHENTICATION_FAILED)}
    subject = "O=example, OU=sales, CN=laptop7"
    b = by_certificate()
    link = ladder(*_called(b, bearer("boss.example.org", subject, shows="laptop7.example.org")))
    failed = refused(link, "certificate-rejected")
    assert failed.connection == "sales"
    assert "does not name the identity boss.example.org" in failed.detail


def test_a_subject_that_an_unknown_ca_has_signed_is_a_claim_and_no_more(ladder):
    b = by_certificate()
    link = ladder(*_called(b, bearer("x.example.org", "O=example, OU=sales, CN=x", ca="somebody's CA")))
    assert refused(link, "certificate-rejected").connection == "sales"


@pytest.mark.parametrize("octets", [b"", b"\x30", b"\x30\x82\xff\xff", b"\x00" * 4000])
def test_a_certificate_that_is_none_leads_nowhere(ladder, octets):
    link = ladder(*_called(by_certificate(), bearer("x.example.org", "O=example, OU=sales, CN=x")))
    tampered(link, swap(CERT, lambda cert: CERT(cert.encoding, octets)))
    (failed,) = link.b.happened(AuthenticationFailed)
    assert (failed.reason, failed.connection) == ("unknown-identity", "")


def test_a_certificate_with_names_without_end_is_looked_at_for_a_while(ladder):
    # The realm's own name comes after all those that are looked at.
    names = [f"n{number}.example.org" for number in range(MAX_NAMES)]
    link = ladder(*_called(by_certificate(), bearer("x.example.org", "CN=x", *names, DORA)))
    refused(link, "unknown-identity")


def test_a_certificate_that_fits_two_realms_is_of_neither(ladder):
    b = by_certificate(realm("shop", "*@shop.example.org", auth="pubkey"))
    link = ladder(*_called(b, bearer("x.example.org", "CN=x", DORA, "till@shop.example.org")))
    detail = refused(link, "ambiguous-realm").detail
    assert "works" in detail and "shop" in detail
    # With one of the two as its ID it says which.
    link = ladder(*_called(b, bearer(DORA, "CN=x", "till@shop.example.org")))
    assert in_realm(link) == "works"


def test_a_name_with_an_attribute_twice_belongs_to_neither_realm(ladder):
    b = gate(realm("sales", "OU=sales"), realm("works", "OU=works"), realm("rest", "any"))
    who = "OU=sales, OU=works, CN=x"
    link = ladder(peers(who), b, own_keys(**{who: KEY}), keys(sales=KEY, works=KEY, rest=KEY))
    refused(link, "ambiguous-realm")


def test_a_shared_key_proves_no_certificate(ladder):
    # Only the ID counts: the certificate that comes along is not looked at.
    b = gate(realm("sales", "O=example, OU=sales", auth="pubkey"), realm("rest", "any"))
    who = "laptop7.example.org"
    link = ladder(peers(who), b, own_keys(**{who: KEY}), keys(sales=None, rest=KEY))
    assert in_realm(link) == "rest"


def test_the_gateway_names_the_cas_of_all_its_realms(ladder):
    #   a --> b    HDR, SAi1, KEi, Ni
    #   a <-- b    HDR, SAr1, KEr, Nr, CERTREQ
    cas = [f"CA {number}" for number in range(MAX_AUTHORITIES + 1)]
    for count, octets in ((1, 20), (2, 40), (len(cas), 0)):
        realms = [realm(f"r{n}", f"OU=r{n}", auth="pubkey", cas=(ca,)) for n, ca in enumerate(cas[:count])]
        link = ladder(*_called(gate(realm("k", "*.k.org"), *realms), bearer("x.example.org", "OU=r0, CN=x", ca=cas[0])))
        link.initiate()
        link.deliver()
        asked = link.read(link.flight[0]).first(CERTREQ)
        assert len(asked.data) == octets
        link.settle()
        assert link.b.status().realm == "r0"


# Algorithms: agreed on before the peer has a name.


def test_the_suite_has_to_be_one_of_the_realms(ladder):
    # a offers what the workshop still allows; then it turns out to be of sales.
    b = gate(
        realm("works", "*@works.example.org", ike=(WEAK,)), realm("sales", "*@sales.example.org", ike=(STRONG,)),
        realm("rest", "any", ike=(WEAK,)),
    )  # fmt: skip
    policy = keys(sales=KEY, works=KEY, rest=KEY)
    link = ladder(peers(CARL, ike=(WEAK,)), b, own_keys(**{CARL: KEY}), policy)
    assert "sales does not allow" in refused(link, "suite-not-allowed").detail
    for who, suite, where in ((DORA, WEAK, "works"), (CARL, STRONG, "sales")):
        link = ladder(peers(who, ike=(suite,)), b, own_keys(**{who: KEY}), policy)
        assert in_realm(link) == where


def test_a_certificate_is_no_way_around_the_realms_suite(ladder):
    b = gate(
        realm("rest", "any", auth="pubkey", ike=(WEAK,)),
        realm("sales", "*.sales.example.org", auth="pubkey", ike=(STRONG,)),
    )
    a, policy = bearer("x.sales.example.org")
    a = config(replace(a.connections[0], proposals=b.connections[0].proposals))
    link = ladder(*_called(b, (a, policy)))
    refused(link, "suite-not-allowed")


def test_a_suite_that_no_realm_allows_is_refused_at_once(ladder):
    b = gate(realm("sales", "*@sales.example.org"), realm("works", "any", ike=(STRONG,)))
    link = ladder(peers(CARL, ike=(WEAK,)), b, own_keys(**{CARL: KEY}), keys(sales=KEY, works=KEY))
    link.initiate(connection=CARL)
    link.deliver()
    (answer,) = link.read(link.flight[0]).payloads
    assert answer.type == NotifyType.NO_PROPOSAL_CHOSEN


# What a peer has in its realm.


def three_peers(ladder, **more):
    everybody = CARL, "dan@sales.example.org", DORA
    b = gate(
        lending("sales", "*@sales.example.org", **more),
        lending("works", "*@works.example.org", policy=PortPolicy("workshop")),
    )
    secrets = own_keys(**{who: OTHER if who == DORA else KEY for who in everybody})
    link = ladder(peers(*everybody, asks=True), b, secrets, keys(sales=KEY, works=OTHER))
    for who in everybody:
        link.initiate(connection=who)
    link.settle()
    return link


def test_each_peer_has_an_address_of_its_realms_pool(ladder):
    link = three_peers(ladder)
    assert {sa.realm: set() for sa in link.b.engine.status()} == {"sales": set(), "works": set()}
    lent = [(sa.realm, str(sa.leased[0])) for sa in link.b.engine.status()]
    assert sorted(lent) == [("sales", "10.1.0.1"), ("sales", "10.1.0.2"), ("works", "10.2.0.1")]
    assert {one.name: one.online for one in link.b.engine.pools()} == {"sales": 2, "works": 1}
    assert len(link.b.sas) == 3


def test_a_full_pool_leaves_the_other_realm_alone(ladder):
    small = pool("10.1.0.1", "10.1.0.1", name="sales")
    b = gate(lending("sales", "*@sales.example.org"), lending("works", "*@works.example.org"), pools=(small, WORKS))
    everybody = CARL, "dan@sales.example.org", DORA
    link = ladder(
        peers(*everybody, asks=True), b, own_keys(**dict.fromkeys(everybody, KEY)), keys(sales=KEY, works=KEY)
    )
    for who in everybody:
        link.initiate(connection=who)
    link.settle()
    lent = sorted((sa.realm, str(sa.leased[0])) for sa in link.b.engine.status())
    assert lent == [("sales", "10.1.0.1"), ("works", "10.2.0.1")]
    assert [event.connection for event in link.b.happened(ChildFailed)] == ["sales"]


def test_the_data_plane_is_told_of_hub_and_isolation(ladder):
    link = three_peers(ladder, policy=isolated("shop"))
    told = {(sa.connection, sa.policy) for sa in link.b.sas.values()}
    assert told == {("sales", isolated("shop")), ("works", PortPolicy("workshop"))}


def test_the_policy_stays_through_rekeys(ladder):
    link = three_peers(ladder, policy=isolated("shop"))
    for child in [child for sa in link.b.engine.status() for child in sa.children]:
        link.call(link.b, "rekey_child", child.child_id)
    for sa in link.b.engine.status():
        link.call(link.b, "rekey_ike", sa.ike_id)
    link.settle()
    assert {sa.policy for sa in link.b.sas.values()} == {isolated("shop"), PortPolicy("workshop")}
    assert {sa.realm for sa in link.b.engine.status()} == {"sales", "works"}


def test_capitals_make_nobody_a_second_peer(ladder):
    # One person, one cable: Carl and CARL are the same.
    b = gate(lending("sales", "*@sales.example.org"))
    link = ladder(
        peers(CARL, CARL.upper(), asks=True, unique="never"), b, own_keys(**{CARL: KEY, CARL.upper(): KEY}),
        keys(sales=KEY),
    )  # fmt: skip
    for who in (CARL, CARL.upper()):
        link.initiate(connection=who)
        link.settle()
    assert [(sa.peer.data.decode(), str(sa.leased[0])) for sa in link.b.engine.status()] == [(CARL.upper(), "10.1.0.1")]


def test_a_peer_that_comes_again_replaces_itself_and_nobody_else(ladder):
    link = three_peers(ladder)
    link.initiate(connection=CARL)
    link.settle()
    who = sorted((sa.peer.data.decode(), str(sa.leased[0])) for sa in link.b.engine.status())
    assert who == [(CARL, "10.1.0.1"), ("dan@sales.example.org", "10.1.0.2"), (DORA, "10.2.0.1")]


def test_a_realm_allows_its_peers_as_many_lanes_as_it_says(ladder):
    for allowed, pairs in ((1, 1), (2, 2), (None, 4)):
        b = gate(realm("sales", "*@sales.example.org", lanes=allowed), lanes=4)
        a = config(connection(CARL, GATE, name=CARL), lanes=4)
        link = ladder(a, b, own_keys(**{CARL: KEY}), keys(sales=KEY)).establish(connection=CARL)
        link.advance(5)
        assert len(link.b.sas) == pairs


def test_a_realm_of_strangers(ladder):
    # Two who prove nothing are two, and neither is in another realm, whatever that takes.
    guests = realm("guests", "any", auth="pubkey")
    nobody = IdentityPattern.parse("%null")
    guests = replace(guests, remote=RemoteAuth("null", nobody), match=(nobody,))
    a, policy = side("null", "pubkey", name="a.example.org", peer=GATE, unique="never")
    b = gate(realm("rest", "any"), realm("sales", "*@sales.example.org", auth="pubkey"), guests)
    link = ladder(config(a), b, policy, keys(rest=KEY, sales=None, guests=None)).establish().establish()
    assert [sa.realm for sa in link.b.engine.status()] == ["guests", "guests"]


def test_a_realm_calls_nobody(ladder):
    link = ladder(b=gate(realm("sales", "any")))
    with pytest.raises(LocalError, match="realm-calls-nobody"):
        link.b.engine.initiate("sales", link.now, link.b.path_to(link.a))
    assert link.b.states() == []


# Tickets (RFC 5723).


def resuming(ladder, a, b, policy_a, policy_b):
    a = config(*(replace(one, resumption=True) for one in a.connections))
    b = replace(b, connections=tuple(replace(one, resumption=True) for one in b.connections))
    link = ladder(a, b, policy_a, policy_b)
    for one in link.sides:
        one.keep_vault()
    name = a.connections[0].name
    link.establish(connection=name)
    link.advance(60)
    spi = link.a.child().spi_out
    link.b.restart()
    link.call(link.a, "unknown_spi", spi, link.a.path_to(link.b, natt=True))
    link.settle()
    assert link.a.states() == []
    return link, name


@pytest.mark.parametrize("who", ["x.works.example.org", "laptop7.example.org"])
def test_a_ticket_leads_back_into_the_realm(ladder, who):
    # By its ID, or by its certificate, which does not come along this time.
    a, policy = bearer(who, "O=example, OU=sales, CN=x")
    b = by_certificate(realm("rest", "any", auth="pubkey"))
    where = "works" if "works" in who else "sales"
    link, name = resuming(ladder, a, b, policy, keys(sales=None, works=None, rest=None))
    link.establish(connection=name)
    assert [event.resumed for event in link.b.happened(IkeEstablished)] == [False, True]
    assert link.b.status().realm == where


def test_a_ticket_is_worth_nothing_once_the_rules_have_changed(ladder):
    a, policy = bearer("laptop7.example.org", "O=example, OU=sales, CN=x")
    b = by_certificate()
    link, name = resuming(ladder, a, b, policy, keys(sales=None, works=None, other=None))
    more = realm("other", "O=example, OU=sales, CN=x", auth="pubkey", resumption=True)
    link.b.config = replace(link.b.config, connections=(*link.b.config.connections, more))
    link.b.restart()
    link.establish(connection=name)
    assert link.b.count("ticket-policy-changed") == 1
    assert [event.resumed for event in link.b.happened(IkeEstablished)] == [False, False]
    assert link.b.status().realm == "other"


# Three hundred of them.


def test_three_hundred_realms_cost_a_handshake_what_one_costs(ladder):
    tried = []
    for count in (1, 300):
        realms = [
            lending(f"r{n}", f"*@r{n}.example.org", f"O=example, OU=r{n}", pool="sales") for n in reversed(range(count))
        ]
        who = "x@r0.example.org"
        link = ladder(
            peers(who, asks=True), gate(*realms), own_keys(**{who: KEY}), keys(**{one.name: KEY for one in realms})
        )
        before = link.b.engine._ctx.directory.patterns.tried
        assert in_realm(link) == "r0"
        directory = link.b.engine._ctx.directory
        tried.append(directory.patterns.tried - before)
        # All have the same proposals, so one is asked in IKE_SA_INIT, however many there are.
        assert len(directory.offers(link.b.status().path)) == 1
    assert tried[0] == tried[1] <= 2


def test_strangers_with_a_suite_of_their_own_are_refused_after_one_try(ladder):
    realms = [realm(f"r{n}", f"*@r{n}.example.org") for n in range(300)]
    link = ladder(peers(CARL, ike=(WEAK,)), gate(*realms), own_keys(**{CARL: KEY}), keys(r0=KEY))
    link.initiate(connection=CARL)
    link.settle()
    assert link.b.count("no-proposal-chosen") == 1
    assert len(link.b.engine._ctx.directory.offers(link.b.path_to(link.a))) == 1
