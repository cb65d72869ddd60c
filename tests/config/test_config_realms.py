"""Realms and hubs in the configuration: what comes of them, and every mistake with its place."""

import pytest

from rhp.config import credential_files
from rhp.config.describe import describe
from rhp.config.errors import ConfigError
from rhp.config.loading import load
from rhp.guard.policy import PskSecret
from rhp.ike.config import ConnectionConfig
from rhp.pki.identity import parse_identity
from rhp.realm.policy import OWN_HUB, PortPolicy

GOOD = """\
[hubs.shop]
interface.name = "rhp1"
interface.addresses = ["10.2.0.1/24"]
isolate = true
static = [{mac = "02:00:00:00:00:07", connection = "till"}]

[hubs.lab]
interface.bridge = "br-lab"

[pools.shop]
addresses = ["10.2.0.0/24"]

[realms.sales]
match = ["*@sales.example.com", "O=example, OU=sales"]
local.id = "a.example.org"
local.certs = ["a.example.org.pem"]
local.key = "a.example.org.key"
remote.cas = ["ca.pem"]
hub = "lab"

[realms.shop]
match = "*.shop.example.com"
local.id = "a.example.org"
psk_file = "office.psk"
psk_files = {"till.shop.example.com" = "office.psk", "*.b.shop.example.com" = "office.psk"}
pools = ["shop"]
hub = "shop"
isolate = true
mss_clamp = 1200
path_mtu = 1400
lanes = 1

[connections.till]
hub = "shop"
psk_file = "office.psk"
local.id = "a.example.org"
remote.id = "till.example.com"
"""


def test_realms_become_connections_with_several_patterns(written, now):
    loaded = load(written(GOOD), now)
    till, sales, shop = loaded.engine.connections
    assert (till.match, till.policy) == ((), PortPolicy("shop"))
    assert [pattern.text for pattern in sales.match] == ["*@sales.example.com", "O=example, OU=sales"]
    assert sales.patterns[1].matches(parse_identity("C=CH, O=Example, OU=Sales, CN=x"))
    assert (sales.local.method, sales.remote.method, len(sales.remote.cas)) == ("pubkey", "pubkey", 1)
    assert sales.policy == PortPolicy("lab")
    assert (shop.pools, shop.lanes) == (("shop",), 1)
    assert shop.policy == PortPolicy("shop", isolate=True, mss_clamp=1200, path_mtu=1400)
    assert [one.start for one in (till, sales, shop)] == ["wait"] * 3
    assert not any(one.request_addresses or one.remote_addrs for one in (sales, shop))


def test_the_smallest_realm_has_a_connections_defaults(written, now):
    text = '[realms.r]\nmatch = "any"\npsk_file = "office.psk"\nlocal.id = "a.example.org"\n'
    (made,) = load(written(text), now).engine.connections
    theirs = '[connections.r]\npsk_file = "office.psk"\nlocal.id = "a.example.org"\nremote.id = "%any"\n'
    (other,) = load(written(theirs), now).engine.connections
    # A realm calls nobody, so the keys about that have the engine's defaults.
    skip = {"match", "follow_redirects"}
    for name in set(ConnectionConfig.__slots__) - skip:
        assert getattr(made, name) == getattr(other, name), name
    assert made.policy == OWN_HUB


def test_each_hub_has_an_interface_of_its_own(written, now):
    settings = load(written(GOOD), now).settings
    shop, lab = settings.hubs
    assert (shop.name, shop.interface.name, shop.hub.isolate) == ("shop", "rhp1", True)
    assert shop.hub.static[0].connection == "till"
    # Without a name of its own an interface is called as its hub.
    assert (lab.name, lab.interface.name, lab.interface.bridge) == ("lab", "lab", "br-lab")
    assert (settings.interface.name, settings.hub.isolate) == ("rhp0", False)
    policy = load(written(GOOD), now).policy
    assert policy.interfaces == ("rhp0", "rhp1", "lab")
    assert policy.bridges == ("br-lab",)


def test_a_pool_takes_its_prefix_from_the_hub_it_lies_on_and_lends_nobody_our_address(written, now):
    (pool,) = load(written(GOOD), now).engine.pools
    assert pool.prefix == 24
    assert [str(one) for one in pool.reserved] == ["10.2.0.1"]


def test_the_guard_is_told_each_key_and_for_whom(written, folder, now):
    policy = load(written(GOOD), now).policy
    file = str(folder / "office.psk")
    assert [one for one in policy.psks if one.connection == "shop"] == [
        PskSecret("shop", "a.example.org", "till.shop.example.com", file=file),
        PskSecret("shop", "a.example.org", "*.b.shop.example.com", file=file),
        PskSecret("shop", "a.example.org", "%any", file=file),
    ]
    assert [key.connection for key in policy.keys] == ["sales"]


def test_a_connection_may_have_keys_for_some_as_well(written, now):
    text = (
        '[connections.c]\nlocal.id = "a.example.org"\nremote.id = "*@x.org"\npsk_files = {"a@x.org" = "office.psk"}\n'
    )
    (psk,) = load(written(text), now).policy.psks
    assert (psk.connection, psk.remote_id) == ("c", "a@x.org")


def test_a_realm_of_strangers_takes_those_without_a_name(written, now):
    text = GOOD + '\n[realms.guests]\nlocal.id = "a.example.org"\nlocal.certs = ["a.example.org.pem"]\n'
    text += 'local.key = "a.example.org.key"\nremote.auth = "null"\n'
    guests = load(written(text), now).engine.connections[-1]
    assert [pattern.text for pattern in guests.match] == ["%null"]


def test_what_a_realm_and_a_hub_would_do_is_described(written, now):
    lines = list(describe(load(written(GOOD), now)))
    assert any(
        line.startswith("realm sales: waits for any address; as a.example.org with a certificate, expects "
                        "*@sales.example.com, O=example, OU=sales with a certificate") for line in lines
    )  # fmt: skip
    assert "hub shop: interface rhp1: 10.2.0.1/24; MTU as path and suite allow" in lines
    assert any(line.endswith("lends from shop; in hub shop") for line in lines)


def test_three_hundred_realms_are_read(written, now):
    realm = '[realms.r{n}]\nmatch = ["*@r{n}.org", "OU=r{n}"]\npsk_file = "office.psk"\nlocal.id = "a.example.org"\n'
    loaded = load(written("".join(realm.format(n=n) for n in range(300))), now)
    assert len(loaded.engine.connections) == 300


def test_realms_that_share_a_key_have_it_checked_once(written, now, monkeypatch):
    checked = []
    check = credential_files.check_private_key
    monkeypatch.setattr(credential_files, "check_private_key", lambda pem: checked.append(pem) or check(pem))
    text = "".join(realm(f"r{n}", f"*@r{n}.org", CERTIFICATE) for n in range(50))
    loaded = load(written(text), now)
    assert len(checked) == 1
    assert len({one.local.chain for one in loaded.engine.connections}) == 1
    # A mistake in it is told of each realm that names it.
    found = mistakes(written(text.replace("a.example.org.key", "b.example.org.key")), now)
    assert [one.where for one in found] == [f"realms.r{n}.local.key" for n in range(50)]
    assert len(checked) == 2


# (what is written instead, where the mistake is, its line, words of the sentence)
REPLACED = [
    ('match = "*.shop.example.com"\n', "", "realms.shop.match", 21, ["missing", '"*@sales.example.com"']),
    ('"*@sales.example.com"', '"*sales.example.com"', "realms.sales.match[0]", 14, ["not a pattern", "*.domain"]),
    ('"*@sales.example.com"', '"%null"', "realms.sales.match[0]", 14, ['remote.auth = "null"']),
    ('"*@sales.example.com"', '"OU=sales, O=example"', "realms.sales.match[1]", 14, ["says the same"]),
    ('"*@sales.example.com"', '"O=a, O=a"', "realms.sales.match[0]", 14, ["a part twice"]),
    ('"*@sales.example.com"', '"XX=a"', "realms.sales.match[0]", 14, ["not an attribute"]),
    ("lanes = 1", 'start = "wait"', "realms.shop.start", 31, ["belongs in [connections.NAME]"]),
    ("lanes = 1", 'remote_addrs = "192.0.2.1"', "realms.shop.remote_addrs", 31, ["belongs in [connections.NAME]"]),
    ("lanes = 1", 'remote.id = "x.org"', "realms.shop.remote.id", 31, ["by match", '["x.org"]']),
    ("lanes = 1", "lanes = 0", "realms.shop.lanes", 31, ["not a number of lanes"]),
    ("lanes = 1", 'matsch = "any"', "realms.shop.matsch", 31, ["did you mean match"]),
    ("path_mtu = 1400", "path_mtu = 100", "realms.shop.path_mtu", 30, ["576 to 65521"]),
    ("[realms.shop]", "[realms.till]", "realms.till", 21, ["the connection till has this name"]),
    ("[realms.shop]", "[realms.Sales]", "realms.Sales", 21, ["differs from sales only in capitals"]),
    ('"till.shop.example.com" =', '"till.shop" =', 'realms.shop.psk_files."till.shop"', 25, ["no rule", "shop.match"]),
    ('"*.b.shop.example.com" =', '"*@b.org" =', 'realms.shop.psk_files."*@b.org"', 25, ["no rule"]),
    ('"*.b.shop.example.com" =', '"%any" =', 'realms.shop.psk_files."%any"', 25, ["write psk_file"]),
    ('"*.b.shop.example.com" =', '"b c" =', 'realms.shop.psk_files."b c"', 25, ["not an identity"]),
    (
        '"*.b.shop.example.com" =',
        '"TILL.shop.example.com" =',
        'realms.shop.psk_files."TILL.shop.example.com"',
        25,
        ["till.shop.example.com has a key already"],
    ),
    (
        '"*.b.shop.example.com" = "office.psk"',
        '"*.b.shop.example.com" = "gone.psk"',
        'realms.shop.psk_files."*.b.shop.example.com"',
        25,
        ["no such file"],
    ),
    ('hub = "lab"', 'hub = "lap"', "realms.sales.hub", 19, ['no hub "lap"', "write lab"]),
    ('interface.name = "rhp1"', 'interface.name = "lab"', "hubs.lab", 7, ["hub shop has the interface lab", '"rhp1"']),
    (
        'interface.name = "rhp1"',
        'interface.name = "rhp0"',
        "hubs.shop.interface.name",
        2,
        ["the node's own hub has the interface rhp0"],
    ),
    ('interface.name = "rhp1"', 'interface.nam = "x"', "hubs.shop.interface.nam", 2, ["did you mean name"]),
    (
        'interface.bridge = "br-lab"',
        'interface.bridge = "br"\ninterface.addresses = ["10.9.0.1/24"]',
        "hubs.lab.interface.addresses",
        9,
        ["a bridged interface holds no address", "to br"],
    ),
    (
        'interface.bridge = "br-lab"',
        'interface.addresses = ["10.2.0.1/16"]',
        "hubs.lab.interface.addresses[0]",
        8,
        ["rhp1 has 10.2.0.1 already"],
    ),
    ('connection = "till"', 'connection = "shop"', "hubs.shop.static[0].connection", 5, ["a realm of many peers"]),
    (
        'connection = "till"',
        'connection = "tall"',
        "hubs.shop.static[0].connection",
        5,
        ['no connection "tall"', "till"],
    ),
    ("isolate = true\nstatic", 'mac_ageing = "x"\nstatic', "hubs.shop.mac_ageing", 4, ["not a time"]),
]


def mistakes(file, now):
    with pytest.raises(ConfigError) as caught:
        load(file, now)
    return [one for one in caught.value.problems if not one.warning]


@pytest.mark.parametrize(("old", "new", "where", "line", "words"), REPLACED)
def test_a_mistake_is_told_with_its_place(written, now, old, new, where, line, words):
    assert old in GOOD
    (found,) = mistakes(written(GOOD.replace(old, new, 1)), now)
    assert (found.where, found.line) == (where, line)
    for word in words:
        assert word in found.message
    assert not found.message.endswith(".")


def test_a_station_of_another_hub_is_told_where_it_belongs(written, now):
    text = GOOD + '\n[hub]\nstatic = [{mac = "02:00:00:00:00:09", connection = "till"}]\n'
    (found,) = mistakes(written(text), now)
    assert (found.where, found.line) == ("hub.static[0].connection", 40)
    assert "till is in another hub; write this under hubs.shop.static" in found.message


def realm(name, match, proof='psk_file = "office.psk"'):
    return f'[realms.{name}]\nmatch = ["{match}"]\nlocal.id = "a.example.org"\n{proof}\n'


CERTIFICATE = 'local.certs = ["a.example.org.pem"]\nlocal.key = "a.example.org.key"\nremote.cas = ["ca.pem"]'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("any", "%any"),
        ("*@x.org", "*@X.org"),
        ("*.x.org", "*.x.org"),
        ("a@x.org", "A@x.org"),
        ("O=x, OU=y", "OU=y, O=x"),
        ("O=x, OU=y", "O=x, C=CH"),
    ],
)
def test_two_realms_for_one_peer_are_refused_and_both_are_named(written, now, one, other):
    (found,) = mistakes(written(realm("sales", one) + realm("works", other)), now)
    assert (found.where, found.line) == ("realms.works.match[0]", 6)
    assert "of the realm works" in found.message
    assert "of the realm sales" in found.message
    assert "write one that says more" in found.message


def test_two_realms_of_two_proofs_may_share_a_rule(written, now):
    assert load(written(realm("sales", "*.x.org") + realm("works", "*.x.org", CERTIFICATE)), now)


def test_two_realms_of_strangers_are_refused(written, now):
    strangers = CERTIFICATE.replace('remote.cas = ["ca.pem"]', 'remote.auth = "null"')
    text = "".join(f'[realms.{name}]\nlocal.id = "a.example.org"\n{strangers}\n' for name in ("a", "b"))
    (found,) = mistakes(written(text), now)
    assert found.where == "realms.b"
    assert "realm a" in found.message and "realm b" in found.message
    (found,) = mistakes(written(realm("a", "any", strangers)), now)
    assert found.where == "realms.a.match"
    assert "strangers have no name" in found.message


def test_a_realm_whose_peers_are_all_a_connections_is_refused(written, now):
    text = '[connections.c]\npsk_file = "office.psk"\nlocal.id = "a.example.org"\nremote.id = "*@x.org"\n'
    (found,) = mistakes(written(text + realm("sales", "*@x.org")), now)
    assert "connection c" in found.message and "realm sales" in found.message
    # At certain addresses the connection serves, elsewhere the realm.
    assert load(written(text + 'remote_addrs = ["192.0.2.0/24"]\nstart = "wait"\n' + realm("sales", "*@x.org")), now)


def test_a_hub_without_anybody_is_a_warning(written, now):
    loaded = load(written(realm("sales", "any") + "[hubs.empty]\n"), now)
    assert [(one.where, one.line) for one in loaded.warnings] == [("hubs.empty", 5)]
    assert 'hub = "empty"' in loaded.warnings[0].message


def test_a_hub_whose_name_no_interface_can_have_needs_one(written, now):
    text = realm("sales", "any", 'psk_file = "office.psk"\nhub = "headquarters-east"') + "[hubs.headquarters-east]\n"
    (found,) = mistakes(written(text), now)
    assert found.where == "hubs.headquarters-east"
    assert 'interface.name = "rhp1"' in found.message


def test_all_mistakes_of_several_realms_come_at_once(written, now):
    text = realm("a", "*@") + realm("b", "any", 'psk_file = "gone.psk"') + realm("c", "any") + realm("d", "O=")
    assert [one.where for one in mistakes(written(text), now)] == [
        "realms.a.match[0]",
        "realms.b.psk_file",
        "realms.c.match[0]",
        "realms.d.match[0]",
    ]
