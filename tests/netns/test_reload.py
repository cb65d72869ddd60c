"""A node in service gets another configuration: what did not change carries its traffic on, the rest comes and goes."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from rhp.lab.nodeconf import psk, tunnel
from rhp.lab.pair import CONNECTION, SECRET, PairOptions, configuration, start_pair
from rhp.lab.ping import ping
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import rhp_command
from rhp.lab.topology import cable, outer
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

RELOADS = 8
OTHER = "other"
BEHIND = ("10.90.1.0/24", "10.90.2.0/24")


def further(number, *, calls=True, **more):
    """A second connection between the same two nodes, IP in tunnel mode."""
    names = ("c.example.org", "d.example.org")
    own, peer = names[number - 1], names[2 - number]
    where = {"remote_addrs": [outer(3 - number)]} if number == 1 and calls else {}
    child = tunnel([BEHIND[number - 1]], [BEHIND[2 - number]])
    return {OTHER: {**psk(own, peer, SECRET, **where, **more), "children": {"net": child}}}


@pytest.fixture
def nodes(lab):
    made = start_pair(lab, cable(lab))
    made.wait_established()
    yield made
    for node in (made.a, made.b):
        assert "Traceback" not in node.process.text()
        assert node.process.status is None


def pairs(node):
    entry = node.connection(CONNECTION)
    return entry["ike_spi_i"], [(child["spi_in"], child["spi_out"]) for child in entry["children"]]


def fds(node):
    """The fewest descriptors of some looks: a client of the control socket goes a moment after it has its answer."""
    folder, looks = Path(f"/proc/{node.pid}/fd"), []
    for _ in range(20):
        looks.append(sum(1 for _ in folder.iterdir()))
        time.sleep(0.05)
    return min(looks)


def routes(node):
    return node.namespace.run(["ip", "-4", "route", "show", "dev", "rhp0"])


@contextmanager
def flowing(nodes):
    """TCP transfers from a to b one after the other, while the `with` lasts; whether each arrived as it was sent."""
    ended, results = Event(), []

    def send():
        while not ended.is_set():
            seed = bytes((len(results) % 256,))
            results.append(Transfer(nodes.a.namespace, nodes.b.namespace, nodes.inner[1]).run(4_000_000, seed))

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        try:
            yield results
        finally:
            ended.set()
        sending.result()


def names(node):
    return [one["name"] for one in node.status()["connections"]]


def test_a_transfer_outlives_many_reloads(nodes):
    a, b = nodes.a, nodes.b
    plain, more = {}, {}
    for number, node in ((1, a), (2, b)):
        plain[node] = configuration(number, PairOptions())
        more[node] = configuration(number, PairOptions(), further(number))
    before, usual = pairs(a), routes(a)

    def once():
        for node in (b, a):
            node.write(more[node])
            told = node.reload()
            assert told["applied"] and told["added"] == [OTHER] and told["changed"] == []
        a.wait_established(OTHER)
        wait_until(lambda: BEHIND[1] in routes(a), 30, "the route of what was added")
        for node in (a, b):
            node.write(plain[node])
            told = node.reload()
            assert told["applied"] and told["removed"] == [OTHER] and told["changed"] == []
        wait_until(lambda: names(a) == names(b) == [CONNECTION], 30, "the end of what was removed")
        wait_until(lambda: routes(a) == usual, 30, "the routes as before")

    with flowing(nodes) as transfers:
        once()
        open_files = fds(a)
        for _ in range(RELOADS // 2 - 1):
            once()
    assert transfers and all(transfers)
    assert pairs(a) == before
    assert fds(a) <= open_files
    for node in (a, b):
        text = node.process.text()
        assert text.count("configuration reloaded") == RELOADS
        assert text.count("connection dropped") == text.count("connection added") == RELOADS // 2
        assert f"ike closed connection={CONNECTION}" not in text
        assert "step failed" not in text and "engine fault" not in text


def test_a_changed_connection_comes_again_and_the_other_stays(nodes):
    a, b = nodes.a, nodes.b
    for number, node in ((2, b), (1, a)):
        node.write(configuration(number, PairOptions(), further(number)))
        assert node.reload()["applied"]
    first = a.wait_established(OTHER)
    before = pairs(a)
    for number, node in ((2, b), (1, a)):
        node.write(configuration(number, PairOptions(), further(number, encapsulation="udp", dpd_delay=33)))
        (change,) = node.reload()["changed"]
        assert change == {"name": OTHER, "keys": ["dpd_delay"], "effect": "swap"}
    assert a.connection(OTHER)["ike_spi_i"] == first["ike_spi_i"]
    other = {**further(1)[OTHER], "psk": "another secret of the lab"}
    mirror = {**further(2)[OTHER], "psk": "another secret of the lab"}
    for number, node, one in ((2, b, mirror), (1, a, other)):
        node.write(configuration(number, PairOptions(), {OTHER: one}))
        (change,) = node.reload()["changed"]
        assert change["effect"] == "renew" and "keys" in change["keys"]
        assert "secret" not in json.dumps(change)
    wait_until(lambda: a.connection(OTHER)["ike_spi_i"] != first["ike_spi_i"], 60, "a proof by the new key")
    a.wait_established(OTHER)
    assert pairs(a) == before
    assert "another secret" not in a.process.text()


def test_a_wrong_file_changes_nothing(nodes):
    a = nodes.a
    before = pairs(a)
    a.file.write_text(a.file.read_text().replace('"10.77.0.1/24"', '"10.77.0.999/24"') + "\n[hub]\nisolated = true\n")
    said = a.namespace.run(rhp_reload(a), check=False)
    assert "interface.addresses[0]" in said and "hub.isolated" in said and "2 mistakes" in said
    check = rhp_command("config", "check", "-c", str(a.file))
    checked = a.namespace.run(["sh", "-c", '"$@" 2>&1', "-", *check], check=False)
    for line in said.splitlines():
        if "interface.addresses" in line or "hub.isolated" in line:
            assert line in checked
    os.kill(a.status()["pid"], signal.SIGHUP)
    wait_until(lambda: a.process.text().count("configuration refused") == 2, 30, "the log's word on the signal")
    assert pairs(a) == before
    assert ping(a.namespace, nodes.inner[1], count=3, at_once=True).received == 3


def rhp_reload(node):
    """`rhp reload` with its exit code, which has to be 2."""
    command = rhp_command("reload", "-c", str(node.file))
    return ["sh", "-c", '"$@" 2>&1; test $? -eq 2 && echo "ended with 2"', "-", *command]


def test_what_needs_a_restart_is_named_and_changes_nothing(nodes):
    a = nodes.a
    before = pairs(a)
    a.write(configuration(1, PairOptions(more={"node": {"lanes": 1, "port": 501, "log_level": "debug"}}), further(1)))
    said = a.namespace.run(rhp_reload(a), check=False)
    assert "node.port needs a restart: rhp down, rhp up" in said
    assert "nothing was changed" in said and "ended with 2" in said
    assert names(a) == [CONNECTION] and pairs(a) == before


def test_addresses_of_the_interface_come_and_go_at_a_signal(nodes):
    a, b = nodes.a, nodes.b
    before = pairs(a)
    a.write(configuration(1, PairOptions(interface={"addresses": ["10.77.0.7/24"], "mtu": 1300})))
    os.kill(a.status()["pid"], signal.SIGHUP)
    a.process.wait_for("configuration reloaded", 30)
    wait_until(lambda: "10.77.0.7/24" in addresses(a) and "10.77.0.1/24" not in addresses(a), 30, "the other address")
    wait_until(lambda: "mtu 1300" in addresses(a), 30, "the other MTU")
    wait_until(lambda: ping(b.namespace, "10.77.0.7", count=1).received == 1, 30, "an answer from there")
    assert pairs(a) == before
    a.write(configuration(1, PairOptions()))
    assert a.reload()["refused"] == []
    assert "10.77.0.1/24" in addresses(a) and "10.77.0.7/24" not in addresses(a)


def addresses(node):
    return node.namespace.run(["ip", "addr", "show", "dev", "rhp0"])


def test_the_secret_file_of_a_connection_is_read_again(lab):
    key = lab.path("keys/cable.psk")
    write(key, "the first secret of both")
    nodes = start_pair(lab, cable(lab))
    nodes.wait_established()
    for number, node in ((2, nodes.b), (1, nodes.a)):
        made = configuration(number, PairOptions())
        one = {name: value for name, value in made["connections"][CONNECTION].items() if name != "psk"}
        node.write({**made, "connections": {CONNECTION: {**one, "psk_file": str(key)}}})
        assert node.reload()["applied"]
    nodes.wait_established()
    write(key, "the second secret of both")
    key.chmod(0o644)
    told = nodes.a.reload()
    assert not told["applied"] and "chmod 600" in told["mistakes"][0]["message"]
    key.chmod(0o600)
    before = nodes.a.connection(CONNECTION)["ike_spi_i"]
    for node in (nodes.b, nodes.a):
        (change,) = node.reload()["changed"]
        assert change["keys"] == ["keys"]
    wait_until(lambda: nodes.a.connection(CONNECTION)["ike_spi_i"] != before, 60, "a proof by the new key")
    nodes.wait_established()


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")
    file.chmod(0o600)


def test_a_hub_and_a_realm_come_and_go_beside_a_transfer(nodes):
    """The guard makes and loses an interface that it knew nothing of when it gave up being root."""
    a, b = nodes.a, nodes.b
    blue = {"blue": {"interface": {"addresses": ["10.91.1.1/24"]}}}
    (caller,) = further(1).values()
    (role,) = further(2).values()
    role = {**{key: value for key, value in role.items() if key != "remote"}, "match": ["c.example.org"]}
    role.pop("remote_addrs", None)
    before = pairs(a)
    with flowing(nodes) as transfers:
        b.write({**configuration(2, PairOptions()), "realms": {"role": role}})
        assert b.reload()["added"] == ["role"]
        a.write({**configuration(1, PairOptions(), {OTHER: {**caller, "hub": "blue"}}), "hubs": blue})
        told = a.reload()
        assert (told["added"], told["settings"], told["refused"]) == ([OTHER], ["hubs.blue"], [])
        a.wait_established(OTHER)
        assert "10.91.1.1/24" in a.namespace.run(["ip", "-4", "address", "show", "dev", "blue"])
        wait_until(lambda: BEHIND[1] in a.namespace.run(["ip", "-4", "route", "show", "dev", "blue"]), 30, "its route")
        a.write(configuration(1, PairOptions()))
        told = a.reload()
        assert (told["removed"], told["settings"]) == ([OTHER], ["hubs.blue"])
        wait_until(lambda: "blue" not in a.namespace.run(["ip", "-br", "link"]), 30, "the end of the interface")
        b.write(configuration(2, PairOptions()))
        assert b.reload()["removed"] == ["role"]
    assert transfers and all(transfers)
    assert pairs(a) == before
