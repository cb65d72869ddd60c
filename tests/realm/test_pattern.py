"""The texts of a realm's `match`. Those of a connection's `remote.id` are tried in tests/pki/test_identity.py."""

import pytest
from hypothesis import given
from realm_texts import WHOLE

from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern


@pytest.mark.parametrize(
    ("rule", "matching", "others"),
    [
        ("any", ["a.b", "a@b", "10.0.0.1", "CN=x"], []),
        ("%any", ["a.b"], []),
        ("*@sales.example.com", ["carl@sales.example.com"], ["carl@example.com", "sales.example.com"]),
        ("*.sales.example.com", ["a.sales.example.com", "a.b.sales.example.com"], ["sales.example.com"]),
        ("carl@example.com", ["Carl@Example.com"], ["carla@example.com"]),
        ("10.0.0.1", ["10.0.0.1"], ["10.0.0.2"]),
        ("10.0.0.0/8", ["10.0.0.1", "10.255.0.0"], ["11.0.0.1", "@10.0.0.1", "::a00:1"]),
        ("fd00::/8", ["fd12::1"], ["fe80::1", "10.0.0.1"]),
        (
            "O=example,OU=sales",
            ["O=example, OU=sales", "C=CH, O=Example, OU=SALES, CN=x", "OU=sales, CN=x, O=example"],
            ["O=example", "O=example, OU=production", "O=example sales", "sales.example.com"],
        ),
        ("O=example, OU=*", ["O=example, OU=x"], ["O=example, CN=x", "OU=x"]),
    ],
)
def test_rules(rule, matching, others):
    pattern = IdentityPattern.rule(rule)
    for text in matching:
        assert pattern.matches(parse_identity(text)), text
    for text in others:
        assert not pattern.matches(parse_identity(text)), text


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("", "not an identity"),
        ("sales*", 'write "%any"'),
        ("10.0.0.1/8", 'write "10.0.0.0/8"'),
        ("10.0.0.0/33", "not an identity"),
        ("*@", "a domain has to follow"),
        ("O=", "not a part"),
        ("XX=y", "not an attribute"),
        ("O=x, o = X", "a part twice"),
        ("OU=*, OU=*", "a part twice"),
    ],
)
def test_what_is_no_rule_says_why(rule, said):
    with pytest.raises(ValueError, match=said):
        IdentityPattern.rule(rule)


def test_a_whole_name_and_its_parts_are_two_patterns():
    whole, parts = IdentityPattern.parse("O=x, CN=y"), IdentityPattern.rule("O=x, CN=y")
    assert whole != parts
    longer = parse_identity("O=x, CN=y, OU=z")
    assert not whole.matches(longer)
    assert parts.matches(longer)
    assert whole.specificity > parts.specificity


@pytest.mark.parametrize("read", [IdentityPattern.parse, IdentityPattern.rule])
@pytest.mark.parametrize("text", ["%any", "*", "any"])
def test_everybody_is_written_alike_for_a_connection_and_for_a_realm(text, read):
    assert read(text) == IdentityPattern.parse("%any")
    assert read(text).kind == "any"


def test_more_parts_are_narrower_and_a_value_is_narrower_than_any():
    rules = ["%any", "O=*", "O=x", "O=x, OU=*", "O=x, OU=y", "O=x, OU=y, CN=z"]
    ranks = [IdentityPattern.rule(rule).specificity for rule in rules]
    assert ranks == sorted(set(ranks))


@given(WHOLE)
def test_a_pattern_travels_as_one_text(text):
    read = [IdentityPattern.parse] if text == "%null" else [IdentityPattern.parse, IdentityPattern.rule]
    for pattern in (one(text) for one in read):
        again = IdentityPattern.restore(pattern.export())
        assert again == pattern
        assert (again.parts, again.domain, again.network) == (pattern.parts, pattern.domain, pattern.network)
