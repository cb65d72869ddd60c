"""The difference between two configurations, named by keys; and the page that says what each key means for SAs."""

import re
from dataclasses import fields, replace
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest

from rhp.config.model import Child, Connection, Hub, Interface, Node, Realm
from rhp.crypto.proposal import parse_esp_proposal, parse_ike_proposal
from rhp.ike.changes import CHILD_ANEW, KEYS, MEANS, Means, compare
from rhp.ike.config import ChildConfig, ConnectionConfig, EngineConfig, LocalAuth, Ppk, RemoteAuth, Retransmit
from rhp.node.changes import LIVE, Able, Changes, difference
from rhp.node.settings import HubSettings, InterfaceSettings, NamedHubSettings, NodeSettings
from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern
from rhp.realm.policy import PortPolicy
from rhp.realm.pool import PoolConfig, Span

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

CHILD = ChildConfig("net", "ethernet", (), (), (parse_esp_proposal("aes128gcm16"),))
OFFICE = ConnectionConfig(
    "office",
    LocalAuth("psk", parse_identity("a@x")),
    RemoteAuth("psk", IdentityPattern.parse("b@x")),
    (parse_ike_proposal("aes128gcm16-prfsha256-x25519"),),
    (CHILD,),
)
OTHERS = {
    "proposals": {"proposals": (parse_ike_proposal("aes256gcm16-prfsha256-x25519"),)},
    "local_addrs": {"local_addrs": (ip_network("192.0.2.1"),)},
    "remote_addrs": {"remote_addrs": (ip_network("192.0.2.2"),)},
    "remote_port": {"remote_port": 501},
    "remote_natt_port": {"remote_natt_port": 4501},
    "encapsulation": {"encapsulation": "auto"},
    "mobike": {"mobike": False},
    "start": {"start": "initiate"},
    "unique": {"unique": "never"},
    "dpd_delay": {"dpd_delay": 7.0},
    "rekey_time": {"rekey_time": 100.0, "life_time": 110.0},
    "over_time": {"life_time": 20000.0},
    "pools": {"pools": ("staff",)},
    "request_addresses": {"request_addresses": True},
    "childless": {"childless": "force"},
    "resumption": {"resumption": True},
    "follow_redirects": {"follow_redirects": True},
    "match": {"match": (IdentityPattern.parse("*@x"),)},
    "lanes": {"lanes": 2},
    "hub": {"policy": PortPolicy(hub="blue")},
    "isolate": {"policy": PortPolicy(isolate=True)},
    "mss_clamp": {"policy": PortPolicy(mss_clamp=1200)},
    "path_mtu": {"policy": PortPolicy(path_mtu=1300)},
    "reauth_time": {"reauth_time": 100.0},
    "ppk_id": {"ppk": Ppk(b"id")},
    "local.id": {"local": replace(OFFICE.local, identity=parse_identity("c@x"))},
    "local.auth": {"local": replace(OFFICE.local, method="pubkey")},
    "local.certs": {"local": replace(OFFICE.local, chain=(b"x",))},
    "remote.id": {"remote": replace(OFFICE.remote, pattern=IdentityPattern.parse("%any"))},
    "remote.auth": {"remote": replace(OFFICE.remote, method="pubkey")},
    "remote.cas": {"remote": replace(OFFICE.remote, cas=(b"x",))},
}


@pytest.mark.parametrize("key", OTHERS)
def test_each_key_is_told_by_its_name_and_has_its_means(key):
    change = compare(OFFICE, replace(OFFICE, **OTHERS[key]))
    assert change.keys == (key,)
    assert change.means is MEANS[key]
    assert compare(replace(OFFICE, **OTHERS[key]), OFFICE).keys == (key,)


def test_whether_a_ppk_is_required():
    one, other = (replace(OFFICE, ppk=Ppk(b"id", required)) for required in (True, False))
    assert compare(one, other).keys == ("ppk_required",)


def test_no_field_of_a_connection_is_forgotten():
    tuned = {"local_port": 501, "keepalive": 1.0, "jitter": 0.5, "retransmit": Retransmit(tries=2)}
    told = {name for values in OTHERS.values() for name in values} | tuned.keys() | {"name", "children", "secrets"}
    assert told == {one.name for one in fields(ConnectionConfig)}
    for name, value in tuned.items():
        assert compare(OFFICE, replace(OFFICE, **{name: value})).keys == (name,)


def test_the_larger_means_wins():
    both = replace(OFFICE, dpd_delay=3.0, encapsulation="auto")
    assert compare(OFFICE, both).means is Means.ANEW
    assert compare(OFFICE, replace(OFFICE, dpd_delay=3.0), fresh=()).means is Means.RENEW
    assert compare(OFFICE, replace(OFFICE, dpd_delay=3.0), moved=True).means is Means.ANEW


def test_equal_ones_are_no_change():
    assert compare(OFFICE, replace(OFFICE)) is None
    assert compare(OFFICE, replace(OFFICE, secrets=b"digest")) is None
    assert compare(OFFICE, OFFICE, fresh=()).keys == (KEYS,)
    assert compare(OFFICE, OFFICE, moved=True).keys == ("remote_addrs",)


CHILD_OTHERS = {
    "mode": ("tunnel", True),
    "local_ts": ((1,), True),
    "remote_ts": ((1,), True),
    "proposals": ((parse_esp_proposal("aes256gcm16"),), False),
    "rekey_time": (5.0, False),
    "rekey_bytes": (5, False),
    "rekey_packets": (5, False),
    "replay_window": (64, False),
}


@pytest.mark.parametrize("name", CHILD_OTHERS)
def test_each_key_of_a_child(name):
    value, ends = CHILD_OTHERS[name]
    change = compare(OFFICE, replace(OFFICE, children=(replace(CHILD, **{name: value}),)))
    key = {"proposals": "esp_proposals"}.get(name, name)
    assert change.keys == (f"children.net.{key}",)
    assert change.means is Means.SWAP
    assert change.children == ({"net"} if ends else set())
    assert ends == (name in CHILD_ANEW)


def test_children_that_come_and_go():
    other = replace(CHILD, name="other")
    assert compare(OFFICE, replace(OFFICE, children=(CHILD, other))).children == set()
    gone = compare(replace(OFFICE, children=(CHILD, other)), OFFICE)
    assert gone.keys == ("children.other",) and gone.children == {"other"}
    turned = compare(replace(OFFICE, children=(CHILD, other)), replace(OFFICE, children=(other, CHILD)))
    assert turned.keys == ("children",) and turned.children == set()


# The node's own settings.

SPAN = Span(ip_address("10.88.0.1"), ip_address("10.88.0.9"))
BEFORE = NodeSettings(), EngineConfig((OFFICE,), pools=(PoolConfig("staff", (SPAN,), 24),))


def changed(settings=None, engine=None, fresh=None, raw_esp=False, assigned=False, before=BEFORE):
    after = settings or before[0], engine or before[1]
    return difference(before, after, fresh or {}, Able(raw_esp, assigned))


def test_the_same_is_no_difference():
    assert changed() == Changes()
    assert not changed()


def test_connections_come_and_go_and_change():
    home = replace(OFFICE, name="home")
    found = changed(engine=EngineConfig((home, replace(OFFICE, mobike=False)), pools=BEFORE[1].pools))
    assert found.added == ("home",) and found.removed == ()
    assert [one.name for one in found.changed] == ["office"]
    found = changed(engine=EngineConfig((home,), pools=BEFORE[1].pools))
    assert (found.added, found.removed, found.changed) == (("home",), ("office",), ())


def test_host_names_are_addresses_of_the_peer():
    (one,) = changed(replace(BEFORE[0], hosts={"office": ("vpn.example.org",)})).changed
    assert (one.keys, one.means) == (("remote_addrs",), Means.ANEW)


def test_other_secrets_are_a_change():
    (one,) = changed(fresh={"office": ()}).changed
    assert (one.keys, one.means) == ((KEYS,), Means.RENEW)
    assert one.means_for(parse_identity("b@x")) is Means.RENEW


def test_a_realms_other_keys_concern_their_owners_alone():
    (one,) = changed(fresh={"office": ("b@x", "*@y")}).changed
    assert one.means is Means.RENEW
    means = {who: one.means_for(parse_identity(who)) for who in ("b@x", "c@x", "c@y")}
    assert means == {"b@x": Means.RENEW, "c@x": Means.SWAP, "c@y": Means.RENEW}
    # Whatever else has to be proved anew has to be by everybody.
    certs = EngineConfig((replace(OFFICE, **OTHERS["local.certs"]),), pools=BEFORE[1].pools)
    (one,) = changed(engine=certs, fresh={"office": ("b@x",)}).changed
    assert one.means_for(parse_identity("c@x")) is Means.RENEW


@pytest.mark.parametrize(
    "name", [one.name for one in fields(NodeSettings) if one.name not in ("interface", "hub", "hubs", "hosts")]
)
def test_what_a_running_node_takes_over_and_what_needs_a_restart(name):
    found = changed(replace(BEFORE[0], **{name: "another"}))
    assert (found.settings if f"node.{name}" in LIVE else found.restart) == (f"node.{name}",)


@pytest.mark.parametrize("name", [one.name for one in fields(InterfaceSettings)])
def test_the_interface(name):
    value = (ip_interface("10.5.0.1/24"),) if name == "addresses" else "another"
    found = changed(replace(BEFORE[0], interface=replace(BEFORE[0].interface, **{name: value})))
    live = name in ("addresses", "mtu")
    assert (found.settings if live else found.restart) == (f"interface.{name}",)


@pytest.mark.parametrize("name", [one.name for one in fields(HubSettings)])
def test_the_hub(name):
    assert changed(replace(BEFORE[0], hub=replace(BEFORE[0].hub, **{name: 5}))).settings == (f"hub.{name}",)


BLUE = NamedHubSettings("blue", InterfaceSettings("blue"), HubSettings())


def test_named_hubs_come_and_go():
    with_blue = replace(BEFORE[0], hubs=(BLUE,))
    assert changed(with_blue).settings == ("hubs.blue",)
    assert changed(BEFORE[0], before=(with_blue, BEFORE[1])).settings == ("hubs.blue",)


@pytest.mark.parametrize("part", ["interface", "hub"])
def test_a_named_hub_is_compared_like_the_nodes_own(part):
    before = replace(BEFORE[0], hubs=(BLUE,)), BEFORE[1]
    for one in fields(type(getattr(BLUE, part))):
        other = replace(BLUE, **{part: replace(getattr(BLUE, part), **{one.name: "another"})})
        found = changed(replace(before[0], hubs=(other,)), before=before)
        key = f"hubs.blue.{one.name}" if part == "hub" else f"hubs.blue.interface.{one.name}"
        live = part == "hub" or one.name in ("addresses", "mtu")
        assert (found.settings if live else found.restart) == (key,)
        assert not (found.restart if live else found.settings)


def test_pools_and_extensions():
    engine = replace(BEFORE[1], pools=(PoolConfig("guests", (SPAN,), 24),), extensions=("peer-note",))
    found = changed(engine=engine)
    assert found.settings == ("pools.staff", "pools.guests")
    assert found.restart == ("node.extensions",)


def test_plain_esp_needs_sockets_that_are_opened_at_the_start():
    engine = replace(BEFORE[1], connections=(replace(OFFICE, encapsulation="auto"),))
    assert changed(engine=engine).restart == ("connections.office.encapsulation",)
    assert changed(engine=engine, raw_esp=True).restart == ()


def test_assigned_addresses_need_a_right_that_the_guard_keeps_or_gives_up_at_its_start():
    engine = replace(BEFORE[1], connections=(replace(OFFICE, request_addresses=True),))
    assert changed(engine=engine).restart == ("connections.office.request_addresses",)
    assert changed(engine=engine, assigned=True).restart == ()


# The page.


def rows():
    text = PAGE.read_text()
    start = text.index("## Reload")
    section = text[start : text.index("\n## ", start + 1)]
    for line in section.splitlines():
        if line.startswith("| `"):
            keys, means = (cell.strip() for cell in line.strip("|").split("|")[:2])
            yield set(re.findall(r"`([^`]+)`", keys)), means


SECRETS = {"psk", "psk_file", "psk_files", "ppk", "ppk_file", "local.key", "local.rsa_pss"}
WORDS = {
    Means.SWAP: "the tunnel stays",
    Means.RENEW: "proved anew",
    Means.ANEW: "begun anew",
}


def test_the_page_says_of_every_key_what_becomes_of_the_tunnel():
    told = {}
    for keys, means in rows():
        for key in keys:
            assert key not in told, key
            told[key] = means
    for key, means in MEANS.items():
        for written in SECRETS if key == KEYS else {key}:
            place = "realms" if written == "match" else "connections"
            assert told.pop(f"{place}.NAME.{written}").startswith(WORDS[means]), written
    for key in Child.model_fields:
        word = "the child is made anew" if key in CHILD_ANEW else "the tunnel stays"
        assert told.pop(f"connections.NAME.children.NAME.{key}").startswith(word), key
    assert told.pop("pools.NAME").startswith("the tunnel stays")
    assert told.pop("hubs.NAME").startswith("the tunnel stays")
    assert told.pop("firewall").startswith("a restart")
    assert told.pop("hooks").startswith("a restart")
    for place, model in (("node", Node), ("interface", Interface), ("hub", Hub)):
        for key in model.model_fields:
            live = f"{place}.{key}" in LIVE
            assert told.pop(f"{place}.{key}").startswith("the tunnel stays" if live else "a restart"), key
    assert told == {}


def test_every_key_of_the_model_is_compared():
    inner = {"local": ("id", "auth", "certs", "key", "rsa_pss"), "remote": ("id", "auth", "cas", "certificate_store")}
    both = {*Connection.model_fields, *Realm.model_fields}
    keys = {key for key in both if key not in (*inner, "children")}
    keys |= {f"{place}.{key}" for place, names in inner.items() for key in names}
    for place, names in inner.items():
        assert set(Connection.model_fields[place].annotation.model_fields) == set(names)
    assert keys - SECRETS == MEANS.keys() - {KEYS}
