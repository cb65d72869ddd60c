"""What must not work, and says so in one clear sentence."""

import json
import os
import shlex

import pytest

from rhp.lab.errors import NotReached
from rhp.lab.pair import CONNECTION, IDENTITIES, SECRET, TAP, PairOptions, configuration, start_pair
from rhp.lab.ping import ping, reaches
from rhp.lab.process import Background, wait_until
from rhp.lab.rhpnode import RhpNode, rhp_command
from rhp.lab.topology import cable

pytestmark = pytest.mark.netns


def outcome(namespace, command, folder):
    """Exit status and words of a command that ought to end by itself, soon."""
    folder.mkdir(parents=True, exist_ok=True)
    process = Background(namespace.command(command), folder / "said")
    try:
        return process.wait(60), process.text()
    finally:
        process.stop()


def one_sentence(said):
    lines = [line for line in said.splitlines() if line.strip()]
    return len(lines) == 1 and "Traceback" not in said


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rhp.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def usable(lab):
    """A configuration that would work."""
    folder = lab.path("node")
    folder.mkdir()
    lines = [
        f'node.run_dir = "{folder}/run"',
        f'node.state_dir = "{folder}/state"',
        "[connections.x]",
        'remote_addrs = ["192.0.2.2"]',
        f'psk = "{SECRET}"',
        'local.id = "a.example.org"',
        'remote.id = "b.example.org"',
    ]
    return write(folder, "\n".join(lines) + "\n")


def test_wrong_psk_is_told_at_both_ends(lab):
    secrets = SECRET, "another secret of the lab"
    nodes = start_pair(lab, cable(lab), PairOptions(secrets=secrets))
    for node, peer in ((nodes.a, IDENTITIES[1]), (nodes.b, IDENTITIES[0])):
        entry = node.wait_connection(CONNECTION, lambda entry: entry["last_error"])
        assert "authentication failed" in entry["last_error"].lower()
        assert peer in entry["last_error"]
        assert entry["state"] != "established"
        lines = [line for line in node.process.text().splitlines() if "authentication failed" in line]
        assert lines
        assert all(peer in line and "reason=" in line for line in lines)
        shown = node.command("status", check=False)
        assert "authentication failed" in shown.lower()
        assert peer in shown
        for secret in secrets:
            assert secret not in node.process.text() + json.dumps(node.status()) + shown
    assert ping(nodes.a.namespace, nodes.inner[1], count=1, wait=0.3).received == 0


def test_unknown_peer_is_refused(lab):
    stranger = {"local": {"id": "stranger.example.org"}}
    a, b = cable(lab)
    theirs = configuration(2, PairOptions())
    ours = configuration(1, PairOptions(connection=stranger))
    waits = lab.keep(RhpNode(b, lab.path("b"), theirs))
    calls = lab.keep(RhpNode(a, lab.path("a"), ours))
    entry = calls.wait_connection(CONNECTION, lambda entry: entry["last_error"])
    assert "authentication failed" in entry["last_error"].lower()
    wait_until(lambda: "stranger.example.org" in waits.process.text(), 30, "b naming the stranger")


def test_no_common_proposal_is_told(lab):
    a, b = cable(lab)
    ours = PairOptions(connection={"proposals": ["aes128gcm16-prfsha256-x25519"]})
    theirs = PairOptions(connection={"proposals": ["aes256gcm16-prfsha384-ecp384"]})
    lab.keep(RhpNode(b, lab.path("b"), configuration(2, theirs)))
    calls = lab.keep(RhpNode(a, lab.path("a"), configuration(1, ours)))
    entry = calls.wait_connection(CONNECTION, lambda entry: entry["last_error"])
    assert "proposal" in entry["last_error"].lower()


def test_bad_configuration_lists_every_mistake_and_changes_nothing(lab):
    host = lab.namespace("a")
    path = write(
        lab.path("bad"),
        "\n".join(
            [
                "[interface]",
                'addresses = ["10.77.0.1/99"]',
                "[connections.x]",
                'remote_addr = ["192.0.2.2"]',
                'proposals = ["aes128gcm16-prfsha257-x25519"]',
                'psk_file = "missing.psk"',
                'local.id = "a.example.org"',
                'remote.id = "b.example.org"',
            ]
        ),
    )
    before = host.interfaces()
    for command in (("up",), ("config", "check")):
        status, said = outcome(host, rhp_command(*command, "-c", str(path)), lab.path("said"))
        assert status != 0
        for line, words in (
            (2, "addresses"),
            (4, "remote_addrs"),
            (5, "prfsha256"),
            (6, "psk_file: there is no such file"),
        ):
            assert any(f"{path}:{line}" in each and words in each for each in said.splitlines()), (words, said)
        assert "Traceback" not in said
    assert host.interfaces() == before


def test_starting_twice(lab):
    nodes = start_pair(lab, cable(lab))
    nodes.wait_established()
    command = rhp_command("up", "-c", str(nodes.a.file))
    status, said = outcome(nodes.a.namespace, command, lab.path("second"))
    assert status != 0
    assert one_sentence(said), said
    assert "already" in said
    assert nodes.a.process.status is None
    assert ping(nodes.a.namespace, nodes.inner[1], count=2).received == 2


def test_a_second_node_with_other_folders_meets_taken_ports(lab):
    nodes = start_pair(lab, cable(lab))
    other = {**configuration(1, PairOptions()), "interface": {"name": "rhp1"}}
    with pytest.raises(NotReached) as refused:
        RhpNode(nodes.a.namespace, lab.path("other"), other)
    assert "500" in str(refused.value)
    assert "Traceback" not in str(refused.value)
    assert "rhp1" not in nodes.a.namespace.interfaces()
    assert nodes.a.process.status is None


def test_without_root(lab, usable):
    """As nobody; the one capability left is to read files, so that it does not matter where this lies."""
    host = lab.namespace("a")
    caps = "-all,+dac_read_search"
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    nobody += [f"--inh-caps={caps}", f"--ambient-caps={caps}", f"--bounding-set={caps}"]
    for command in (["up", "-c", str(usable)], ["demo"]):
        status, said = outcome(host, [*nobody, *rhp_command(*command)], lab.path("said") / command[0])
        assert status != 0
        assert one_sentence(said), said
        assert "root" in said


def test_without_dev_net_tun(lab, usable):
    host = lab.namespace("a")
    words = shlex.join(rhp_command("up", "-c", str(usable)))
    hidden = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs none /dev/net && exec {words}"]
    status, said = outcome(host, hidden, lab.path("said"))
    assert status != 0
    assert one_sentence(said), said
    assert "/dev/net/tun" in said


def test_commands_without_a_node_say_so(lab, usable):
    host = lab.namespace("a")
    for command in ("status", "down"):
        status, said = outcome(host, rhp_command(command, "-c", str(usable)), lab.path("said") / command)
        assert status != 0
        assert one_sentence(said), said
        assert "no node is running" in said


def test_a_tap_name_that_is_taken(lab, usable):
    host = lab.namespace("a")
    host.ip(f"link add {TAP} type bridge")
    status, said = outcome(host, rhp_command("up", "-c", str(usable)), lab.path("said"))
    assert status != 0
    assert one_sentence(said), said
    assert TAP in said
    assert TAP in host.interfaces()


def test_a_stale_socket_of_a_dead_node_is_no_obstacle(lab):
    nodes = start_pair(lab, cable(lab))
    nodes.wait_established()
    nodes.b.kill()
    assert os.path.lexists(nodes.b.folder / "run" / "control.sock")
    nodes.b.start()
    # Node b only waits, and nothing but traffic tells node a that its peer has forgotten it (RFC 7296, section 2.4).
    assert reaches(nodes.a.namespace, nodes.inner[1], tries=60)
