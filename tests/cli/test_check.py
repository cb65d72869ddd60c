"""`rhp check` and `rhp doctor` as a person meets them; what they look at is tried in tests/diagnosis."""

import json
import random
import socket

import pytest


@pytest.fixture
def ports():
    """Two UDP ports that nobody has, below those which the kernel gives to anybody."""
    found = []
    while len(found) < 2:
        port = random.randrange(2000, 30000)
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
                probe.bind(("::", port))
        except OSError:
            continue
        if port not in found:
            found.append(port)
    return found


@pytest.fixture
def file(folder, ports):
    text = (folder / "rhp.toml").read_text()
    own = f'port = {ports[0]}\nnatt_port = {ports[1]}\nstate_dir = "{folder}/state"\n[interface]\nname = "rhp-check0"\n'
    (folder / "rhp.toml").write_text(text.replace("\n\n[connections", f"\n{own}\n[connections"))
    return folder / "rhp.toml"


def test_a_good_configuration_can_be_started(rhp, file):
    before = sorted(file.parent.rglob("*"))
    result = rhp("check", "-c", file)
    assert result.exit_code == 0, result.output
    assert f"ok       configuration: {file} is good" in result.output
    assert "connection office: calls 192.0.2.7" in result.output
    assert ", 0 problems, " in result.output.splitlines()[-1]
    assert sorted(file.parent.rglob("*")) == before
    shown = json.loads(rhp("check", "-c", file, "-o", "json").output)
    assert shown["ok"] is True
    assert shown["plan"][0].startswith("interface rhp-check0")


def test_a_mistake_ends_with_2(rhp, file):
    file.write_text(file.read_text().replace("office.psk", "none.psk"))
    result = rhp("check", "-c", file)
    assert result.exit_code == 2
    assert "PROBLEM  configuration: " in result.output
    assert result.output.splitlines()[-1] == "1 look, 1 problem, 0 notes"
    assert rhp("doctor", "-c", file).exit_code == 4
    assert rhp("check", "-c", file.parent / "none.toml").exit_code == 2


def test_a_port_that_is_taken_ends_with_4(rhp, file, ports):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", ports[1]))
        for command in ("check", "doctor"):
            result = rhp(command, "-c", file)
            assert result.exit_code == 4
            assert f"PROBLEM  ports: UDP port {ports[1]} is taken by " in result.output
            assert "-> end that program, or write other ports" in result.output


def test_the_doctor_is_short_about_what_is_well(rhp, file):
    assert "ok       " not in rhp("doctor", "-c", file).output
    assert "ok       ports: " in rhp("doctor", "--all", "-c", file).output


def test_a_running_node_is_asked(rhp, file, answering_with):
    from picture import PICTURE

    status = {**PICTURE, "ports": {"ike": 500, "natt": 4500}, "ike_sas": [], "counters": {"dataplane": {}, "node": {}}}
    status["connections"] = [{**one, "start": "wait"} for one in PICTURE["connections"]]
    answering_with({"status": status}, [])
    result = rhp("doctor", "--all", "-c", file)
    assert "ok       node: a node runs here, process 42" in result.output
    assert "PROBLEM  connection: branch: authentication failed" in result.output
    assert result.exit_code == 4
    assert "note     node: a node runs here already, process 42" in rhp("check", "-c", file).output
