"""The commands as a person meets them: their words, their exit codes, what they write."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

from rhp._fast.evp import openssl_version
from rhp.cli.main import COMMANDS, SUMMARIES, main


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


def test_every_command_has_an_example_of_its_own():
    for path, command in walk(main):
        if not hasattr(command, "list_commands"):
            example = command.help.partition("\b\n    Example: ")[2]
            assert " ".join(path) in example, path


def test_every_command_is_listed_with_the_words_of_its_help(rhp):
    shown = rhp("--help").output
    assert list(COMMANDS) == list(SUMMARIES)
    for name in COMMANDS:
        assert f"  {name}" in shown
        assert main.get_command(None, name).help.strip().splitlines()[0] == SUMMARIES[name]


def test_the_version_names_the_openssl_that_seals(rhp):
    assert rhp("--version").output == f"rhp {version('rhp')}, {openssl_version()}\n"


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


def test_a_bad_configuration_lists_all_and_ends_with_2(rhp, folder):
    text = (folder / "rhp.toml").read_text()
    (folder / "rhp.toml").write_text(text.replace("office.psk", "none.psk") + "frobnicate = 1\nencapsulation = 3\n")
    result = rhp("config", "check", "-c", folder / "rhp.toml")
    assert result.exit_code == 2
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
    assert result.exit_code == 2
    bad = json.loads(result.output)
    assert bad["ok"] is False
    assert bad["problems"][-1]["where"] == "nod"
    assert bad["problems"][-1]["line"] == 1


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
        (
            ["rekey", "office", "--reauth"],
            [("reauthenticate", {"connection": "office"})],
            "office: 1 reauthenticating",
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
        (
            ["redirect", "office", "gate.example.org"],
            [("redirect", {"connection": "office", "target": "gate.example.org"})],
            "office: 3 sent to gate.example.org, 1 cannot follow",
        ),
        (
            ["redirect", "office", "192.0.2.9", "--peer", "a.example.org"],
            [("redirect", {"connection": "office", "target": "192.0.2.9", "peer": "a.example.org"})],
            "office: 3 sent to 192.0.2.9, 1 cannot follow",
        ),
        (
            ["redirect", "office", "--off"],
            [("redirect-off", {"connection": "office"})],
            "office: nobody is sent away any more",
        ),
        (["add-lane"], [("add-lane", {})], "lane 2 is in use"),
        (["down"], [("down", {})], "the node has ended"),
    ],
)
def test_a_command_reaches_the_node(rhp, folder, answering, arguments, asked, said):
    result = rhp(*arguments, "-c", folder / "rhp.toml")
    assert result.exit_code == 0, result.output
    assert answering == asked
    assert result.output.splitlines()[-1] == said


def test_redirect_wants_one_of_two(rhp, folder, answering):
    for arguments in (["redirect", "office"], ["redirect", "office", "192.0.2.9", "--off"]):
        result = rhp(*arguments, "-c", folder / "rhp.toml")
        assert result.exit_code == 2
        assert "Write either TARGET or --off." in result.output
    assert answering == []


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
    "command",
    [
        ["status"],
        ["down"],
        ["events"],
        ["rekey", "x"],
        ["initiate", "x"],
        ["initiate", "x", "--wait"],
        ["terminate", "x"],
        ["peers"],
        ["sas"],
        ["hub"],
        ["watch"],
        ["log"],
        ["log", "-f"],
    ],
)
def test_without_a_node_there_is_one_sentence(rhp, folder, command):
    result = rhp(*command, "-c", folder / "rhp.toml")
    assert result.exit_code == 3
    assert result.output == f"rhp: no node is running here: nothing answers at {folder}/run/control.sock\n"


def test_a_configuration_file_that_is_not_there(rhp, folder):
    result = rhp("status", "-c", folder / "none.toml")
    assert (result.exit_code, result.output) == (
        2,
        f"rhp: there is no configuration file {folder}/none.toml; rhp init makes one, -c FILE names another\n",
    )
    assert "this is a folder" in rhp("status", "-c", folder).output
    for content in ("[node", "a = " + "[" * 20000, "a = 1\na = 2", "\xff"):
        (folder / "rhp.toml").write_text(content, encoding="latin-1")
        result = rhp("status", "-c", folder / "rhp.toml")
        assert (result.exit_code, result.output.count("\n")) == (2, 1)
        assert result.output.startswith(f"rhp: {folder}/rhp.toml:")
    assert "there is no such file" in rhp("config", "check", "-c", folder / "none.toml").output


def test_a_file_that_names_no_folder_is_not_parsed_beside_a_node_in_the_usual_one(rhp, folder, answering, monkeypatch):
    monkeypatch.setattr("rhp.cli.options.DEFAULT_RUN_DIR", folder / "run")
    (folder / "rhp.toml").write_text("[node\n")
    assert rhp("status", "-c", folder / "rhp.toml").exit_code == 0
    assert [command for command, _ in answering] == ["status"]


def test_a_folder_is_found_however_its_key_is_written(rhp, folder, answering, monkeypatch):
    monkeypatch.setattr("rhp.cli.options.DEFAULT_RUN_DIR", folder / "run")
    (folder / "rhp.toml").write_text(f'[node]\n"run\\u005fdir" = "{folder}/other"\n')
    assert rhp("status", "-c", folder / "rhp.toml").exit_code == 3
    assert answering == []


def test_up_refuses_a_bad_configuration_and_changes_nothing(rhp, folder, monkeypatch):
    monkeypatch.setattr("rhp.node.preflight.check_privilege", lambda: None)
    (folder / "rhp.toml").write_text((folder / "rhp.toml").read_text() + "frobnicate = 1\n")
    before = sorted(folder.rglob("*"))
    result = rhp("up", "-c", folder / "rhp.toml")
    assert result.exit_code == 2
    assert result.output.splitlines()[-1] == "rhp: the configuration has 1 mistake; nothing was changed"
    assert "no such key" in result.output
    assert sorted(folder.rglob("*")) == before


def test_up_without_privilege_is_one_sentence(rhp, folder, monkeypatch):
    monkeypatch.setattr("rhp.node.preflight._capabilities", lambda status: 0)
    result = rhp("up", "-c", folder / "rhp.toml")
    assert result.exit_code == 1
    assert result.output == "rhp: rhp up makes a network interface and needs root; run it as root\n"


def test_quick_commands_import_nothing_heavy():
    quick = [
        "status",
        "down",
        "reload",
        "rekey",
        "terminate",
        "initiate",
        "events",
        "peers",
        "sas",
        "hub",
        "watch",
        "log",
    ]
    script = (
        "import sys; from rhp.cli.main import main; [main.get_command(None, one) for one in sys.argv[1:]]; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *quick, "check", "doctor", "completion"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    loaded = set(done.stdout.split())
    assert not loaded & {
        "cryptography",
        "pydantic",
        "pydantic_core",
        "pyroute2",
        "pytun",
        "OpenSSL",
        "asyncio",
        "rich",
        "prometheus_client",
        "h11",
    }
    assert "rhp" in loaded
