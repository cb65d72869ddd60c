"""Every mistake that a configuration can hold: one sentence each, with its place, and all of them at once."""

import pytest

from rhp.config.errors import ConfigError
from rhp.config.loading import load

GOOD = """\
[connections.office]
remote_addrs = ["192.0.2.7"]
psk_file = "office.psk"
local.id = "a.example.org"
remote.id = "b.example.org"
"""

CERTS = """\
[connections.office]
remote_addrs = ["192.0.2.7"]
local.id = "a.example.org"
local.certs = ["a.example.org.pem"]
local.key = "a.example.org.key"
remote.id = "b.example.org"
remote.cas = ["ca.pem"]
"""

# (what is added to or replaced in GOOD, where the mistake is, its line, words that the sentence must hold)
ADDED = [
    ('\n[intrface]\nname = "x0"', "intrface", 7, ["no such key", "did you mean interface"]),
    ("\n[node]\nport = 70000", "node.port", 8, ["70000 is not a port", "1 to 65535"]),
    ("\n[node]\nport = 4500", "node.natt_port", 7, ["node.port as well"]),
    ('\n[node]\nport = "500"', "node.port", 8, ['"500" is text', "without quotes"]),
    ("\n[node]\nlanes = true", "node.lanes", 8, ["true is not a number of lanes", '"auto"']),
    ("\n[node]\nlanes = 2\ncpus = [0]", "node.cpus", 9, ["2 lanes have 1 processors"]),
    ("\n[node]\ncpus = [0, 0]", "node.cpus[1]", 8, ["processor 0 has a lane already"]),
    ("\n[node]\ncpus = [1023]", "node.cpus[0]", 8, ["processor 1023 is none", "write one of 0"]),
    ('\n[node]\ncpus = ["0"]', "node.cpus[0]", 8, ['"0" is text', "without quotes"]),
    ("\n[node]\nspare_lanes = 64", "node.spare_lanes", 8, ["64 is not a number of spare lanes", "0 to 63"]),
    ('\n[node]\nsteering = "flows"', "node.steering", 8, ['"flow"']),
    ('\n[node]\nextensions = ["peer-nota"]', "node.extensions[0]", 8, ['no extension "peer-nota"', "its package"]),
    ('\n[node]\nextensions = ["no.such.module"]', "node.extensions[0]", 8, ["no extension"]),
    ("\n[node]\nextensions = [7]", "node.extensions[0]", 8, ["7 is not text"]),
    ('\n[node]\nlog_level = "infos"', "node.log_level", 8, ["write info"]),
    ('\n[node]\nlog_levels = {ikee = "debug"}', "node.log_levels", 8, ['"ikee" is no part of the log', "write ike"]),
    ('\n[node]\nlog_levels = {ike = "debugs"}', "node.log_levels", 8, ["write debug"]),
    ('\n[node]\nlog_levels = "debug"', "node.log_levels", 8, ["write a table of levels", '{ike = "debug"}']),
    ('\n[node]\nlog_format = "xml"', "node.log_format", 8, ["json", "journal"]),
    ("\n[node]\nmetrics = 9469", "node.metrics", 8, ["9469 is not text", "quotes"]),
    ('\n[node]\nmetrics = "localhost:9469"', "node.metrics", 8, ["no address with a port", '"127.0.0.1:9469"']),
    ('\n[node]\nmetrics = "127.0.0.1:80"', "node.metrics", 8, ["from 1024 to 65535"]),
    ("\n[node]\naudit_file = 7", "node.audit_file", 8, ["7 is not text"]),
    ('\n[node]\naudit_file = "/var/log/a"', "node.audit_file", 8, ['write "/var/lib/rhp/a"']),
    (f'\n[node]\nrun_dir = "/{"x" * 100}"', "node.run_dir", 8, ["too long"]),
    ('\n[interface]\naddresses = ["10.0.0.0/24"]', "interface.addresses[0]", 8, ["network itself", '"10.0.0.1/24"']),
    ('\n[interface]\naddresses = ["10.0.0.255/24"]', "interface.addresses[0]", 8, ["broadcast"]),
    ('\n[interface]\naddresses = ["224.0.0.1/4"]', "interface.addresses[0]", 8, ["cannot be the address"]),
    ('\n[interface]\naddresses = ["0.0.0.0/0"]', "interface.addresses[0]", 8, ["cannot be the address"]),
    ('\n[interface]\naddresses = ["fe80::1%eth0/64"]', "interface.addresses[0]", 8, ["has a scope", "without the"]),
    ('\n[interface]\naddresses = ["::1/128"]', "interface.addresses[0]", 8, ["cannot be the address"]),
    ("\n[hub]\nstatic = [7]", "hub.static[0]", 8, ["write {mac = .., connection = ..}"]),
    ('proposals = "qqqqqq"', "connections.office.proposals", 6, ["not an algorithm", "aes128gcm16"]),
    ("\n[node]\nrun_dir = 3", "node.run_dir", 8, ["3 is not text", "quotes"]),
    ('\n[interface]\nname = "a-name-that-is-long"', "interface.name", 8, ["up to 15"]),
    ('\n[interface]\nname = "a/b"', "interface.name", 8, ["cannot name an interface"]),
    ('\n[interface]\naddresses = ["10.0.0.1"]', "interface.addresses[0]", 8, ["no prefix length", "10.0.0.1/24"]),
    ('\n[interface]\naddresses = ["10.0.0.256/24"]', "interface.addresses[0]", 8, ["not an address with a prefix"]),
    ('\n[interface]\nmtu = "big"', "interface.mtu", 8, ['"big" is not an MTU', "576 to 65521", '"auto"']),
    ('\n[interface]\nmtu = 1200\naddresses = ["fd00::1/64"]', "interface.mtu", 8, ["at least 1280"]),
    ("\n[interface]\nqueue_length = 0", "interface.queue_length", 8, ["16 to 10000"]),
    ("\n[interface]\nsegments = 65536", "interface.segments", 8, ["1 to 65535"]),
    ('\n[interface]\nmac = "03:00:00:00:00:01"', "interface.mac", 8, ["multicast", "even"]),
    ('\n[interface]\nmac = "02:00:00:00:01"', "interface.mac", 8, ["not a MAC address", "02:00:5e:00:00:01"]),
    ('\n[interface]\nmac = "00:00:00:00:00:00"', "interface.mac", 8, ["no station's"]),
    ('\n[hub]\nisolate = "yes"', "hub.isolate", 8, ["true or false", "without quotes"]),
    ("\n[node]\npath_mtu = 500", "node.path_mtu", 8, ["500 is not an MTU", "576 to 65521", '"auto"']),
    ('\n[hub]\noversize = "drop"', "hub.oversize", 8, ["fragment", "answer"]),
    ('\n[hub]\nordering = "on"', "hub.ordering", 8, ["off", "drop", "hold"]),
    ("\n[hub]\nmss_clamp = true", "hub.mss_clamp", 8, ["true is not an MSS", "false"]),
    (
        '\n[[hub.static]]\nmac = "02:00:00:00:00:01"\nconnection = "ofice"',
        "hub.static[0].connection",
        None,
        ['no connection "ofice"', "write office"],
    ),
    ('\n[[hub.static]]\nmac = "02:00:00:00:00:01"', "hub.static[0]", None, ["connection is missing"]),
    (
        '\n[hub]\nstatic = [{mac = "02:00:00:00:00:01", connection = "office"},\n'
        '{mac = "02:00:00:00:00:01", connection = "office"}]',
        "hub.static[1].mac",
        8,
        ["hub.static[0] has this address already"],
    ),
    ('remote_adrs = ["192.0.2.9"]', "connections.office.remote_adrs", 6, ["did you mean remote_addrs?"]),
    ('local.certz = "x"', "connections.office.local.certz", 6, ["did you mean certs?"]),
    ('remote_ts = "10.0.0.0/8"', "connections.office.remote_ts", 6, ["[connections.NAME.children.NAME]"]),
    ("mac_ageing = 3", "connections.office.mac_ageing", 6, ["belongs in [hub]"]),
    ('interface = "x"', "connections.office.interface", 6, ["[interface]"]),
    ("frobnicate = 3", "connections.office.frobnicate", 6, ["no such key", "leave it out"]),
    ('local_addrs = "2001:db8::1"', "connections.office.local_addrs", 6, ["IPv4 cannot call IPv6"]),
    ('local_addrs = "192.0.2.1/24"', "connections.office.local_addrs", 6, ["bits set", "192.0.2.0/24"]),
    ('proposals = ["aes128gcm16-prfsha256-x2551"]', "connections.office.proposals[0]", 6, ["x2551", "x25519"]),
    ('proposals = "aes128gcm16"', "connections.office.proposals", 6, []),
    ('encapsulation = "tcp"', "connections.office.encapsulation", 6, ['"udp" or "auto"']),
    ('start = "now"', "connections.office.start", 6, ['"initiate" or "wait"']),
    ('dpd_delay = "5 weeks"', "connections.office.dpd_delay", 6, ['"90s"', "not a time"]),
    ('unique = "yes"', "connections.office.unique", 6, ['"replace"', '"keep"', '"never"']),
    ('children.x.rekey_bytes = "5 apples"', "connections.office.children.x.rekey_bytes", 6, ["octets", '"64G"']),
    ("children.x.rekey_bytes = -1", "connections.office.children.x.rekey_bytes", 6, ["-1 is not a number of octets"]),
    ('children.x.rekey_packets = "64G"', "connections.office.children.x.rekey_packets", 6, ["number of packets"]),
    ("dpd_delay = -1", "connections.office.dpd_delay", 6, ["-1 is not a time"]),
    ("rekey_time = 1.5", "connections.office.rekey_time", 6, ["1.5 is not a time"]),
    ("over_time = 0", "connections.office.over_time", 6, ["no time would be left"]),
    ('psk = "another key of good length"', "connections.office.psk", 6, ["both there"]),
    ('local.auth = "eap"', "connections.office.local.auth", 6, ['"psk", "pubkey" or "null"']),
    ('ppk_id = "one"', "connections.office.ppk_id", 6, ["the key is missing", "rhp keygen ppk"]),
    ('ppk_id = ""', "connections.office.ppk_id", 6, ["the text is empty"]),
    ('ppk_id = "a\\u00e9"', "connections.office.ppk_id", 6, ["cannot name a key", "255 printable ASCII"]),
    ('ppk_file = "office.psk"', "connections.office.ppk_file", 6, ["found by its name", "ppk_id"]),
    ('ppk_id = "one"\nppk_file = "ofice.psk"', "connections.office.ppk_file", 7, ["did you mean office.psk"]),
    ('ppk_id = "one"\nppk = "0xzz"', "connections.office.ppk", 7, ["the post-quantum", "not valid hexadecimal"]),
    ('ppk_id = "one"\nppk_file = "a.example.org.key"', "connections.office.ppk_file", 7, ["rhp keygen ppk"]),
    ('ppk_id = "one"\nppk_file = "office.psk"\nppk = "x"', "connections.office.ppk", 8, ["both there"]),
    ('reauth_time = "30s"', "connections.office.reauth_time", 6, ["once a minute at most"]),
    ("ppk_required = false", "connections.office.ppk_required", 6, ["there is no PPK"]),
    ('local.auth = "pubkey"', "connections.office.local.certs", 4, ["certificates need it"]),
    ('local.key = "a.example.org.key"', "connections.office.local.certs", 4, ["is missing"]),
    ("children = 3", "connections.office.children", 6, ["must be a table", "[connections.office.children]"]),
    ('\n[connections.office.children.x]\nmode = "tap"', "connections.office.children.x.mode", 8, ['"ethernet"']),
    (
        '\n[connections.office.children.x]\nmode = "tunnel"\nlocal_ts = "10.0.0.0/8"',
        "connections.office.children.x.remote_ts",
        7,
        ["tunnel mode needs it"],
    ),
    (
        '\n[connections.office.children.x]\nlocal_ts = "10.0.0.0/8"',
        "connections.office.children.x.local_ts",
        8,
        ["carries every frame", 'mode = "tunnel"'],
    ),
    (
        "\n[connections.office.children.x]\nreplay_window = 16",
        "connections.office.children.x.replay_window",
        8,
        ["32 to 4096"],
    ),
    (
        '\n[connections.office.children.x]\nesp_proposals = "aes128gcm17"',
        "connections.office.children.x.esp_proposals",
        8,
        ["aes128gcm16"],
    ),
    (
        "\n[connections.office.children.x]\n\n[connections.office.children.X]",
        "connections.office.children.X",
        9,
        ["capitals"],
    ),
    ('\n[connections."bad name"]\n', 'connections."bad name"', 7, ["cannot be a name"]),
    (
        '\n[connections.twin]\npsk_file = "office.psk"\nremote_addrs = "192.0.2.7"\nlocal.id = "a.example.org"\n'
        'remote.id = "B.example.org"',
        "connections.twin",
        7,
        ["same ids and addresses as office"],
    ),
]

SELECTORS = [
    ("10.0.0.0/33", "not an IP address"),
    ("10.0.0.1/24", "10.0.0.0/24"),
    ("10.0.0.9-10.0.0.1", "backwards"),
    ("10.0.0.1-fd00::1", "mixes"),
    ("10.0.0.1-x", "range"),
    ("fe80::%eth0/64", "scope"),
    ("fe80::1%eth0-fe80::9%eth0", "scope"),
    ("10.0.0.0/8[tpc/80]", "write tcp"),
    ("10.0.0.0/8[tcp/80-70]", "not a port"),
    ("10.0.0.0/8[tcp/99999]", "not a port"),
    ("10.0.0.0/8[300]", "not a protocol"),
    ("10.0.0.0/8]", "not a traffic selector"),
]

REPLACED = [
    ('["192.0.2.7"]', '["192.0.2.300"]', "connections.office.remote_addrs[0]", 2, ["not an IP address"]),
    ('["192.0.2.7"]', '["fe80::1%eth0"]', "connections.office.remote_addrs[0]", 2, ["has a scope", "without the"]),
    ('["192.0.2.7"]', '["192.0.2.0/24"]', "connections.office.remote_addrs", 2, ["cannot be called", 'start = "wait"']),
    ('["192.0.2.7"]', '["a b"]', "connections.office.remote_addrs[0]", 2, ["neither an IP address nor a host name"]),
    ('["192.0.2.7"]', "7", "connections.office.remote_addrs", 2, ["must be a list", "brackets"]),
    ('["192.0.2.7"]', '[]\nstart = "initiate"', "connections.office.start", 3, ["nobody to call"]),
    ("office.psk", "ofice.psk", "connections.office.psk_file", 3, ["no such file", "did you mean office.psk"]),
    ("office.psk", ".", "connections.office.psk_file", 3, ["is no file"]),
    ('psk_file = "office.psk"', "", "connections.office.psk_file", 1, ["rhp keygen psk", "local.certs"]),
    ('psk_file = "office.psk"', 'psk = ""', "connections.office.psk", 3, ["empty"]),
    ('local.id = "a.example.org"', "", "connections.office.local.id", 1, ["is missing", "who this node is"]),
    ('remote.id = "b.example.org"', "", "connections.office.remote.id", 1, ["is missing", "%any"]),
    ('local.id = "a.example.org"', 'local.id = "*.example.org"', "connections.office.local.id", 4, ["pattern"]),
    ('local.id = "a.example.org"', "local.id = 7", "connections.office.local.id", 4, ["not text"]),
    ('remote.id = "b.example.org"', 'remote.id = ""', "connections.office.remote.id", 5, ["empty"]),
]

REPLACED_IN_CERTS = [
    ("a.example.org.pem", "b.example.org.pem", "connections.office.local.id", 3, ["a.example.org", "b.example.org"]),
    ("a.example.org.pem", "b.example.org.pem", "connections.office.local.key", 5, ["does not belong"]),
    ("a.example.org.pem", "a.example.org.key", "connections.office.local.certs[0]", 4, []),
    ("a.example.org.key", "a.example.org.pem", "connections.office.local.key", 5, []),
    ("ca.pem", "nothing.pem", "connections.office.remote.cas[0]", 7, ["no file"]),
    ('local.key = "a.example.org.key"', "", "connections.office.local.key", 3, ["certificates need it"]),
    ('remote.cas = ["ca.pem"]', 'remote.auth = "pubkey"', "connections.office.remote.cas", 6, ["CA to trust"]),
    ('remote.cas = ["ca.pem"]', "", "connections.office.remote.cas", 6, ["CA to trust"]),
    ("remote_addrs", 'psk = "a key that nobody needs"\nremote_addrs', "connections.office.psk", 2, ["never used"]),
]


# (the connection's lines, where the mistakes are, words of the first)
NULLS = [
    ('local.auth = "null"\nremote.cas = "ca.pem"\nremote.id = "b.x"\nlocal.id = "a.x"', ["local.id"], "leave it out"),
    ('remote.auth = "null"\nlocal.auth = "null"\nremote.id = "%any"', ["remote.id"], "nobody proves this name"),
    ('remote.auth = "null"\nlocal.id = "a.x"\npsk_file = "office.psk"', ["remote.auth"], "can be guessed"),
    ('local.auth = "null"\nremote.id = "b.x"\npsk_file = "office.psk"', ["local.auth"], "can be guessed"),
    ('local.auth = "null"\nlocal.key = "a.example.org.key"\nremote.auth = "null"', ["local.key"], "auth is null"),
    # Nothing makes the other side a stranger too, unless it says so.
    ('remote.auth = "null"\nlocal.id = "a.x"', ["psk_file"], "neither a key nor a certificate"),
    ('local.auth = "null"\nremote.id = "b.x"', ["psk_file"], "neither a key nor a certificate"),
]


def mistakes(path, now):
    with pytest.raises(ConfigError) as caught:
        load(path, now)
    return [problem for problem in caught.value.problems if not problem.warning]


def expect_one(path, now, where, line, words):
    found = mistakes(path, now)
    matching = [problem for problem in found if problem.where == where]
    assert len(matching) == 1, found
    if line is not None:
        assert matching[0].line == line
    for word in words:
        assert word in matching[0].message
    assert not matching[0].message.endswith(".")
    assert "\n" not in matching[0].message
    return found


@pytest.mark.parametrize(
    ("added", "where", "line", "words"), ADDED, ids=[case[1] + str(i) for i, case in enumerate(ADDED)]
)
def test_an_added_mistake_is_told_with_its_place(written, now, added, where, line, words):
    found = expect_one(written(GOOD + added + "\n"), now, where, line, words)
    assert len(found) == 1 or 'connections."bad name"' in where or "local.key" in added or "pubkey" in added


@pytest.mark.parametrize(("old", "new", "where", "line", "words"), REPLACED)
def test_a_wrong_value_is_told_with_its_place(written, now, old, new, where, line, words):
    assert old in GOOD
    found = expect_one(written(GOOD.replace(old, new)), now, where, line, words)
    assert len(found) == 1


@pytest.mark.parametrize(("old", "new", "where", "line", "words"), REPLACED_IN_CERTS)
def test_a_wrong_certificate_or_key_is_told_with_its_place(written, now, old, new, where, line, words):
    assert old in CERTS
    expect_one(written(CERTS.replace(old, new)), now, where, line, words)


@pytest.mark.parametrize(("lines", "keys", "words"), NULLS)
def test_a_stranger_in_dangerous_company_is_refused(written, now, lines, keys, words):
    found = mistakes(written(f"[connections.office]\n{lines}\n"), now)
    assert [problem.where for problem in found] == [f"connections.office.{key}" for key in keys]
    assert words in found[0].message


@pytest.mark.parametrize(("selector", "words"), SELECTORS)
def test_a_wrong_selector_is_told(written, now, selector, words):
    text = (
        GOOD
        + f'\n[connections.office.children.x]\nmode = "tunnel"\nlocal_ts = "10.1.0.0/16"\nremote_ts = ["{selector}"]\n'
    )
    expect_one(written(text), now, "connections.office.children.x.remote_ts[0]", 10, [words])


def test_all_mistakes_come_at_once_and_in_the_order_of_the_file(written, now):
    text = (
        '[interface]\nmtuu = 1400\n\n[connections.office]\nremote_addrs = ["192.0.2.300", "192.0.2.7"]\n'
        'proposals = ["3des-sha1-modp1024", "nonsense"]\npsk_file = "gone.psk"\nlocal.id = "a.example.org"\n'
        '\n[connections.other]\nencapsulation = "tcp"\n'
    )
    found = mistakes(written(text), now)
    assert [problem.where for problem in found] == [
        "interface.mtuu",
        "connections.office.remote.id",
        "connections.office.remote_addrs[0]",
        "connections.office.proposals[1]",
        "connections.office.psk_file",
        "connections.other.local.id",
        "connections.other.psk_file",
        "connections.other.remote.id",
        "connections.other.encapsulation",
    ]


def test_a_warning_keeps_its_position_behind_a_mistake_in_the_same_list(written, now):
    path = written(GOOD + 'proposals = ["nonsense", "aes128-sha256-modp1024"]\n')
    with pytest.raises(ConfigError) as caught:
        load(path, now)
    warned = [problem for problem in caught.value.problems if problem.warning]
    assert [problem.where for problem in warned] == ["connections.office.proposals[1]"]
    assert "modp1024" in warned[0].message


def test_a_key_that_others_can_read_is_refused(written, folder, now):
    (folder / "office.psk").chmod(0o644)
    expect_one(written(GOOD), now, "connections.office.psk_file", 3, ["chmod 600", "read by others"])


def test_a_private_key_that_others_can_read_is_refused(written, folder, now):
    (folder / "a.example.org.key").chmod(0o604)
    expect_one(written(CERTS), now, "connections.office.local.key", 5, ["chmod 600"])


def test_an_empty_key_file_is_refused(written, folder, now):
    (folder / "office.psk").write_text("\n")
    expect_one(written(GOOD), now, "connections.office.psk_file", 3, ["is empty"])


def test_no_message_holds_the_key(written, now):
    path = written(GOOD.replace('psk_file = "office.psk"', 'psk = "short"') + "frobnicate = 1\n")
    with pytest.raises(ConfigError) as caught:
        load(path, now)
    assert '"short"' not in str(caught.value)
    assert "5 octets" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[connections.office\n", "not TOML"),
        (b"a = 1\na = 2\n", "this key is there twice"),
        (b"[a.b]\n[a.b]\n", "[a.b] is there twice"),
        (b"a = b\n", "text stands in quotes"),
        (b"a = " + b"[" * 20000, "nested too deeply"),
        (b"#" * (1 << 20) + b"\n", "larger than 1 MiB"),
        (b"\xff\xfe", "not UTF-8"),
        (b"", "there is no connection"),
    ],
)
def test_a_file_that_cannot_be_used_at_all(folder, now, content, words):
    path = folder / "rhp.toml"
    path.write_bytes(content)
    (found,) = mistakes(path, now)
    assert found.where == ""
    assert words in found.message


def test_a_secret_that_the_guard_would_not_read_is_refused_here(folder, written, now):
    large = folder / "large.psk"
    large.write_bytes(b"x" * ((1 << 16) + 1))
    large.chmod(0o600)
    (found,) = mistakes(written(GOOD.replace("office.psk", "large.psk")), now)
    assert found.where == "connections.office.psk_file"
    assert "larger than 64 KiB and cannot be a key; write the name of the key's file" in found.message


def test_a_mistake_in_the_notation_has_its_line(written, now):
    (found,) = mistakes(written(GOOD + 'psk_file = "office.psk"\n'), now)
    assert (found.line, found.message) == (6, "this key is there twice; join the two, or leave one of them out")


def test_a_folder_in_place_of_the_file(folder, now):
    (found,) = mistakes(folder, now)
    assert "this is a folder" in found.message


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604])
def test_a_key_that_the_node_would_refuse_is_found_by_the_check(written, folder, now, mode):
    (folder / "office.psk").chmod(mode)
    expect_one(written(GOOD), now, "connections.office.psk_file", 3, [f"mode {mode:04o}", "chmod 600"])


@pytest.mark.parametrize("key", ["Zm9vYmFy/c2VjcmV0c2VjcmV0", "s" * 300, "-----BEGIN PRIVATE KEY-----secret"])
@pytest.mark.parametrize("place", ["psk_file", "local.key"])
def test_a_key_in_place_of_its_file_s_name_is_not_repeated(written, now, place, key):
    text = GOOD.replace("office.psk", key) if place == "psk_file" else CERTS.replace("a.example.org.key", key)
    (found,) = mistakes(written(text), now)
    assert found.where == f"connections.office.{place}"
    assert key not in found.message
    assert key[:20] not in found.message


def test_a_key_that_cannot_be_read_is_told_beside_its_certificate(written, folder, now):
    (folder / "broken.key").write_bytes(b"junk")
    (folder / "broken.key").chmod(0o600)
    text = CERTS.replace("a.example.org.key", "broken.key").replace("a.example.org.pem", "broken.key")
    assert [one.where for one in mistakes(written(text), now)] == [
        "connections.office.local.certs[0]",
        "connections.office.local.key",
    ]


def test_the_names_of_a_certificate_are_told_once_and_without_key_identifiers(written, now):
    found = expect_one(
        written(CERTS.replace('local.id = "a', 'local.id = "c')),
        now,
        "connections.office.local.id",
        3,
        ["write CN=a.example.org or a.example.org, or a certificate for c.example.org"],
    )
    assert "@#" not in found[0].message


@pytest.mark.parametrize(
    "content", [b"\xff\x00\x01" * 20, b"-----BEGIN PRIVATE KEY-----\nx\n", b"one line\nand another\n"]
)
def test_a_file_that_holds_no_key_is_refused(written, folder, now, content):
    (folder / "office.psk").write_bytes(content)
    expect_one(written(GOOD), now, "connections.office.psk_file", 3, ["pre-shared key"])


def test_folders_are_relative_to_the_configuration(written, folder, now):
    settings = load(written(GOOD + '\n[node]\nrun_dir = "run"\nstate_dir = "/state"\n'), now).settings
    assert (settings.run_dir, str(settings.state_dir)) == (folder / "run", "/state")


def test_a_missing_file(folder, now):
    (found,) = mistakes(folder / "none.toml", now)
    assert "there is no such file" in found.message


def test_a_rendered_mistake_names_file_and_line(written, now):
    path = written(GOOD + "frobnicate = 3\n")
    with pytest.raises(ConfigError) as caught:
        load(path, now)
    assert str(caught.value).startswith(f"{path}:6: connections.office.frobnicate: there is no such key")
