"""Which patterns of two realms leave open where a peer belongs."""

from hypothesis import given
from hypothesis import strategies as st
from realm_texts import RULES

from rhp.realm.conflicts import conflicts
from rhp.realm.pattern import IdentityPattern


def among(*owned):
    return conflicts([(owner, IdentityPattern.rule(text)) for owner, text in owned])


def test_the_same_rule_in_two_realms():
    for text, again in (
        ("any", "%any"),
        ("*@x.org", "*@X.org"),
        ("*.x.org", "*.x.ORG"),
        ("a@x.org", "A@x.org"),
        ("O=x, OU=y", "ou=Y, o=X"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.0/8"),
    ):
        assert among(("sales", text), ("production", again)) == [(1, 0)]
        assert among(("sales", text), ("sales", again)) == [(1, 0)]


def test_of_two_rules_one_is_narrower():
    assert (
        among(
            ("all", "any"),
            ("company", "*.example.org"),
            ("sales", "*.sales.example.org"),
            ("net", "10.0.0.0/8"),
            ("part", "10.1.0.0/16"),
            ("boss", "boss.sales.example.org"),
            ("mail", "*@example.org"),
            ("names", "O=example"),
            ("sold", "O=example, OU=sales"),
            ("made", "O=example, OU=production"),
        )
        == []
    )


def test_parts_that_say_as_much_about_different_things():
    assert among(("sales", "O=example, OU=sales"), ("swiss", "O=example, C=CH")) == [(1, 0)]
    assert among(("sales", "OU=sales"), ("swiss", "C=CH")) == [(1, 0)]
    # Another organisation's Swiss are other people; more parts are narrower; one realm may have both.
    assert among(("sales", "O=example, OU=sales"), ("swiss", "O=other, C=CH")) == []
    assert among(("sales", "O=example, OU=sales"), ("swiss", "C=CH")) == []
    assert among(("sales", "O=example, OU=sales"), ("sales", "O=example, C=CH")) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), RULES), max_size=12))
def test_each_conflict_is_one_and_none_is_missing(texts):
    owned = [(owner, IdentityPattern.rule(text)) for owner, text in texts]
    found = conflicts(owned)
    assert [one.later for one in found] == sorted({one.later for one in found})
    naive = {
        later for later in range(len(owned)) for earlier in range(later) if _is_conflict(owned[later], owned[earlier])
    }
    assert {one.later for one in found} == naive
    assert all(_is_conflict(owned[one.later], owned[one.earlier]) for one in found)


def _is_conflict(one, other):
    (owner, pattern), (another, rival) = one, other
    if pattern.specificity != rival.specificity:
        return False
    if pattern.kind != "parts":
        if pattern.kind == "exact":
            return pattern.matches(rival.identity)
        return (pattern.domain, pattern.network) == (rival.domain, rival.network)
    if set(pattern.parts) == set(rival.parts):
        return True
    ours, theirs = sorted(oid for oid, _ in pattern.parts), sorted(oid for oid, _ in rival.parts)
    once = [oid for oid in ours if ours.count(oid) == theirs.count(oid) == 1]
    same = all([v for o, v in pattern.parts if o == oid] == [v for o, v in rival.parts if o == oid] for oid in once)
    return owner != another and ours != theirs and same


def test_a_thousand_realms_are_compared_at_once():
    owned = [(f"r{n}", IdentityPattern.rule(text)) for n in range(1000) for text in (f"O=x, OU=u{n}", f"*@u{n}.org")]
    owned += [(f"c{n}", IdentityPattern.rule(f"O=y, C=c{n}")) for n in range(1000)]
    assert conflicts(owned) == []
