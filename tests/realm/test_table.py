"""The index of patterns: it finds what trying each would find, and tries next to none."""

from hypothesis import given
from hypothesis import strategies as st
from realm_texts import IDENTITIES, RULES, WHOLE

from rhp.pki.identity import ANONYMOUS, parse_identity
from rhp.realm.pattern import IdentityPattern
from rhp.realm.table import PatternTable
from rhp.wire.iana import IdType
from rhp.wire.identity import Identity


def table(*rules):
    return PatternTable([(IdentityPattern.rule(text), text) for text in rules])


def found(made, who):
    return [text for _, text in made.find(parse_identity(who))]


@given(st.lists(st.tuples(st.booleans(), WHOLE), max_size=20), IDENTITIES)
def test_the_index_finds_what_a_search_through_all_finds(texts, identity):
    read = {True: IdentityPattern.rule, False: IdentityPattern.parse}
    entries = [(read[partial and text != "%null"](text), number) for number, (partial, text) in enumerate(texts)]
    naive = [entry for entry in entries if entry[0].matches(identity)]
    naive.sort(key=lambda entry: entry[0].specificity, reverse=True)
    assert PatternTable(entries).find(identity) == naive


@given(st.lists(RULES, max_size=20), IDENTITIES)
def test_each_pattern_that_fits_comes_out_once(texts, identity):
    entries = [(IdentityPattern.rule(text), number) for number, text in enumerate(texts)]
    numbers = [number for _, number in PatternTable(entries).find(identity)]
    assert len(numbers) == len(set(numbers))


def test_the_narrowest_comes_first():
    made = table("%any", "*.example.org", "*.sales.example.org", "a.sales.example.org")
    assert found(made, "A.sales.example.org") == [
        "a.sales.example.org",
        "*.sales.example.org",
        "*.example.org",
        "%any",
    ]
    made = table("%any", "0.0.0.0/0", "10.1.0.0/16", "10.0.0.0/8", "10.1.2.3")
    assert found(made, "10.1.2.3") == ["10.1.2.3", "10.1.0.0/16", "10.0.0.0/8", "0.0.0.0/0", "%any"]
    made = table("%any", "O=example", "OU=sales, O=example", "O=example, OU=*")
    assert found(made, "C=CH, O=Example, OU=Sales, CN=x") == [
        "OU=sales, O=example",
        "O=example, OU=*",
        "O=example",
        "%any",
    ]


def test_who_has_no_name_is_nobody_else():
    made = table("%any", "*.example.org")
    assert made.find(ANONYMOUS) == []
    assert made.find(Identity(IdType.NULL, b"a.example.org")) == []


def test_three_hundred_realms_cost_what_one_costs():
    rules = [
        text
        for number in range(300)
        for text in (
            f"*@r{number}.example.org",
            f"*.r{number}.example.org",
            f"C=CH, O=example, OU=r{number}",
            f"only@r{number}.example.org",
            f"10.{number % 256}.{number // 256}.0/24",
        )
    ]
    made = table(*rules, "%any")
    for who, first in (
        ("x@r7.example.org", "*@r7.example.org"),
        ("only@r299.example.org", "only@r299.example.org"),
        ("a.b.r150.example.org", "*.r150.example.org"),
        ("C=CH, O=example, OU=r0, CN=x", "C=CH, O=example, OU=r0"),
        ("10.7.1.9", "10.7.1.0/24"),
        ("stranger@elsewhere.org", "%any"),
        ("C=CH, O=example, CN=x", "%any"),
    ):
        before = made.tried
        assert found(made, who)[0] == first
        assert made.tried - before <= 2


def test_a_name_of_nothing_but_dots_is_not_looked_at_for_long():
    made = table(*(f"*.r{number}.example.org" for number in range(300)))
    before = made.tried
    assert made.find(Identity(IdType.FQDN, b"." * 4096)) == []
    assert made.tried == before


def test_octets_that_read_like_the_parts_of_a_name_are_not_that_name():
    made = table("@#00", "C=CH, CN=gate")
    forged = repr((("2.5.4.6", "ch"), ("2.5.4.3", "gate"))).encode()
    assert made.find(Identity(IdType.DER_ASN1_DN, forged)) == []
