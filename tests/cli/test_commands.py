"""The commands as a person meets them: their words, their exit codes, what they write."""

import asyncio
import json
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from rhp.cli.main import COMMANDS, SUMMARIES, main
from rhp.cli.status import lines
from rhp.cli.table import render
from rhp.config.loading import load
from rhp.node.control.server import CommandRefused, ControlServer

GOOD = """\
[node]
run_dir = "{folder}/run"

[connections.office]
remote_addrs = ["192.0.2.7"]
psk_file = "office.psk"
local.id = "a.example.org"
remote.id = "b.example.org"
"""

CHILD = {
    "name": "ethernet",
    "mode": "ethernet",
    "suite": "aes128gcm16-esn",
    "encapsulation": "udp",
    "spi_in": "0000a001",
    "spi_out": "0000b001",
    "bytes_in": 1234567,
    "bytes_out": 12,
    "age_s": 61.0,
    "rekey_in_s": 3000.0,
}
IKE = {
    "ike_id": 1,
    "ike_state": "established",
    "connection": "office",
    "peer": "b.example.org\x1b[31m",
    "path": {"local": "192.0.2.1:4500", "remote": "192.0.2.7:4500", "natt": True},
    "suite": "aes128gcm16-prfsha256-x25519",
    "age_s": 90000.0,
    "rekey_in_s": 7300.0,
    "children": [CHILD],
}
PICTURE = {
    "schema_version": 1,
    "version": "0.1.0",
    "pid": 42,
    "state": "running",
    "uptime_s": 7322.0,
    "interface": {
        "name": "rhp0",
        "addresses": ["10.77.0.1/24"],
        "present": True,
        "mac": "02:00:00:00:00:01",
        "mtu": 1422,
    },
    "connections": [
        {**IKE, "name": "office", "state": "established", "last_error": None, "retry_in_s": None},
        {
            **dict.fromkeys(IKE),
            "name": "branch",
            "state": "failed",
            "last_error": "authentication failed: c.example.org: the pre-shared key of c.example.org is not ours",
            "retry_in_s": 4.2,
            "children": [],
        },
    ],
    "ike_sas": [IKE, {**IKE, "ike_id": 2, "connection": None, "ike_state": "connecting", "peer": None, "children": []}],
    "macs": [],
    "failures": [
        {
            "time": "2026-03-01T12:00:00+00:00",
            "event": "authentication failed",
            "connection": "branch",
            "peer": "c.example.org",
            "detail": "the pre-shared key of c.example.org is not ours",
            "count": 3,
        }
    ],
    "counters": {},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "office.psk").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "office.psk").chmod(0o600)
    (tmp_path / "rhp.toml").write_text(GOOD.format(folder=tmp_path))
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture
def rhp():
    """Run `rhp` with these arguments in this process."""

    def call(*arguments):
        return CliRunner().invoke(main, [str(one) for one in arguments])

    return call


@pytest.fixture
def answering(folder):
    """A stand-in for the running node, in a thread of its own; its list holds what was asked."""
    asked = []
    ready, ended = threading.Event(), threading.Event()

    async def handle(request):
        asked.append((request.command, request.fields))
        if request.fields.get("connection") == "nobody":
            raise CommandRefused("there is no connection 'nobody'")
        if request.command == "down":
            asyncio.get_running_loop().call_later(0.05, ended.set)
        return {
            "status": PICTURE,
            "terminate": {"ended": 1},
            "rekey-ike": {"rekeyed": 1},
            "rekey-child": {"children": 1},
            "delete-child": {"children": 1},
        }.get(request.command, {})

    async def serve():
        server = ControlServer(folder / "run" / "control.sock", handle)
        await server.start()
        ready.set()
        while not ended.is_set():
            if server._followers:
                server.publish({"event": "ike established", "time": "now", "peer": "b"})
                ended.set()
            await asyncio.sleep(0.01)
        await server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait(5)
    yield asked
    ended.set()
    thread.join(5)
    assert not thread.is_alive()


def walk(command, path=("rhp",)):
    yield path, command
    for name in getattr(command, "list_commands", lambda ctx: [])(None):
        yield from walk(command.get_command(None, name), (*path, name))


def test_help_is_prose_capital_verb_and_no_final_period():
    for path, command in walk(main):
        first = command.help.strip().splitlines()[0]
        assert first[0].isupper(), path
        assert not first.endswith("."), path
        for parameter in command.params:
            text = getattr(parameter, "help", None)
            if getattr(parameter, "opts", [""])[0].startswith("-") and parameter.name not in ("help", "version"):
                assert text, (path, parameter.name)
                assert text[0].isupper(), (path, parameter.name)
                assert not text.endswith("."), (path, parameter.name)


def test_every_command_is_listed_with_the_words_of_its_help(rhp):
    shown = rhp("--help").output
    assert list(COMMANDS) == list(SUMMARIES)
    for name in COMMANDS:
        assert f"  {name}" in shown
        assert main.get_command(None, name).help.strip().splitlines()[0] == SUMMARIES[name]


def test_a_mistyped_command_gets_a_hint(rhp):
    result = rhp("statsu")
    assert result.exit_code == 2
    assert "Did you mean status?" in result.output
    assert "Did you mean" not in rhp("zzzzzz").output


def test_a_good_configuration_is_described(rhp, folder):
    result = rhp("config", "check", "-c", folder / "rhp.toml")
    assert result.exit_code == 0, result.output
    assert "connection office: calls 192.0.2.7" in result.output
    assert result.output.splitlines()[-1] == f"{folder}/rhp.toml is good"


def test_a_bad_configuration_lists_all_and_ends_with_1(rhp, folder):
    text = (folder / "rhp.toml").read_text()
    (folder / "rhp.toml").write_text(text.replace("office.psk", "none.psk") + "frobnicate = 1\nencapsulation = 3\n")
    result = rhp("config", "check", "-c", folder / "rhp.toml")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert len(lines) == 4
    assert lines[-1] == f"3 mistakes in {folder}/rhp.toml"
    assert all(line.startswith(f"{folder}/rhp.toml:") for line in lines[:3])


def test_check_as_json(rhp, folder):
    good = json.loads(rhp("config", "check", "-o", "json", "-c", folder / "rhp.toml").output)
    assert good["ok"] is True
    assert good["problems"] == []
    (folder / "rhp.toml").write_text("[nod]\n")
    result = rhp("config", "check", "-o", "json", "-c", folder / "rhp.toml")
    assert result.exit_code == 1
    bad = json.loads(result.output)
    assert bad["ok"] is False
    assert bad["problems"][-1]["where"] == "nod"
    assert bad["problems"][-1]["line"] == 1


def test_status_as_a_table(rhp, folder, answering):
    result = rhp("status", "-c", folder / "rhp.toml")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "node running for 2h02m, process 42, rhp 0.1.0"
    assert lines[1] == "interface rhp0: 10.77.0.1/24, mtu 1422, 02:00:00:00:00:01"
    assert lines[3].split() == ["CONNECTION", "STATE", "PEER", "ADDRESS", "AGE", "REKEY", "IN", "SUITE"]
    assert "1d01h" in lines[4]
    assert "\x1b" not in result.output
    assert (
        "office/ethernet  ethernet  UDP   1.2 MB    12 B  1m01s  50m00s    aes128gcm16-esn  0000a001  0000b001"
        in result.output
    )
    assert "branch: authentication failed: c.example.org: " in result.output
    assert "next try in 4s" in result.output
    # The half-open SA that belongs to no connection yet has a line as well.
    assert [line.split()[:2] for line in lines[4:7]] == [
        ["office", "established"],
        ["branch", "failed"],
        ["-", "connecting"],
    ]
    assert all(line == line.rstrip() for line in lines)


def test_a_failure_is_told_by_its_age_and_its_reason_comes_last(rhp, folder, answering):
    line = next(line for line in rhp("status", "-c", folder / "rhp.toml").output.splitlines() if " ago " in line)
    assert line.split()[1:5] == ["ago", "3", "authentication", "failed"]
    assert line.endswith("the pre-shared key of c.example.org is not ours")


def test_on_a_narrow_terminal_rows_go_over_several_lines():
    words = ("the pre-shared key of c.example.org is not ours", "branch: authentication failed")
    now = datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
    shown = list(lines(PICTURE, now, 80))
    assert max(len(line) for line in shown if not any(word in line for word in words)) <= 80
    told = " ".join(" ".join(shown).split())
    for line in lines(PICTURE, now):
        assert all(word in told for word in line.split())
    (at,) = [at for at, line in enumerate(shown) if line.startswith("office/ethernet")]
    assert shown[at - 2].startswith("CHILD")
    assert shown[at - 1].startswith("  ")
    assert shown[at + 1].startswith("  ")


def test_a_column_of_its_own_is_never_folded_away():
    assert render(("A", "B"), [("x" * 20, "y" * 20)], 10) == ["A", "  B", "x" * 20, "  " + "y" * 20]
    assert render(("A", "B"), [(1, 2)], 4) == ["A  B", "1  2"]
    assert render(("A", "B"), [(1, 2)], 3) == ["A", "  B", "1", "  2"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"up": False}, "interface rhp0: 10.77.0.1/24, it is down, mtu 1422"),
        ({"addresses": [], "bridge": "br0"}, "interface rhp0: in bridge br0, mtu 1422"),
        ({"addresses": []}, "interface rhp0: no address, mtu 1422"),
    ],
)
def test_the_state_of_the_interface_is_told(rhp, folder, answering, monkeypatch, change, words):
    monkeypatch.setitem(PICTURE, "interface", {**PICTURE["interface"], **change})
    assert words in rhp("status", "-c", folder / "rhp.toml").output


def test_status_as_json(rhp, folder, answering):
    result = rhp("status", "-o", "json", "-c", folder / "rhp.toml")
    assert json.loads(result.output) == PICTURE
    assert answering == [("status", {})]


def test_a_vanished_interface_is_told(rhp, folder, answering, monkeypatch):
    monkeypatch.setitem(PICTURE, "interface", {**PICTURE["interface"], "present": False})
    assert "it has vanished" in rhp("status", "-c", folder / "rhp.toml").output


@pytest.mark.parametrize(
    ("arguments", "asked", "said"),
    [
        (["initiate", "office"], [("initiate", {"connection": "office"})], "office: asked for"),
        (["terminate", "office"], [("terminate", {"connection": "office"})], "office: 1 ending"),
        (
            ["terminate", "office", "--child", "lan"],
            [("delete-child", {"connection": "office", "child": "lan"})],
            "office: 1 of lan ending",
        ),
        (["rekey", "office"], [("rekey-ike", {"connection": "office"})], "office: 1 rekeying"),
        (
            ["rekey", "office", "--child", "lan"],
            [("rekey-child", {"connection": "office", "child": "lan"})],
            "office: 1 of lan rekeying",
        ),
        (
            ["rekey", "office", "--ike", "--child", "lan"],
            [
                ("rekey-ike", {"connection": "office"}),
                ("rekey-child", {"connection": "office", "child": "lan"}),
            ],
            "office: 1 of lan rekeying",
        ),
        (["down"], [("down", {})], "the node has ended"),
    ],
)
def test_a_command_reaches_the_node(rhp, folder, answering, arguments, asked, said):
    result = rhp(*arguments, "-c", folder / "rhp.toml")
    assert result.exit_code == 0, result.output
    assert answering == asked
    assert result.output.splitlines()[-1] == said


def test_a_refused_command_is_one_sentence(rhp, folder, answering):
    result = rhp("rekey", "nobody", "-c", folder / "rhp.toml")
    assert result.exit_code == 1
    assert result.output == "rhp: there is no connection 'nobody'\n"


@pytest.mark.parametrize("form", ["table", "json"])
def test_events_are_followed(rhp, folder, answering, form):
    result = rhp("events", "-o", form, "-c", folder / "rhp.toml")
    assert result.exit_code == 0
    if form == "json":
        assert json.loads(result.output)["event"] == "ike established"
    else:
        assert result.output == "now ike established peer=b\n"


@pytest.mark.parametrize(
    "command", [["status"], ["down"], ["events"], ["rekey", "x"], ["initiate", "x"], ["terminate", "x"]]
)
def test_without_a_node_there_is_one_sentence(rhp, folder, command):
    result = rhp(*command, "-c", folder / "rhp.toml")
    assert result.exit_code == 1
    assert result.output == f"rhp: no node is running here: nothing answers at {folder}/run/control.sock\n"


def test_a_configuration_file_that_is_not_there(rhp, folder):
    result = rhp("status", "-c", folder / "none.toml")
    assert (result.exit_code, result.output) == (1, f"rhp: there is no configuration file {folder}/none.toml\n")
    assert "this is a folder" in rhp("status", "-c", folder).output
    for content in ("[node", "a = " + "[" * 20000, "a = 1\na = 2", "\xff"):
        (folder / "rhp.toml").write_text(content, encoding="latin-1")
        result = rhp("status", "-c", folder / "rhp.toml")
        assert (result.exit_code, result.output.count("\n")) == (1, 1)
        assert result.output.startswith(f"rhp: {folder}/rhp.toml:")
    assert "there is no such file" in rhp("config", "check", "-c", folder / "none.toml").output


def test_up_refuses_a_bad_configuration_and_changes_nothing(rhp, folder, monkeypatch):
    monkeypatch.setattr("rhp.node.preflight.check_privilege", lambda: None)
    (folder / "rhp.toml").write_text((folder / "rhp.toml").read_text() + "frobnicate = 1\n")
    before = sorted(folder.rglob("*"))
    result = rhp("up", "-c", folder / "rhp.toml")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "rhp: the configuration has 1 mistake; nothing was changed"
    assert "no such key" in result.output
    assert sorted(folder.rglob("*")) == before


def test_up_without_privilege_is_one_sentence(rhp, folder, monkeypatch):
    monkeypatch.setattr("rhp.node.preflight._capabilities", lambda status: 0)
    result = rhp("up", "-c", folder / "rhp.toml")
    assert result.exit_code == 1
    assert result.output == "rhp: rhp up makes a network interface and needs root (or CAP_NET_ADMIN); run it as root\n"


def test_a_shared_key_is_printed_and_new_each_time(rhp):
    first, second = rhp("keygen", "psk").output.strip(), rhp("keygen", "psk").output.strip()
    assert first != second
    assert len(first) == 44


def test_a_shared_key_in_a_file_is_its_owner_s_and_fits_the_configuration(rhp, folder):
    (folder / "office.psk").unlink()
    result = rhp("keygen", "psk", "-o", folder / "office.psk")
    assert result.exit_code == 0
    assert result.output == 'psk_file = "office.psk"\n'
    assert stat.S_IMODE((folder / "office.psk").stat().st_mode) == 0o600
    assert load(folder / "rhp.toml").warnings == ()
    content = (folder / "office.psk").read_text()
    again = rhp("keygen", "psk", "-o", folder / "office.psk")
    assert again.exit_code == 1
    assert "exists already" in again.output
    assert (folder / "office.psk").read_text() == content


def test_a_shared_key_makes_its_folder(rhp, tmp_path):
    result = rhp("keygen", "psk", "-o", tmp_path / "etc" / "rhp" / "office.psk")
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE((tmp_path / "etc" / "rhp").stat().st_mode) == 0o700
    in_a_file = rhp("keygen", "psk", "-o", tmp_path / "etc" / "rhp" / "office.psk" / "x")
    assert in_a_file.exit_code == 1
    assert in_a_file.output.startswith(f"rhp: {tmp_path}/etc/rhp/office.psk exists already; name another file")


def test_what_a_ca_cannot_be_is_one_sentence(rhp, tmp_path):
    (tmp_path / "file").touch()
    named = rhp("keygen", "ca", tmp_path / "ca", "--name", "")
    assert (named.exit_code, named.output) == (
        1,
        "rhp: the CA cannot be made: a CA's name has 1 to 64 printable characters\n",
    )
    placed = rhp("keygen", "ca", tmp_path / "file" / "ca", "--name", "x")
    assert (placed.exit_code, placed.output) == (
        1,
        f"rhp: the CA cannot be made in {tmp_path}/file/ca: Not a directory\n",
    )


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ed25519", "rsa-2048"])
def test_certificates_fit_the_lines_that_are_printed(rhp, tmp_path, kind):
    made = rhp("keygen", "ca", tmp_path, "--name", "Example CA", "--type", kind)
    assert made.exit_code == 0, made.output
    result = rhp("keygen", "node", tmp_path, "a.example.org", "192.0.2.1", "--type", kind)
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) == 4
    assert stat.S_IMODE((tmp_path / "a.example.org.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    text = f'[connections.office]\n{result.output}remote.id = "*.example.org"\n'
    (tmp_path / "rhp.toml").write_text(text)
    loaded = load(tmp_path / "rhp.toml", datetime.now(UTC))
    assert loaded.warnings == ()
    assert loaded.engine.connections[0].local.method == "pubkey"
    text = text.replace('"a.example.org"', '"192.0.2.1"')
    (tmp_path / "rhp.toml").write_text(text)
    assert load(tmp_path / "rhp.toml").engine.connections


def test_certificates_are_never_overwritten(rhp, tmp_path):
    assert rhp("keygen", "ca", tmp_path, "--name", "Example CA").exit_code == 0
    assert rhp("keygen", "node", tmp_path, "a.example.org").exit_code == 0
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for arguments in (["ca", tmp_path, "--name", "Other"], ["node", tmp_path, "a.example.org"]):
        result = rhp("keygen", *arguments)
        assert result.exit_code == 1
        assert "exists already" in result.output
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_node_s_certificate_needs_a_ca(rhp, tmp_path):
    result = rhp("keygen", "node", tmp_path, "a.example.org")
    assert result.exit_code == 1
    assert "rhp keygen ca" in result.output


@pytest.mark.parametrize("command", ["status", "down", "rekey", "terminate", "initiate", "events"])
def test_quick_commands_import_nothing_heavy(command):
    script = (
        "import sys; from rhp.cli.main import main; main.get_command(None, sys.argv[1]); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, command], capture_output=True, text=True, check=True, timeout=30
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"cryptography", "pydantic", "pydantic_core", "pyroute2", "pytun", "OpenSSL", "asyncio", "rich"}
    assert "rhp" in loaded
