"""Which realm a peer belongs to: whatever the order of the file, and never two where the configuration was accepted."""

from dataclasses import replace
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from realm_texts import IDENTITIES, RULES

from rhp.crypto.proposal import default_esp_proposals, parse_ike_proposal
from rhp.crypto.suite import IkeSuite
from rhp.ike.candidates import Claim, NobodyFits, by_identity, by_proposal
from rhp.ike.config import ChildConfig, ConnectionConfig, LocalAuth, RemoteAuth
from rhp.ike.directory import Directory
from rhp.ike.path import Endpoint, Path
from rhp.pki.identity import parse_identity
from rhp.realm.conflicts import conflicts
from rhp.realm.pattern import IdentityPattern, dn_parts
from rhp.wire.sa import SA

GATE = parse_identity("gate.example.org")
IKE = parse_ike_proposal("aes128gcm16-prfsha256-x25519")
CHILD = ChildConfig("c", "ethernet", (), (), default_esp_proposals())
HERE = Path(Endpoint(ip_address("192.0.2.1"), 500), Endpoint(ip_address("192.0.2.2"), 500), natt=False)

REALMS = st.lists(
    st.tuples(st.sampled_from(["psk", "pubkey"]), st.lists(RULES, min_size=1, max_size=3)), min_size=1, max_size=5
)


def realm(name, method, rules):
    return ConnectionConfig(
        name,
        LocalAuth(method, GATE),
        RemoteAuth(method, IdentityPattern.parse("%any")),
        (IKE,),
        (CHILD,),
        match=tuple(map(IdentityPattern.rule, rules)),
    )


def suite() -> IkeSuite:
    return by_proposal([realm("x", "psk", ["any"])], SA((IKE.to_wire(1),)), 31, intermediate=True)[2]


SUITE = suite()


def choice(realms, claim):
    """The realm's name, or why there is none."""
    try:
        return by_identity(Directory(tuple(realms)), HERE, claim).name
    except NobodyFits as error:
        return error.reason


def accepted(realms):
    """Whether the configuration takes these realms, as it looks at those of one method together."""
    return all(
        not conflicts([(one.name, rule) for one in realms if one.remote.method == method for rule in one.match])
        for method in ("psk", "pubkey")
    )


def made(described):
    return [realm(f"r{number}", method, rules) for number, (method, rules) in enumerate(described)]


@given(REALMS, IDENTITIES, st.sampled_from(["psk", "pubkey"]), st.lists(IDENTITIES, max_size=3), st.randoms())
def test_the_order_of_the_realms_says_nothing(described, peer, method, names, chance):
    realms = made(described)
    claim = Claim(peer, None, method, SUITE, lambda: names)
    other = list(realms)
    chance.shuffle(other)
    assert choice(realms, claim) == choice(other, claim)


@given(REALMS, IDENTITIES, st.sampled_from(["psk", "pubkey"]))
def test_an_id_is_never_of_two_realms_that_were_accepted(described, peer, method):
    realms = made(described)
    parts = dn_parts(peer) or ()
    if accepted(realms) and len({oid for oid, _ in parts}) == len(parts):
        assert choice(realms, Claim(peer, None, method, SUITE)) != "ambiguous-realm"


@given(REALMS, IDENTITIES, st.sampled_from(["psk", "pubkey"]), st.lists(IDENTITIES, max_size=3))
def test_who_is_chosen_is_matched_by_its_id_or_a_name_of_its_certificate(described, peer, method, names):
    realms = made(described)
    chosen = choice(realms, Claim(peer, None, method, SUITE, lambda: names))
    for one in realms:
        if one.name == chosen:
            shown = [peer, *(names if method == "pubkey" else ())]
            assert any(rule.matches(name) for rule in one.match for name in shown)


@given(REALMS, IDENTITIES, st.lists(IDENTITIES, max_size=3))
def test_a_key_holder_gets_into_no_realm_that_another_knows_better(described, peer, names):
    """Among all realms, whatever their proof, nobody but those of the narrowest rule may take the ID."""
    realms = made(described)
    chosen = choice(realms, Claim(peer, None, "psk", SUITE, lambda: names))
    best = {one.name: max((r.specificity for r in one.match if r.matches(peer)), default=None) for one in realms}
    narrowest = max((rank for rank in best.values() if rank is not None), default=None)
    if chosen in best:
        assert best[chosen] == narrowest


@given(REALMS, IDENTITIES)
def test_a_suite_of_no_realm_lets_nobody_in(described, peer):
    realms = [replace(one, proposals=(parse_ike_proposal("aes256gcm16-prfsha384-ecp384"),)) for one in made(described)]
    assert choice(realms, Claim(peer, None, "psk", SUITE)) in (
        "suite-not-allowed",
        "unknown-identity",
        "ambiguous-realm",
    )
