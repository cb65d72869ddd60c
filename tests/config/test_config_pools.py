"""Pools of inner addresses in the configuration: what comes of them, and every mistake that they can hold."""

from ipaddress import ip_address, ip_network

import pytest

from rhp.config.describe import describe
from rhp.config.errors import ConfigError
from rhp.config.loading import load
from rhp.pki.identity import parse_identity
from rhp.realm.pool import Span

SERVER = """\
[interface]
addresses = ["10.88.0.1/24"]

[pools.staff]
addresses = ["10.88.0.0/24"]
dns = "10.88.0.1"
domains = ["Corp.Example.org."]
nbns = ["10.88.0.4"]
subnets = ["10.0.0.0/8"]
fixed = {"a@example.org" = "10.88.0.7", "C=CH, CN=b" = "10.88.0.8"}

[pools.staff6]
addresses = ["fd88::/64", "fd89::1-fd89::ff"]

[connections.road]
pools = ["staff", "staff6"]
psk_file = "office.psk"
local.id = "gate.example.org"
remote.id = "*@example.org"

[connections.road.children.net]
mode = "tunnel"
local_ts = ["10.0.0.0/8", "fd00::/8"]
"""

CLIENT = """\
[connections.office]
remote_addrs = ["192.0.2.7"]
request_addresses = true
psk_file = "office.psk"
local.id = "a@example.org"
remote.id = "gate.example.org"

[connections.office.children.net]
mode = "tunnel"
remote_ts = ["10.0.0.0/8"]
"""


def spans(*texts):
    return tuple(Span(*map(ip_address, one.split("-"))) for one in texts)


def test_a_gateway_s_pools(written, now):
    loaded = load(written(SERVER), now)
    staff, staff6 = loaded.engine.pools
    assert staff.spans == spans("10.88.0.1-10.88.0.254")
    assert (staff.prefix, staff.version) == (24, 4)
    assert staff.dns == (ip_address("10.88.0.1"),)
    assert staff.domains == ("corp.example.org",)
    assert staff.nbns == (ip_address("10.88.0.4"),)
    assert staff.subnets == (ip_network("10.0.0.0/8"),)
    assert staff.fixed[0] == (parse_identity("a@example.org"), ip_address("10.88.0.7"))
    assert staff.reserved == {ip_address("10.88.0.1")}
    assert staff6.spans == spans("fd88::1-fd88::ffff:ffff:ffff:ffff", "fd89::1-fd89::ff")
    (connection,) = loaded.engine.connections
    assert connection.pools == ("staff", "staff6")
    assert connection.children[0].remote_ts == ()
    lines = list(describe(loaded))
    assert (
        "pool staff: lends 10.88.0.1-10.88.0.254; 2 of them fixed; name servers 10.88.0.1 for corp.example.org" in lines
    )
    assert any(line.endswith("lends from staff, staff6") for line in lines)
    assert "  child net: IP from 10.0.0.0/8, fd00::/8 to the address that the peer is lent" in lines


def test_a_client(written, now):
    loaded = load(written(CLIENT), now)
    (connection,) = loaded.engine.connections
    assert connection.request_addresses
    assert connection.children[0].local_ts == ()
    assert "  child net: IP from the address that we are given to 10.0.0.0/8" in list(describe(loaded))


@pytest.mark.parametrize(
    ("written_as", "expected", "prefix"),
    [
        ("10.0.0.0/30", "10.0.0.1-10.0.0.2", 30),
        ("10.0.0.0/31", "10.0.0.0-10.0.0.1", 31),
        ("10.0.0.5", "10.0.0.5-10.0.0.5", 32),
        ("10.0.0.0-10.0.0.255", "10.0.0.0-10.0.0.255", 32),
        ("10.0.0.0/8", "10.0.0.1-10.255.255.254", 8),
        ("fd00::/127", "fd00::-fd00::1", 127),
        ("fd00::/8", "fd00::1-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 8),
        ("fd00::7", "fd00::7-fd00::7", 128),
    ],
)
def test_ranges(written, now, written_as, expected, prefix):
    loaded = load(written(CLIENT + f'\n[pools.p]\naddresses = "{written_as}"\n'), now)
    (pool,) = loaded.engine.pools
    assert pool.spans == spans(expected)
    assert pool.prefix == prefix


def problems(file, now):
    with pytest.raises(ConfigError) as caught:
        load(file, now)
    return {problem.where: problem.message for problem in caught.value.problems}


# (what is replaced in SERVER, by what, where the mistake is, words that the sentence must hold)
MISTAKES = [
    ('["10.88.0.0/24"]', '["10.88.0.7/24"]', "pools.staff.addresses[0]", ["bits set", "10.88.0.0/24"]),
    ('["10.88.0.0/24"]', '["10.88.0.9-10.88.0.2"]', "pools.staff.addresses[0]", ["backwards"]),
    ('["10.88.0.0/24"]', '["10.88.0.9-fd00::1"]', "pools.staff.addresses[0]", ["mixes"]),
    ('["10.88.0.0/24"]', '["10.88.0.x-10.88.0.2"]', "pools.staff.addresses[0]", ["not a range"]),
    ('["10.88.0.0/24"]', '["10.88.0.0/24", "fd88:1::/64"]', "pools.staff.addresses[1]", ["two pools"]),
    ('["10.88.0.0/24"]', '["10.88.0.0/24", "10.88.0.200"]', "pools.staff.addresses[1]", ["overlaps", "this pool"]),
    ('["10.88.0.0/24"]', '["10.88.0.0/24", "10.0.0.0/8"]', "pools.staff.addresses[0]", ["overlaps 10.0.0.1-"]),
    ('addresses = ["10.88.0.0/24"]\n', "", "pools.staff.addresses", ["missing", "10.88.0.0/24"]),
    ("fd89::1-fd89::ff", "fd88::1", "pools.staff6.addresses[1]", ["overlaps fd88::1-", "this pool"]),
    ('dns = "10.88.0.1"', 'dns = ["10.88.0.1", "fd00::1"]', "pools.staff.dns[1]", ["another IP version", "IPv4 pool"]),
    ('dns = "10.88.0.1"', 'dns = "dns.example"', "pools.staff.dns", ["not an IP address"]),
    ('dns = "10.88.0.1"', 'dns = "fe80::1%eth0"', "pools.staff.dns", ["has a scope"]),
    ('subnets = ["10.0.0.0/8"]', 'subnets = ["fe80::%eth0/64"]', "pools.staff.subnets[0]", ["has a scope"]),
    ('"fd88::/64"', '"fd88::%eth0/64"', "pools.staff6.addresses[0]", ["has a scope"]),
    ("fd89::1-fd89::ff", "fd89::1%a-fd89::ff%a", "pools.staff6.addresses[1]", ["has a scope"]),
    ('dns = "10.88.0.1"', 'dns = "127.0.0.1"', "pools.staff.dns", ["cannot be"]),
    ('dns = "10.88.0.1"\n', "", "pools.staff.domains", ["nobody is there to ask"]),
    ('"Corp.Example.org."', '"a b"', "pools.staff.domains[0]", ["not the name of a domain"]),
    ('subnets = ["10.0.0.0/8"]', 'subnets = ["fd00::/8"]', "pools.staff.subnets[0]", ["another IP version"]),
    ('"fd89::1-fd89::ff"]', '"fd89::1-fd89::ff"]\nnbns = "10.0.0.1"', "pools.staff6.nbns", ["IPv4 only"]),
    ('["10.88.0.0/24"]', '["224.0.0.0/24"]', "pools.staff.addresses[0]", ["that no host can have", "write"]),
    ('["10.88.0.0/24"]', '["0.0.0.0/0"]', "pools.staff.addresses[0]", ["that no host can have", "write"]),
    ('["10.88.0.0/24"]', '["126.0.0.1-127.0.0.1"]', "pools.staff.addresses[0]", ["that no host can have", "write"]),
    ('"fd88::/64"', '"ff02::/64"', "pools.staff6.addresses[0]", ["that no host can have", "write"]),
    ('"a@example.org"', '"*@example.org"', 'pools.staff.fixed."*@example.org"', ["for one identity", "write"]),
    ('"10.88.0.7"', '"10.89.0.7"', 'pools.staff.fixed."a@example.org"', ["does not lie in this pool"]),
    ('"10.88.0.7"', '"10.88.0.1"', 'pools.staff.fixed."a@example.org"', ["own address"]),
    ('"10.88.0.8"', '"10.88.0.7"', 'pools.staff.fixed."C=CH, CN=b"', ["10.88.0.7 is a@example.org's already"]),
    ('"C=CH, CN=b"', '"A@example.org"', 'pools.staff.fixed."A@example.org"', ["same identity as a@example.org"]),
    ('"C=CH, CN=b"', '"%any"', 'pools.staff.fixed."%any"', ["not an identity"]),
    ('"10.88.0.7"', "7", 'pools.staff.fixed."a@example.org"', ["not text"]),
    ("nbns", "nbsn", "pools.staff.nbsn", ["did you mean nbns"]),
    ('["staff", "staff6"]', '["staf"]', "connections.road.pools[0]", ['no pool "staf"', "write staff"]),
    ('["staff", "staff6"]', '["staff", "staff"]', "connections.road.pools[1]", ["named twice"]),
    (
        "pools = [",
        "request_addresses = true\npools = [",
        "connections.road.request_addresses",
        ["gives addresses or asks for them"],
    ),
    (
        'mode = "tunnel"',
        'mode = "tunnel"\nremote_ts = ["10.99.0.0/24", "10.88.0.128/25"]',
        "connections.road.children.net.remote_ts[1]",
        ["addresses of others", "leave it out"],
    ),
    ('["staff", "staff6"]', "[]", "connections.road.children.net.remote_ts", ["missing"]),
]


@pytest.mark.parametrize(("old", "new", "where", "words"), MISTAKES)
def test_every_mistake_is_told(written, now, old, new, where, words):
    assert old in SERVER
    found = problems(written(SERVER.replace(old, new, 1)), now)
    assert where in found
    for word in words:
        assert word in found[where]


def test_two_pools_overlap(written, now):
    found = problems(written(SERVER + '\n[pools.other]\naddresses = ["10.88.0.99"]\n'), now)
    assert found == {
        "pools.other.addresses[0]": (
            "it overlaps 10.88.0.1-10.88.0.254 of the pool staff; write ranges that have no address in common"
        )
    }


def test_a_client_needs_local_ts_only_where_it_does_not_ask(written, now):
    found = problems(written(CLIENT.replace("request_addresses = true\n", "")), now)
    assert list(found) == ["connections.office.children.net.local_ts"]


def test_only_who_calls_can_ask_and_only_who_is_called_can_lend(written, now):
    found = problems(written(CLIENT.replace('remote_addrs = ["192.0.2.7"]\n', "")), now)
    assert found == {
        "connections.office.request_addresses": 'there is nobody to ask; write remote_addrs = ["192.0.2.7"]'
    }
    found = problems(written(SERVER.replace("pools = [", 'remote_addrs = "192.0.2.7"\npools = [')), now)
    assert list(found) == ["connections.road.pools"]
    assert 'start = "wait"' in found["connections.road.pools"]


def test_a_pool_that_nobody_names_is_no_mistake(written, now):
    assert load(written(CLIENT + '\n[pools.p]\naddresses = "10.0.0.0/8"\n'), now).warnings == ()
