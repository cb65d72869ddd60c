"""Guard and node: either dies, and the other puts things in order, says why, and lets a service manager begin anew."""

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

import rhp
from rhp.guard import exits
from rhp.lab.certificates import Authority
from rhp.lab.nodeconf import pubkey
from rhp.lab.pair import CONNECTION, IDENTITIES, SECRET, TAP, start_pair
from rhp.lab.ping import reaches
from rhp.lab.process import Background, runs, wait_until
from rhp.lab.rhpnode import RhpNode, rhp_command
from rhp.lab.topology import cable, outer

pytestmark = pytest.mark.netns


@pytest.fixture
def nodes(lab):
    made = start_pair(lab, cable(lab))
    made.wait_established()
    return made


def test_a_killed_node_is_told_of_and_everything_is_taken_back(nodes):
    inner = nodes.a.pid
    os.kill(inner, signal.SIGKILL)
    assert nodes.a.process.wait(60) == exits.NODE_DIED
    assert TAP not in nodes.a.namespace.interfaces()
    assert "node died" in nodes.a.process.text()
    assert "SIGKILL" in nodes.a.process.text()
    assert not runs(inner)
    # As a service manager does. The peer hears of the crash by token, or is told by INITIAL_CONTACT.
    nodes.a.start()
    nodes.wait_established(60)
    assert reaches(nodes.a.namespace, nodes.inner[1])


def test_without_its_guard_the_node_says_farewell_and_ends(nodes):
    inner = nodes.a.pid
    nodes.a.process.kill()
    wait_until(lambda: not runs(inner), 60, "the node ending")
    said = nodes.a.process.text()
    assert "node stopping reason=guard-gone" in said
    assert "Traceback" not in said
    assert TAP not in nodes.a.namespace.interfaces()
    # It was a farewell: the peer need not find out by itself.
    wait_until(lambda: "ike closed" in nodes.b.process.text(), 30, "b hearing the farewell")
    nodes.a.start()
    nodes.wait_established(60)


def test_a_start_waits_for_the_farewell_of_the_node_before(nodes):
    """A service manager may be quicker than a node whose guard was killed."""
    nodes.a.process.kill()
    nodes.a.start(30)
    nodes.wait_established(60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_node_ends_both_in_order(nodes, number):
    inner = nodes.a.pid
    os.kill(inner, number)
    assert nodes.a.process.wait(60) == exits.DONE
    assert not runs(inner)
    assert TAP not in nodes.a.namespace.interfaces()
    assert "Traceback" not in nodes.a.process.text()


def test_what_a_terminal_sends_goes_to_both(nodes):
    os.killpg(nodes.a.process.pid, signal.SIGINT)
    assert nodes.a.process.wait(60) == exits.DONE
    said = nodes.a.process.text()
    assert "node stopped" in said
    assert "Traceback" not in said


def test_a_node_that_hangs_is_ended(nodes):
    """It gets its time for the farewell, and not more."""
    inner = nodes.a.pid
    os.kill(inner, signal.SIGSTOP)
    nodes.a.process.send(signal.SIGTERM)
    assert nodes.a.process.wait(60) == exits.NODE_DIED
    assert not runs(inner)
    assert TAP not in nodes.a.namespace.interfaces()


PRIVATE = """\
#!/bin/sh
exec unshare -m sh -c 'mount --bind {prefix} {home}/venv && mount --bind {tree} {home}/tree && exec env \\
    PYTHONPATH={home}/tree {home}/venv/bin/python3 -c "from rhp.cli.main import main; main()" "$@"' rhp "$@"
"""


def test_it_may_be_installed_where_the_nodes_user_reads_nothing(lab):
    """As in root's own home. What the node needs it loads before; the proofs are by certificate, for more of it."""
    home, program = lab.path("home"), lab.path("rhp")
    for folder in (home, home / "venv", home / "tree"):
        folder.mkdir(mode=0o700)
    program.write_text(PRIVATE.format(prefix=sys.prefix, tree=Path(rhp.__file__).parents[1], home=home))
    program.chmod(0o755)
    authority = Authority(lab.path("ca"))
    made = []
    for host, (ours, theirs), more in zip(
        cable(lab), (IDENTITIES, IDENTITIES[::-1]), ({"remote_addrs": [outer(2)]}, {}), strict=True
    ):
        proof = authority.issue(ours)
        connection = pubkey(ours, theirs, proof.cert, proof.key, authority.certificate, **more)
        wanted = {"interface": {"name": TAP}, "connections": {CONNECTION: connection}}
        made.append(lab.keep(RhpNode(host, lab.path(ours), wanted, program)))
    for node in made:
        node.wait_established(CONNECTION, 60)
    made[0].rekey_ike(CONNECTION)
    for node in made:
        wait_until(lambda node=node: "ike rekeyed" in node.process.text(), 60, "a rekey")
        assert str(home) in Path(f"/proc/{node.pid}/cmdline").read_text()
        assert "engine fault" not in node.process.text()


def test_no_secret_is_in_the_nodes_memory(nodes):
    """As root, which may look: the key of the connection is with the guard alone."""
    assert found_in(nodes.a.process.pid, SECRET.encode())
    assert not found_in(nodes.a.pid, SECRET.encode())
    assert nodes.a.connection(CONNECTION)["state"] == "established"


def found_in(pid, octets):
    """Whether these octets stand anywhere in a process's memory."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            first, last = (int(word, 16) for word in span.split("-"))
            try:
                memory.seek(first)
                if octets in memory.read(last - first):
                    return True
            except (OSError, ValueError, OverflowError):
                continue
    return False


def write(folder, *lines):
    folder.mkdir(parents=True)
    file = folder / "rhp.toml"
    own = [f'node.run_dir = "{folder}/run"', f'node.state_dir = "{folder}/state"']
    file.write_text(
        "\n".join((*own, *lines, "[connections.x]", f'psk = "{SECRET}"', 'local.id = "a"', 'remote.id = "b"'))
    )
    file.chmod(0o600)
    return file


def refused(namespace, command, folder):
    """What a command says that ends by itself with status 1: one sentence."""
    process = Background(namespace.command(command), folder / "said")
    try:
        assert process.wait(60) == exits.NOT_STARTED
    finally:
        process.stop()
    (line,) = process.text().splitlines()
    return line


def test_without_the_users_there_is_one_sentence(lab):
    """It names the command that makes them."""
    host = lab.namespace("a")
    file = write(lab.path("node"))
    others = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("rhp")]
    (file.parent / "passwd").write_text("\n".join(others) + "\n")
    words = shlex.join(rhp_command("up", "-c", str(file)))
    hidden = f"mount --bind {file.parent}/passwd /etc/passwd && exec {words}"
    said = refused(host, ["unshare", "-m", "sh", "-c", hidden], file.parent)
    assert 'there is no user "rhp"; make it with systemd-sysusers /' in said
    assert "sysusers.conf" in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('node.user = "nobody-of-that-name"', 'there is no user "nobody-of-that-name"; make it, or write another'),
        ('node.group = "nobody-of-that-name"', 'there is no group "nobody-of-that-name"; make it'),
        ('node.guard_user = "rhp"', "node.user and node.guard_user are the same user"),
    ],
)
def test_users_that_do_not_do_are_named(lab, line, words):
    file = write(lab.path("node"), line)
    assert words in refused(lab.namespace("a"), rhp_command("up", "-c", str(file)), file.parent)


def test_a_folder_that_the_user_cannot_get_to_is_named(lab):
    file = write(lab.path("node"))
    file.parent.chmod(0o700)
    said = refused(lab.namespace("a"), rhp_command("up", "-c", str(file)), lab.folder)
    assert f"run chmod o+x {file.parent}" in said


def test_a_folder_of_others_is_not_taken(lab):
    file = write(lab.path("node"))
    (file.parent / "run" / "somebody's").mkdir(parents=True)
    said = refused(lab.namespace("a"), rhp_command("up", "-c", str(file)), file.parent)
    assert "holds what is not a node's" in said
    assert (file.parent / "run").stat().st_uid == 0
