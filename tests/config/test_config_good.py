"""Good configurations, from the shortest to one that uses every key, and what they become."""

from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest

from rhp.config.describe import describe
from rhp.config.loading import load
from rhp.crypto.proposal import default_esp_proposals, default_ike_proposals
from rhp.guard.policy import PpkSecret, PrivateKey, PskSecret
from rhp.ike.config import Ppk
from rhp.node.metrics.address import UnixAddress
from rhp.node.settings import HubSettings, NodeSettings, StaticMac
from rhp.pki.identity import ANONYMOUS, parse_identity
from rhp.wire.ts import TrafficSelector

SHORTEST = """\
[connections.office]
psk_file = "office.psk"
local.id = "a.example.org"
remote.id = "b.example.org"
"""

WHOLE = """\
[node]
port = 1500
natt_port = 14500
path_mtu = 9000
lanes = 2
cpus = [0, 1]
spare_lanes = 3
steering = "station"
state_dir = "/tmp/state"
run_dir = "/tmp/run"
log_level = "DEBUG"
log_levels = { ike = "debug", link = "WARNING" }
log_format = "json"
audit_file = "/tmp/state/audit.log"
metrics = "unix:metrics.sock"
extensions = ["json"]

[interface]
name = "tap9"
addresses = ["10.77.0.1/24", "fd00::1/64"]
mtu = 1400
queue_length = 500
segments = 44
mac = "02:00:5e:00:00:01"

[hub]
mac_ageing = "5m"
isolate = true
arp_proxy = false
mss_clamp = 1300
oversize = "answer"
ordering = "hold"
static = [{ mac = "02-00-5E-00-00-02", connection = "office" }]

[connections.office]
local_addrs = ["192.0.2.1"]
remote_addrs = ["192.0.2.7", "gate.example.org"]
remote_port = 1501
remote_natt_port = 14501
proposals = ["aes256gcm16-prfsha384-ecp384"]
encapsulation = "auto"
mobike = false
start = "wait"
childless = "prefer"
resumption = false
follow_redirects = false
dpd_delay = "30s"
unique = "keep"
rekey_time = "2h"
reauth_time = "1d"
over_time = "10m"
local.id = "a.example.org"
local.certs = ["a.example.org.pem", "ca.pem"]
local.key = "a.example.org.key"
local.rsa_pss = true
remote.id = "*.example.org"
remote.cas = "ca.pem"

[connections.office.children.lan]
mode = "tunnel"
local_ts = ["10.77.0.0/24", "10.78.0.1-10.78.0.9"]
remote_ts = ["10.88.0.0/24[tcp/443]", "fd00:88::/64[udp/4000-4010]"]
esp_proposals = ["chacha20poly1305-x25519"]
rekey_time = "30m"
rekey_bytes = "64G"
rekey_packets = 1000000000
replay_window = 64

[connections.office.children.wire]

[connections.old]
psk = "0x30313233343536373839616263646566"
local.id = "a@example.org"
remote.id = "%any"
"""


def test_the_shortest_waits_for_one_peer_with_an_ethernet_child(written, folder, now):
    loaded = load(written(SHORTEST), now)
    assert loaded.warnings == ()
    assert loaded.settings == NodeSettings()
    (connection,) = loaded.engine.connections
    assert (connection.name, connection.start, connection.encapsulation) == ("office", "wait", "udp")
    assert connection.mobike
    assert (connection.local.method, connection.remote.method) == ("psk", "psk")
    assert connection.local.identity == parse_identity("a.example.org")
    assert connection.remote.pattern.matches(parse_identity("b.example.org"))
    assert not connection.remote.pattern.matches(parse_identity("c.example.org"))
    assert connection.proposals == default_ike_proposals()
    assert (connection.childless, connection.resumption, connection.follow_redirects) == ("allow", True, True)
    assert (connection.rekey_time, connection.life_time, connection.dpd_delay) == (14400.0, 15840.0, 90.0)
    (child,) = connection.children
    assert (child.name, child.mode, child.local_ts, child.remote_ts) == ("ethernet", "ethernet", (), ())
    assert child.proposals == default_esp_proposals()
    assert (child.rekey_time, child.life_time, child.replay_window) == (3600.0, 3960.0, 1024)
    assert (child.life_bytes, child.life_packets, connection.unique) == (0, 0, "replace")
    assert loaded.policy.psks == (
        PskSecret("office", "a.example.org", "b.example.org", file=str(folder / "office.psk")),
    )
    assert loaded.policy.keys == ()
    assert loaded.policy.interfaces == ("rhp0",)


def test_an_address_to_call_makes_it_an_initiator(written, now):
    loaded = load(written(SHORTEST + 'remote_addrs = ["192.0.2.7"]\n'), now)
    (connection,) = loaded.engine.connections
    assert connection.start == "initiate"
    assert connection.remote_addrs == (ip_network("192.0.2.7"),)


def test_one_text_stands_for_a_list_of_one(written, now):
    as_text = load(written(SHORTEST + 'remote_addrs = "192.0.2.7"\n'), now)
    as_list = load(written(SHORTEST + 'remote_addrs = ["192.0.2.7"]\n'), now)
    assert as_text.engine == as_list.engine


@pytest.mark.parametrize(
    ("where", "warned"), [("127.0.0.1:9469", False), ("[::1]:9469", False), ("0.0.0.0:9469", True)]
)
def test_metrics_for_everybody_are_worth_a_warning(written, now, where, warned):
    loaded = load(written(f'[node]\nmetrics = "{where}"\n' + SHORTEST), now)
    assert str(loaded.settings.metrics) == where
    assert [problem.where for problem in loaded.warnings] == (["node.metrics"] if warned else [])
    assert any(f"metrics at {where}" in line for line in describe(loaded))


def test_the_whole_model(written, folder, now):
    loaded = load(written(WHOLE), now)
    settings = loaded.settings
    assert (settings.port, settings.natt_port, settings.lanes, settings.log_level) == (1500, 14500, 2, "debug")
    assert (settings.log_levels, settings.log_format) == ({"ike": "debug", "link": "warning"}, "json")
    assert (settings.audit_file, settings.metrics) == (
        Path("/tmp/state/audit.log"),
        UnixAddress(folder / "metrics.sock"),
    )
    assert settings.path_mtu == 9000
    assert (settings.cpus, settings.spare_lanes, settings.steering) == ((0, 1), 3, "station")
    assert (settings.run_dir, settings.state_dir) == (Path("/tmp/run"), Path("/tmp/state"))
    assert settings.control_socket == Path("/tmp/run/control.sock")
    assert settings.interface.name == "tap9"
    assert settings.interface.addresses == (ip_interface("10.77.0.1/24"), ip_interface("fd00::1/64"))
    assert (settings.interface.queue_length, settings.interface.segments) == (500, 44)
    assert (settings.interface.mtu, settings.interface.mac) == (1400, bytes.fromhex("02005e000001"))
    assert settings.hub == HubSettings(
        300,
        True,
        False,
        (StaticMac(bytes.fromhex("02005e000002"), "office"),),
        mss_clamp=1300,
        oversize="answer",
        ordering="hold",
    )
    assert settings.hosts == {"office": ("gate.example.org",)}
    office, old = loaded.engine.connections
    assert loaded.engine.natt_port == 14500
    # Any module that can be imported will do, and it is not imported by looking.
    assert loaded.engine.extensions == ("json",)
    # A peer with a host name may call from anywhere.
    assert (office.start, office.remote_addrs, office.local_addrs) == ("wait", (), (ip_network("192.0.2.1"),))
    assert not office.mobike
    assert (office.local_port, office.remote_port, office.remote_natt_port) == (1500, 1501, 14501)
    assert (office.childless, office.resumption, office.follow_redirects) == ("prefer", False, False)
    assert (old.resumption, old.follow_redirects) == (True, True)
    assert (office.rekey_time, office.life_time, office.dpd_delay) == (7200.0, 7800.0, 30.0)
    assert (office.reauth_time, old.reauth_time) == (86400.0, 0.0)
    assert office.unique == "keep"
    assert (office.local.method, len(office.local.chain)) == ("pubkey", 2)
    assert (office.remote.method, len(office.remote.cas)) == ("pubkey", 1)
    assert office.local.chain[1] == office.remote.cas[0]
    assert (old.local.method, old.start) == ("psk", "wait")
    assert loaded.policy.keys == (PrivateKey("office", file=str(folder / "a.example.org.key"), rsa_pss=True),)
    assert loaded.policy.psks == (PskSecret("old", "a@example.org", "%any", key=b"0123456789abcdef"),)


def test_selectors_become_ranges(written, now):
    office = load(written(WHOLE), now).engine.connections[0]
    lan, wire = office.children
    assert (lan.name, lan.mode, lan.replay_window, lan.rekey_time, lan.life_time) == (
        "lan",
        "tunnel",
        64,
        1800.0,
        1980.0,
    )
    assert (lan.rekey_bytes, lan.life_bytes) == (64 << 30, (64 << 30) * 11 // 10)
    assert (lan.rekey_packets, lan.life_packets) == (1_000_000_000, 1_100_000_000)
    assert (wire.rekey_bytes, wire.life_bytes, wire.rekey_packets, wire.life_packets) == (0, 0, 0, 0)
    assert [(str(one.start), str(one.end)) for one in lan.local_ts] == [
        ("10.77.0.0", "10.77.0.255"),
        ("10.78.0.1", "10.78.0.9"),
    ]
    first, second = lan.remote_ts
    assert first == TrafficSelector(7, 6, 443, 443, ip_network("10.88.0.0/24")[0], ip_network("10.88.0.0/24")[-1])
    assert (second.ts_type, second.protocol, second.start_port, second.end_port) == (8, 17, 4000, 4010)
    assert (wire.name, wire.mode) == ("wire", "ethernet")


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ('psk = "tooshort"', "8 octets"),
        ('proposals = ["aes128-sha256-modp1024"]', "modp1024"),
        ('rekey_time = "10s"', "more than once a minute"),
        ('ppk_id = "one"\nppk = "0x30313233343536373839616263646566"', "16 octets, and 32 are needed"),
        ('ppk_id = "one"\nppk = "abcabcabcabcabcabcabcabcabcabcabc"', "repeats itself"),
        ('children.ethernet.rekey_bytes = "99M"', "rekeys all the time"),
        ("children.ethernet.rekey_packets = 99999", "rekeys all the time"),
    ],
)
def test_what_is_weak_gives_a_warning_and_works(written, now, added, words):
    text = SHORTEST.replace('psk_file = "office.psk"\n', "") if added.startswith("psk") else SHORTEST
    loaded = load(written(text + added + "\n"), now)
    (problem,) = loaded.warnings
    assert words in problem.message
    assert problem.warning


def test_a_key_in_a_file_that_everyone_reads_gives_a_warning(written, now):
    path = written(SHORTEST.replace('psk_file = "office.psk"', 'psk = "0123456789abcdef0123"'))
    path.chmod(0o644)
    (problem,) = load(path, now).warnings
    assert "chmod 600" in problem.message
    path.chmod(0o600)
    assert load(path, now).warnings == ()


def test_a_node_s_certificate_in_the_place_of_its_ca_gives_a_warning(written, now):
    lines = 'local.certs = "a.example.org.pem"\nlocal.key = "a.example.org.key"\nremote.cas = "b.example.org.pem"\n'
    ids = 'local.id = "a.example.org"\nremote.id = "b.example.org"\n'
    (warning,) = load(written(f"[connections.office]\n{ids}{lines}"), now).warnings
    assert warning.where == "connections.office.remote.cas"
    assert "CA's" in warning.message
    assert (
        load(written(f"[connections.office]\n{ids}{lines.replace('b.example.org.pem', 'ca.pem')}"), now).warnings == ()
    )


def test_a_certificate_near_its_end_gives_a_warning(written, now):
    text = (
        '[connections.office]\nlocal.id = "soon.example.org"\nlocal.certs = "soon.example.org.pem"\n'
        'local.key = "soon.example.org.key"\nremote.id = "%any"\nremote.cas = "ca.pem"\n'
    )
    (problem,) = load(written(text), now).warnings
    assert "renew it soon" in problem.message


@pytest.mark.parametrize(
    ("name", "authority", "where", "words"),
    [
        ("old.example.org", "ca", "local.certs[0]", "ended on 2026-02-25"),
        ("future.example.org", "ca", "local.certs[0]", "begins on 2026-03-30"),
        ("a.example.org", "old.example.org", "remote.cas[0]", "ended on 2026-02-25"),
        ("a.example.org", "future.example.org", "remote.cas[0]", "begins on 2026-03-30"),
    ],
)
def test_a_certificate_outside_its_dates_keeps_no_other_tunnel_down(written, now, name, authority, where, words):
    text = (
        f'[connections.office]\nlocal.id = "{name}"\nlocal.certs = "{name}.pem"\n'
        f'local.key = "{name}.key"\nremote.id = "%any"\nremote.cas = "{authority}.pem"\n'
        '[connections.other]\npsk_file = "office.psk"\nlocal.id = "a.example.org"\nremote.id = "c.example.org"\n'
    )
    loaded = load(written(text), now)
    (problem,) = [one for one in loaded.warnings if one.where == f"connections.office.{where}"]
    assert words in problem.message
    assert [one.name for one in loaded.engine.connections] == ["office", "other"]


def test_a_mixed_pair_proves_itself_in_two_ways(written, now):
    text = (
        '[connections.office]\npsk_file = "office.psk"\nlocal.id = "a.example.org"\nlocal.certs = "a.example.org.pem"\n'
        'local.key = "a.example.org.key"\nremote.id = "b.example.org"\nremote.auth = "psk"\n'
    )
    loaded = load(written(text), now)
    (connection,) = loaded.engine.connections
    assert (connection.local.method, connection.remote.method) == ("pubkey", "psk")
    assert len(loaded.policy.psks) == len(loaded.policy.keys) == 1
    # The guard makes no proof of ours with a key that is only the peer's.
    assert (loaded.policy.psks[0].proves, loaded.policy.psks[0].checks) == (False, True)


def test_the_other_way_round_a_key_is_ours_alone(written, now):
    text = (
        '[connections.office]\npsk_file = "office.psk"\nlocal.id = "a.example.org"\nremote.id = "b.example.org"\n'
        'remote.cas = "ca.pem"\n'
    )
    loaded = load(written(text), now)
    (connection,) = loaded.engine.connections
    assert (connection.local.method, connection.remote.method) == ("psk", "pubkey")
    assert (loaded.policy.psks[0].proves, loaded.policy.psks[0].checks) == (True, False)


def test_a_post_quantum_key_is_the_guard_s_and_its_name_the_engine_s(written, folder, now):
    (folder / "office.ppk").write_text("0x" + bytes(range(32)).hex())
    (folder / "office.ppk").chmod(0o600)
    loaded = load(written(SHORTEST + 'ppk_id = "one"\nppk_file = "office.ppk"\n'), now)
    assert loaded.warnings == ()
    assert loaded.engine.connections[0].ppk == Ppk(b"one")
    assert loaded.policy.ppks == (PpkSecret("office", b"one", file=str(folder / "office.ppk")),)
    assert "; with the PPK one" in "\n".join(describe(loaded))
    inline = 'ppk_id = "one"\nppk_required = false\nppk = "a text of more than thirty-two octets"\n'
    loaded = load(written(SHORTEST + inline), now)
    assert loaded.engine.connections[0].ppk == Ppk(b"one", required=False)
    assert loaded.policy.ppks == (PpkSecret("office", b"one", key=b"a text of more than thirty-two octets"),)
    assert "thirty-two" not in repr(loaded)
    assert "with the PPK one where the peer has it" in "\n".join(describe(loaded))


def test_strangers_are_let_in_where_a_connection_says_so_with_a_warning(written, now):
    own = 'local.id = "a.example.org"\nlocal.certs = "a.example.org.pem"\nlocal.key = "a.example.org.key"\n'
    loaded = load(written(f'[connections.guests]\n{own}remote.auth = "null"\n'), now)
    (guests,) = loaded.engine.connections
    assert (guests.local.method, guests.remote.method) == ("pubkey", "null")
    assert guests.remote.pattern.matches(ANONYMOUS)
    assert not guests.remote.pattern.matches(parse_identity("a.example.org"))
    assert loaded.policy.psks == ()
    assert [problem.where for problem in loaded.warnings] == ["connections.guests.remote.auth"]
    assert "expects %null with no proof at all" in "\n".join(describe(loaded))

    lines = 'local.auth = "null"\nremote.id = "b.example.org"\nremote.cas = "ca.pem"\nremote_addrs = "192.0.2.7"\n'
    loaded = load(written(f"[connections.gate]\n{lines}"), now)
    assert loaded.engine.connections[0].local.identity == ANONYMOUS
    assert loaded.warnings == ()

    both = 'local.auth = "null"\nremote.auth = "null"\nremote_addrs = "192.0.2.7"\n'
    warned = [problem.message for problem in load(written(f"[connections.any]\n{both}"), now).warnings]
    assert len(warned) == 2
    assert any("answers in the peer's place" in message for message in warned)


def test_the_description_says_what_the_node_does(written, now):
    text = "\n".join(describe(load(written(WHOLE), now)))
    for words in (
        "interface tap9: 10.77.0.1/24, fd00::1/64; MTU 1400",
        "UDP ports 1500 and 14500",
        "connection office: waits for gate.example.org",
        "as a.example.org with a certificate, expects *.example.org with a certificate",
        "child lan: IP from 10.77.0.0/24, 10.78.0.1-10.78.0.9 to 10.88.0.0/24[tcp/443], fd00:88::/64[udp/4000-4010]",
        "child wire: Ethernet",
        "connection old: waits for any address; as a@example.org with a shared key, expects %any with a shared key",
    ):
        assert words in text
    assert "0x30" not in text


def test_nothing_secret_is_shown_by_repr(written, now):
    loaded = load(written(WHOLE), now)
    assert "0123456789abcdef" not in repr(loaded)
