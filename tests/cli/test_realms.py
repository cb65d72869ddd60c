"""`rhp realms`: who belongs to which realm, and who is there."""

import json

import pytest
from picture import PICTURE, WITH_REALMS


@pytest.fixture
def with_realms(monkeypatch, answering):
    """The node that answers has two realms, one of them with a peer."""
    for key, value in WITH_REALMS.items():
        monkeypatch.setitem(PICTURE, key, value)


def test_every_realm_with_its_rules(rhp, folder, with_realms):
    result = rhp("realms", "-c", folder / "rhp.toml")
    assert result.exit_code == 0, result.output
    head, sales, works = result.output.splitlines()
    assert head.split() == ["REALM", "PEERS", "PROOF", "HUB", "POOLS", "MATCH"]
    assert " ".join(sales.split()) == "sales 1 pubkey shop, isolated sales 1/254 *@x.org, O=example, OU=sales"
    assert " ".join(works.split()) == "works 0 pubkey own - any"


def test_the_peers_of_one_realm(rhp, folder, with_realms):
    head, carl = rhp("realms", "sales", "-c", folder / "rhp.toml").output.splitlines()
    assert head.split() == ["PEER", "ADDRESS", "LENT", "AGE", "RECEIVED", "SENT", "SUITE"]
    assert carl.split()[:3] == ["carl@x.org", "192.0.2.7:4500", "10.1.0.1"]
    # What the pair of one lane carried stands with the pair that serves all.
    assert "1.2 MB" in carl
    assert "nobody is in the realm works now" in rhp("realms", "works", "-c", folder / "rhp.toml").output


def test_as_json(rhp, folder, with_realms):
    told = json.loads(rhp("realms", "-o", "json", "-c", folder / "rhp.toml").output)
    assert [one["name"] for one in told["realms"]] == ["sales", "works"]
    assert [one["peer"] for one in told["peers"]] == ["carl@x.org"]
    assert told["schema_version"] == 1
    told = json.loads(rhp("realms", "works", "-o", "json", "-c", folder / "rhp.toml").output)
    assert ([one["name"] for one in told["realms"]], told["peers"]) == (["works"], [])


def test_a_realm_that_is_not_there_gets_a_hint(rhp, folder, with_realms):
    result = rhp("realms", "sale", "-c", folder / "rhp.toml")
    assert result.exit_code == 1
    assert 'there is no realm "sale"; write sales' in result.output


def test_a_node_without_realms_says_how_to_write_one(rhp, folder, answering):
    assert "[realms.NAME]" in rhp("realms", "-c", folder / "rhp.toml").output
