"""A configuration apart: the guard's share has the secrets, the node's has none, and both arrive as they were."""

import subprocess
import sys
from dataclasses import replace

import pytest

from rhp.config.apart import apart
from rhp.config.loading import load
from rhp.guard.brief import Identities, Mistaken, Shares, read, write, write_revision
from rhp.node.share import NodeShare, read_share
from rhp.wire.errors import DecodeError

SECRET = "a secret that stands in the file"
PPK = "another one, against computers that nobody has"
TEXT = f"""\
[node]
port = 1500
natt_port = 14500
lanes = 2
spare_lanes = 3
steering = "station"
user = "vpn"
guard_user = "vpn-keys"

[interface]
queue_length = 500
addresses = ["10.77.0.1/24", "fd00::1/64"]
mac = "02:00:5e:00:00:01"

[hub]
mss_clamp = false
static = [{{ mac = "02-00-5E-00-00-02", connection = "office" }}]

[firewall]
forward = true
masquerade = ["10.88.0.0/24", "fd88::/64"]

[[hooks]]
on = ["tunnel-up", "tunnel-down"]
command = ["/bin/true", "--loud"]
timeout = "1m"

[pools.staff]
addresses = ["10.88.0.0/24", "10.88.9.1-10.88.9.5"]
dns = ["10.1.0.53"]
domains = ["example.org"]
subnets = ["10.1.0.0/24"]
fixed = {{ "c.example.org" = "10.88.0.7" }}

[connections.office]
remote_addrs = ["192.0.2.7", "gate.example.org"]
proposals = ["aes256gcm16-prfsha384-ecp384-ke1_mlkem768-ke1_none", "aes256-sha256-prfsha256-modp2048"]
local.id = "a.example.org"
local.certs = ["a.example.org.pem", "ca.pem"]
local.key = "a.example.org.key"
remote.id = "*.example.org"
remote.cas = ["ca.pem"]
ppk_id = "one"
ppk = "{PPK}"

[connections.office.children.lan]
mode = "tunnel"
local_ts = ["10.1.0.0/24[tcp/443]"]
remote_ts = ["10.2.0.0/24", "10.3.0.0-10.3.0.255"]
esp_proposals = ["aes256gcm16-modpnone-x25519-esn-noesn"]
rekey_bytes = "1T"

[connections.road]
psk = "{SECRET}"
local.id = "C=CH, CN=gate"
remote.id = "C=CH, CN=*"
pools = ["staff"]
children.net = {{ mode = "tunnel", local_ts = ["0.0.0.0/0"] }}
"""


@pytest.fixture
def loaded(written, now):
    return load(written(TEXT), now)


def test_the_node_gets_its_share_as_it_was(loaded):
    share = read_share(write_revision(apart(loaded).node))
    assert share == NodeShare(loaded.settings, loaded.engine)
    # What plays no part in a comparison, and what is made of the rest, is there as well.
    for one, other in zip(share.engine.connections, loaded.engine.connections, strict=True):
        assert [item.name for item in one.proposals] == [item.name for item in other.proposals]
        assert [item.to_wire(1) for item in one.proposals] == [item.to_wire(1) for item in other.proposals]
        assert one.remote.pattern.specificity == other.remote.pattern.specificity


def test_connections_with_the_same_proposals_share_them(loaded):
    twice = replace(loaded.engine.connections[0], name="twice")
    engine = replace(loaded.engine, connections=(*loaded.engine.connections, twice))
    office, _, twice = read_share(write_revision(apart(replace(loaded, engine=engine)).node)).engine.connections
    assert twice.proposals[0] is office.proposals[0]
    assert twice.children[0].proposals[0] is office.children[0].proposals[0]


def test_the_guard_gets_its_share_as_it_was(loaded):
    shares = apart(loaded)
    assert read(write(shares)) == shares
    assert shares.guard.policy == loaded.policy
    assert shares.guard.identities == Identities("vpn", "rhp", "vpn-keys")
    assert shares.guard.lowest_port == 1500


def test_the_nodes_share_holds_no_secret_and_no_way_to_one(loaded, folder):
    octets = write_revision(apart(loaded).node)
    for text in (SECRET, PPK, "a.example.org.key", "PRIVATE KEY", str(folder / "rhp.toml")):
        assert text.encode() not in octets
    assert SECRET not in repr(apart(loaded).guard)


def test_what_the_guard_allows_is_what_the_configuration_has(loaded):
    policy = loaded.policy
    assert policy.addresses == ("10.77.0.1/24", "fd00::1/64")
    assert policy.ports == (1500, 14500)
    assert (policy.queue_lengths, policy.segments) == ((500,), ())
    assert policy.by_station
    assert policy.reach is not None
    assert {"10.2.0.0/24", "10.3.0.0/24", "10.88.0.192/27", "10.88.9.1/32", "10.88.0.7/32"} <= set(policy.reach)
    assert policy.state_dir == "/var/lib/rhp-guard"


@pytest.mark.parametrize(
    ("child", "reach"),
    [
        ('mode = "ethernet"', ()),
        ('mode = "tunnel"\nlocal_ts = ["10.1.0.0/24"]\nremote_ts = ["10.2.0.0/24"]', ("10.2.0.0/24",)),
        # Whatever the peer gives us may lie anywhere.
        ('mode = "tunnel"\nremote_ts = ["10.2.0.0/24"]', None),
    ],
)
def test_how_far_routes_may_reach(written, now, child, reach):
    asks = "request_addresses = true\n" if reach is None else ""
    text = (
        f'[connections.x]\nremote_addrs = ["192.0.2.7"]\npsk = "{SECRET}"\nlocal.id = "a"\nremote.id = "b"\n{asks}'
        f"[connections.x.children.y]\n{child}\n"
    )
    assert load(written(text), now).policy.reach == reach


def test_the_reading_process_gives_both_shares_or_the_mistakes(written):
    file = written('[connections.x]\nremote_addrs = ["192.0.2.7"]\nlocal.id = "a"\nremote.id = "b"\nfrobnicate = 1\n')
    for text, kind in ((file.read_text().replace("frobnicate = 1", f'psk = "{SECRET}"'), Shares), (None, Mistaken)):
        if text is None:
            text = file.read_text() + "frobnicate = 1\n"
        file.write_text(text)
        command = [sys.executable, "-P", "-m", "rhp.config.process", str(file)]
        outcome = read(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        assert type(outcome) is kind
    assert outcome.mistakes == 1
    assert "frobnicate" in outcome.text
    assert [(one.where, one.line, one.warning) for one in outcome.found] == [("connections.x.frobnicate", 6, False)]
    assert outcome.file == str(file)


def test_half_a_share_is_none(loaded):
    octets = write_revision(apart(loaded).node)
    for cut in (0, 1, len(octets) // 2, len(octets) - 1):
        with pytest.raises(DecodeError):
            read_share(octets[:cut])


@pytest.mark.parametrize("key", ["user", "group", "guard_user"])
@pytest.mark.parametrize("name", ["root", "Two Words", "", "-x", "x" * 40])
def test_names_of_users_that_cannot_be(written, now, key, name):
    from rhp.config.errors import ConfigError

    with pytest.raises(ConfigError) as refused:
        load(written(f'node.{key} = "{name}"\n'), now)
    assert f"node.{key}" in [problem.where for problem in refused.value.problems]
