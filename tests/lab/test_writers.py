"""What the lab writes for others to read, and what it reads of theirs."""

import tomllib
from pathlib import Path

from rhp.lab import nodeconf
from rhp.lab.pair import CONNECTION, PairOptions, configuration
from rhp.lab.strongswan import parse_sas
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection, render, strongswan_conf, swanctl_conf

LISTING = """\
t: #3, ESTABLISHED, IKEv2, 9de51335d40d1d84_i* 6cc51e31503cc8e1_r
  local  'a@x' @ 192.0.2.1[4500]
  remote 'b@x' @ 192.0.2.2[4500]
  AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE_25519
  established 1s ago
  c: #1, reqid 1, DELETED, TUNNEL-in-UDP, ESP:AES_GCM_16-128
    installed 1s ago
    in  f171781b,    252 bytes,     3 packets,     0s ago
    out 883da00b,    420 bytes,     5 packets,     0s ago
    local  10.78.0.1/32
    remote 10.78.0.2/32
  c: #2, reqid 1, INSTALLED, TUNNEL-in-UDP, ESP:AES_CBC-256/HMAC_SHA2_256_128
    installed 1s ago
    in  00000a0b,      0 bytes,     0 packets
    out 0000c0d0,     84 bytes,     1 packets,     0s ago
    local  10.78.0.1/32
    remote 10.78.0.2/32

u: #4, CONNECTING, IKEv2, 0000000000000001_i* 0000000000000000_r
  local  '%any' @ 192.0.2.1[500]
  remote '%any' @ 192.0.2.9[500]
  active:  IKE_VENDOR IKE_INIT
"""


def test_toml_survives_a_real_reader():
    table = {
        "node": {"lanes": 2},
        "hub": {"isolate": True, "static": [{"mac": "m", "x": "y"}, {}]},
        "connections": {'odd "name"': {"psk": 'ü"\\', "x": ["1"]}},
    }
    assert tomllib.loads(nodeconf.toml(table)) == table


def test_pair_configurations_mirror_each_other():
    a, b = (tomllib.loads(nodeconf.toml(configuration(number, PairOptions()))) for number in (1, 2))
    ours, theirs = a["connections"][CONNECTION], b["connections"][CONNECTION]
    assert ours["local"] == theirs["remote"]
    assert ours["remote"] == theirs["local"]
    assert ours["psk"] == theirs["psk"]
    assert ours["remote_addrs"] == ["192.0.2.2"]
    assert "remote_addrs" not in theirs


def test_pubkey_and_tunnel_tables():
    child = nodeconf.tunnel(["10.1.0.0/24"], ["10.2.0.0/24"], rekey_time=60)
    made = nodeconf.pubkey("a.x", "b.x", Path("/c"), Path("/k"), Path("/ca"), children={"c": child})
    read = tomllib.loads(nodeconf.toml(nodeconf.node({"name": "rhp0"}, {"t": made})))
    assert read["connections"]["t"]["local"] == {"id": "a.x", "certs": ["/c"], "key": "/k"}
    assert read["connections"]["t"]["remote"] == {"id": "b.x", "cas": ["/ca"]}
    assert read["connections"]["t"]["children"]["c"]["rekey_time"] == 60


def test_swanctl_has_one_setting_and_one_brace_per_line():
    child = SwanChild("c", ("10.0.0.1/32",), ("10.0.0.2/32", "10.0.0.3/32"))
    connection = SwanConnection("t", "192.0.2.1", "192.0.2.2", SwanAuth("a@x"), SwanAuth("b@x"), (child,), psk="p q")
    text = swanctl_conf([connection])
    assert text.count("{") == text.count("}")
    for line in text.splitlines():
        assert line.strip() == "}" or line.endswith(" {") or line.count(" = ") == 1
    assert "remote_ts = 10.0.0.2/32, 10.0.0.3/32" in text
    assert 'secret = "p q"' in text
    assert "mobike = no" in text


def test_settings_override_what_the_writer_would_say():
    settings = {"mobike": True, "rekey_time": "4h"}
    section = SwanConnection("t", "1", "2", SwanAuth("a"), SwanAuth("b"), (), settings=settings).section()
    assert (section["mobike"], section["rekey_time"]) == (True, "4h")
    assert "cookie_threshold = 1" in strongswan_conf(Path("/v"), Path("/l"), {"cookie_threshold": 1})
    assert render({"a": {"b": {"c": False}}}) == "a {\n  b {\n    c = no\n  }\n}"


def test_settings_of_each_level_land_in_it():
    auth = SwanAuth("a", settings={"revocation": "strict"})
    child = SwanChild("c", ("10.0.0.1/32",), ("10.0.0.2/32",), settings={"dpd_action": "restart"})
    ppk = {"secrets": {"ppk-one": {"id": "one", "secret": "0x01"}}, "pools": {"v4": {"addrs": "10.3.0.0/24"}}}
    over = {"ppk_id": "one", "remote": {"auth": "pubkey"}}
    one = SwanConnection("t", "1", "2", auth, SwanAuth("b"), (child,), psk="p", settings=over, more=ppk)
    section = one.section()
    assert section["local"]["revocation"] == "strict"
    assert section["remote"] == {"auth": "pubkey", "id": "b"}
    assert section["children"]["c"]["dpd_action"] == "restart"
    lines = [line.strip() for line in swanctl_conf([one]).splitlines()]
    for begin, inside in (("secrets {", "ppk-one {"), ("secrets {", "ike-t {"), ("pools {", "v4 {")):
        assert lines.index(inside) > lines.index(begin)
    text = strongswan_conf(Path("/v"), Path("/l"), {"plugins": {"attr": {"dns": "10.3.0.1"}}})
    assert "attr {" in text
    assert "kernel-libipsec {" in text


def test_listing_is_read_with_children_and_their_traffic():
    first, second = parse_sas(LISTING)
    assert (first.connection, first.number, first.state) == ("t", 3, "ESTABLISHED")
    assert (first.spi_i, first.spi_r) == ("9de51335d40d1d84", "6cc51e31503cc8e1")
    assert first.suite == "AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE_25519"
    old, new = first.children
    assert (old.state, old.spi_in, old.bytes_in, old.bytes_out) == ("DELETED", "f171781b", 252, 420)
    assert (new.state, new.spi_in, new.spi_out, new.bytes_out) == ("INSTALLED", "00000a0b", "0000c0d0", 84)
    assert new.suite == "AES_CBC-256/HMAC_SHA2_256_128"
    assert first.established
    assert (second.state, second.children, second.established) == ("CONNECTING", (), False)


def test_an_empty_listing_is_no_sa():
    assert parse_sas("") == []
