"""`rhp reload`: what it says, and by which exit code it tells scripts what became of the file."""

import asyncio
import contextlib
import json
import threading

import pytest

from rhp.node.control.server import CommandRefused, ControlServer

NOTHING = {
    "schema_version": 1,
    "applied": True,
    "added": [],
    "removed": [],
    "changed": [],
    "settings": [],
    "restart": [],
    "refused": [],
    "mistakes": [],
}


@pytest.fixture
def node(folder):
    """A stand-in for the running node, which answers a reload with what it is given."""

    @contextlib.contextmanager
    def answering(**result):
        ready, ended = threading.Event(), threading.Event()

        async def handle(request):
            assert request.command == "reload"
            if "refuse" in result:
                raise CommandRefused(result["refuse"])
            return {**NOTHING, **result}

        async def serve():
            server = ControlServer(folder / "run" / "control.sock", handle)
            await server.start()
            ready.set()
            await asyncio.to_thread(ended.wait)
            await server.close()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        assert ready.wait(60)
        try:
            yield
        finally:
            ended.set()
            thread.join()

    return answering


def test_what_was_done_is_told(rhp, folder, node):
    changed = [
        {"name": "office", "keys": ["proposals", "dpd_delay"], "effect": "swap"},
        {"name": "lab", "keys": ["keys"], "effect": "renew"},
        {"name": "shop", "keys": ["remote.id"], "effect": "anew"},
    ]
    with node(added=["home"], removed=["old"], changed=changed, settings=["node.log_level"]):
        done = rhp("reload", "-c", folder / "rhp.toml")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "removed old",
        "changed office: proposals, dpd_delay; its tunnels stay",
        "changed lab: keys; its tunnels are proved anew",
        "changed shop: remote.id; its tunnels begin anew",
        "added home",
        "set node.log_level",
    ]


def test_nothing_is_different(rhp, folder, node):
    with node():
        done = rhp("reload", "-c", folder / "rhp.toml")
    assert (done.exit_code, done.stdout) == (0, "nothing is different\n")


def test_a_warning_is_no_mistake(rhp, folder, node):
    warning = {"where": "connections.office.psk_file", "line": 5, "message": "it is short", "warning": True}
    with node(mistakes=[warning]):
        done = rhp("reload", "-c", folder / "rhp.toml")
    assert done.exit_code == 0
    assert done.stderr == f"{folder}/rhp.toml:5: warning: connections.office.psk_file: it is short\n"


def test_mistakes_are_listed_as_by_config_check_and_end_with_2(rhp, folder, node):
    file = folder / "rhp.toml"
    file.write_text(file.read_text().replace("local.id", "local.idd"))
    checked = rhp("config", "check", "-c", file)
    (line, *_) = [one for one in checked.stderr.splitlines() if "local.idd" in one]
    where, message = "connections.office.local.idd", line.partition("idd: ")[2]
    mistake = {"where": where, "line": int(line.split(":")[1]), "message": message, "warning": False}
    with node(applied=False, mistakes=[mistake], file=str(file)):
        done = rhp("reload", "-c", file)
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [line, f"1 mistake in {file}; nothing was changed"]


def test_what_needs_a_restart_is_named_and_ends_with_2(rhp, folder, node):
    with node(applied=False, restart=["node.lanes", "interface.bridge"]):
        done = rhp("reload", "-c", folder / "rhp.toml")
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "node.lanes needs a restart: rhp down, rhp up",
        "interface.bridge needs a restart: rhp down, rhp up",
        "nothing was changed",
    ]


def test_what_the_machine_refused_ends_with_1(rhp, folder, node):
    with node(settings=["interface.addresses"], refused=["rhp0: address 10.1.0.1/24 cannot be added"]):
        done = rhp("reload", "-c", folder / "rhp.toml")
    assert done.exit_code == 1
    assert "set interface.addresses" in done.stdout
    assert done.stderr == "refused: rhp0: address 10.1.0.1/24 cannot be added\n"


def test_a_node_that_cannot_is_one_sentence(rhp, folder, node):
    with node(refuse="the guard failed; nothing was changed"):
        done = rhp("reload", "-c", folder / "rhp.toml")
    assert (done.exit_code, done.stderr) == (1, "rhp: the guard failed; nothing was changed\n")


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_file_that_is_no_toml_ends_with_2_although_its_node_is_not_found(rhp, folder, form):
    (folder / "rhp.toml").write_text("[node\n")
    done = rhp("reload", "-o", form, "-c", folder / "rhp.toml")
    assert done.exit_code == 2
    if form == "json":
        told = json.loads(done.stdout)
        assert told["applied"] is False
        assert told["mistakes"][0]["line"] == 1
        assert told.keys() == NOTHING.keys()
    else:
        assert f"{folder}/rhp.toml:1: this is not TOML" in done.stderr
        assert "nothing was changed" in done.stderr


def test_without_a_node_it_ends_with_3(rhp, folder):
    done = rhp("reload", "-c", folder / "rhp.toml")
    assert done.exit_code == 3
    assert "no node is running" in done.stderr


def test_as_json_it_is_what_the_node_said(rhp, folder, node):
    with node(added=["home"]):
        done = rhp("reload", "-o", "json", "-c", folder / "rhp.toml")
    assert json.loads(done.stdout) == {**NOTHING, "added": ["home"]}
