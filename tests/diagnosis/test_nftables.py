"""What nftables does with a packet: rule sets made by nft itself, in a network namespace of their own."""

import json
import subprocess

import pytest

from rhp.diagnosis.nftables import Packet, Ruleset

pytestmark = pytest.mark.netns

IKE = Packet(4, "udp", 500)
ESP = Packet(4, "esp")


def ruleset(text):
    """The rule set of a file, as nft lists it."""
    script = "nft -f - && nft -j list ruleset"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script], input=text, capture_output=True, text=True, check=True, timeout=120
    )
    return Ruleset(json.loads(done.stdout))


def chain(*rules, policy="drop", family="inet", more=()):
    """A base chain of these rules, and what else the table holds."""
    base = ["chain in {", f"type filter hook input priority 0; policy {policy};", *rules, "}"]
    return ruleset("\n".join([f"table {family} own {{", *more, *base, "}", ""]))


def test_without_rules_everything_passes():
    assert ruleset("").fate(IKE, "input") == ("passes", None)
    assert chain(policy="accept").fate(IKE, "input") == ("passes", None)


DOCKERS = """
table ip filter {
    chain DOCKER { oifname "docker0" tcp dport 80 accept; }
    chain FORWARD {
        type filter hook forward priority 0; policy drop;
        %s
        ct state established accept
        jump DOCKER
    }
}
"""


@pytest.mark.parametrize(
    ("rule", "fate"),
    [
        ("", "depends"),
        ('iifname "rhp0" accept', "passes"),
        ('iifname "rhp*" accept', "passes"),
        ('iifname { "eth0", "rhp0" } accept', "passes"),
        ('iifname "rhp1" accept', "depends"),
        ('iifname "rhp0" drop', "blocked"),
        ('iifname != "rhp0" accept', "depends"),
    ],
)
def test_what_a_peer_sends_on_through_this_machine(rule, fate):
    packet = Packet(4, "tcp", None, "new", "rhp0")
    assert ruleset(DOCKERS % rule).fate(packet, "forward")[0] == fate
    # Chains of IPv4 have no say in IPv6.
    assert ruleset(DOCKERS % rule).fate(Packet(6, "tcp", None, "new", "rhp0"), "forward")[0] == "passes"


def test_a_policy_that_drops_is_to_blame():
    assert chain().fate(IKE, "input") == ("blocked", "inet own in")
    assert chain().fate(IKE, "output") == ("passes", None)


@pytest.mark.parametrize(
    ("rule", "passing"),
    [
        ("udp dport 500 accept", {500}),
        ("udp dport { 500, 4500 } accept", {500, 4500}),
        ("udp dport 400-600 counter accept", {500}),
        ("udp dport != 500 accept", {4500}),
        ("meta l4proto udp accept", {500, 4500}),
        ("meta l4proto { tcp, udp } th dport 500 accept", {500}),
        ("ip protocol udp accept", {500, 4500}),
        ("meta nfproto ipv4 accept", {500, 4500}),
        ("meta nfproto ipv6 accept", set()),
        ("ip6 nexthdr udp accept", set()),
        ("tcp dport 500 accept", set()),
        ("ct state established accept", set()),
        ("ct state new udp dport 500 accept", {500}),
        ('iifname "lo" accept', set()),
        ('iifname != "lo" accept', {500, 4500}),
        ("udp dport vmap { 500 : accept, 4500 : drop }", {500}),
        ("ct state vmap { established : accept, new : jump sub }", {500}),
        ("udp dport 4500 return; accept", {500}),
        ("meta l4proto udp goto sub; accept", {500}),
        ("meta l4proto udp jump sub; accept", {500, 4500}),
    ],
)
def test_matches_are_read_as_nft_writes_them(rule, passing):
    rules = chain(rule, more=["chain sub {", "udp dport 500 accept", "}"])
    found = {port for port in (500, 4500) if rules.fate(Packet(4, "udp", port), "input")[0] == "passes"}
    assert found == passing


def test_what_comes_first_counts():
    assert chain("udp dport 500 drop", "accept").fate(IKE, "input")[0] == "blocked"
    assert chain("accept", "udp dport 500 drop").fate(IKE, "input")[0] == "passes"
    assert chain("udp dport 500 reject", policy="accept").fate(IKE, "input")[0] == "blocked"


@pytest.mark.parametrize("match", ["ip saddr 192.0.2.1", 'iifname "eth0"', "ip saddr @friends", "limit rate 5/second"])
def test_what_is_not_known_makes_it_depend(match):
    more = ["set friends {", "type ipv4_addr", "elements = { 192.0.2.1 }", "}"]
    assert chain(f"{match} udp dport 500 accept", more=more).fate(IKE, "input") == ("depends", "inet own in")
    # A list of those who are kept out keeps nobody else out.
    assert chain(f"{match} drop", policy="accept", more=more).fate(IKE, "input")[0] == "passes"


def test_esp_has_no_ports():
    assert chain("meta l4proto esp accept").fate(ESP, "input")[0] == "passes"
    assert chain("udp dport 500 accept").fate(ESP, "input")[0] == "blocked"


def test_families_are_kept_apart():
    rules = chain("meta l4proto udp accept", family="ip6")
    assert rules.fate(IKE, "input")[0] == "passes"
    assert chain(family="ip6").fate(Packet(6, "udp", 500), "input")[0] == "blocked"


def test_an_answer_gets_in_where_a_stranger_does_not():
    rules = chain("ct state established,related accept")
    assert rules.fate(IKE, "input")[0] == "blocked"
    assert rules.fate(Packet(4, "udp", 500, "established"), "input")[0] == "passes"


def test_chains_that_call_each_other_come_to_an_end():
    # The kernel refuses such a loop, but what is read here may be anything.
    jump = {"jump": {"target": "in"}}
    loop = Ruleset(
        {
            "nftables": [
                {
                    "chain": {
                        "family": "ip",
                        "table": "t",
                        "name": "in",
                        "type": "filter",
                        "hook": "input",
                        "policy": "drop",
                    }
                },
                {"rule": {"family": "ip", "table": "t", "chain": "in", "expr": [jump]}},
            ]
        }
    )
    assert loop.fate(IKE, "input")[0] == "blocked"


@pytest.mark.parametrize(
    "expression",
    [{"match": {}}, {"match": {"left": 1, "right": {}}}, {"vmap": {}}, {"strange": 1}, {}, {"a": 1, "b": 2}],
)
def test_what_is_not_understood_decides_nothing(expression):
    listed = [
        {"chain": {"family": "ip", "table": "t", "name": "in", "type": "filter", "hook": "input", "policy": "accept"}},
        {"rule": {"family": "ip", "table": "t", "chain": "in", "expr": [expression, {"drop": None}]}},
    ]
    assert Ruleset({"nftables": listed}).fate(IKE, "input")[0] in ("passes", "blocked")
