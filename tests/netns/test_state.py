"""What a gateway knows again after kill -9, and what it does with a disk that is full."""

import json
import os
import shlex
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from rhp.lab.errors import CommandFailed
from rhp.lab.nodeconf import psk, tunnel
from rhp.lab.pair import SECRET, TAP
from rhp.lab.ping import reaches
from rhp.lab.rhpnode import RhpNode, rhp_command
from rhp.lab.topology import cable, outer

pytestmark = pytest.mark.netns

OFFICE, ROAD = "office", "road"
GATEWAY = {
    "interface": {"name": TAP, "addresses": ["10.88.0.1/24"]},
    "pools": {"staff": {"addresses": ["10.88.0.0/24"]}},
    "connections": {
        ROAD: {
            **psk("gate.example.org", "*@example.org", SECRET),
            "pools": ["staff"],
            "children": {"net": tunnel(["10.88.0.1"], [])},
        }
    },
}


def client(name):
    office = {
        **psk(f"{name}@example.org", "gate.example.org", SECRET),
        "remote_addrs": [outer(2)],
        "request_addresses": True,
        "children": {"net": tunnel([], ["10.88.0.1"])},
    }
    return {"interface": {"name": TAP}, "connections": {OFFICE: office}}


def assigned(node):
    (address,) = node.wait_connection(OFFICE, lambda one: one["assigned"] and one["children"], 30)["assigned"][
        "addresses"
    ]
    return address.partition("/")[0]


def leases(gateway):
    return {
        one["address"]: (one["identity"], one["state"])
        for one in json.loads(gateway.command("leases", "-o", "json"))["leases"]
    }


def test_a_client_keeps_its_address_over_its_gateway_s_death(lab):
    host_a, host_b = cable(lab)
    gateway = lab.keep(RhpNode(host_b, lab.path("gateway"), GATEWAY))
    anna = lab.keep(RhpNode(host_a, lab.path("anna"), client("anna")))
    assert assigned(anna) == "10.88.0.2"
    anna.stop()
    bert = lab.keep(RhpNode(host_a, lab.path("bert"), client("bert")))
    assert assigned(bert) == "10.88.0.3"
    assert leases(gateway) == {
        "10.88.0.2": ("anna@example.org", "kept"),
        "10.88.0.3": ("bert@example.org", "in use"),
    }
    # Both die. The client has forgotten its address, and the first of an empty pool would be another one.
    bert.kill()
    gateway.kill()
    gateway.start()
    assert set(leases(gateway).values()) == {("anna@example.org", "kept"), ("bert@example.org", "kept")}
    bert.start()
    assert assigned(bert) == "10.88.0.3"
    assert reaches(host_a, "10.88.0.1")
    # Anna comes no more.
    with pytest.raises(CommandFailed, match=r"10\.88\.0\.3 is in use by bert@example\.org; end that connection first"):
        gateway.command("leases", "release", "10.88.0.3")
    assert gateway.command("leases", "release", "10.88.0.2") == "10.88.0.2 is free; anna@example.org had it\n"
    assert "bert@example.org" in gateway.command("leases")
    gateway.down()
    gateway.start()
    assert leases(gateway).keys() == {"10.88.0.3"}
    (totals,) = json.loads(gateway.command("status", "--totals", "-o", "json"))["totals"]
    assert (totals["connection"], totals["handshakes"] >= 1, totals["packets_in"] >= 1) == (ROAD, True, True)


@pytest.fixture
def on_small_disk(lab):
    """An rhp whose state folder is a disk of 16 kB, in the mount namespace of the process alone."""
    # In a folder of the lab's, for the node's user has to get there.
    script, disk = lab.path("small/rhp"), lab.path("small/disk")
    disk.mkdir()
    command = shlex.join(rhp_command())
    script.write_text(f'#!/bin/sh\nmount -t tmpfs -o size=16k tmpfs {disk} && exec {command} "$@"\n')
    script.chmod(0o755)
    return script, disk


def test_a_gateway_serves_on_a_full_disk_and_writes_when_there_is_room(lab, on_small_disk):
    script, disk = on_small_disk
    host_a, host_b = cable(lab)
    configuration = {**GATEWAY, "node": {"state_dir": str(disk)}}
    gateway = lab.keep(RhpNode(host_b, lab.path("gateway"), configuration, program=script))
    anna = lab.keep(RhpNode(host_a, lab.path("anna"), client("anna")))
    assert assigned(anna) == "10.88.0.2"
    assert reaches(host_a, "10.88.0.1")
    assert leases(gateway) == {"10.88.0.2": ("anna@example.org", "in use")}
    assert gateway.status()["counters"]["node"]["state-write-failed"] >= 1
    told = [line for line in gateway.process.text().splitlines() if "state unwritten" in line]
    assert len(told) == 1
    assert f"{disk}/state.db: " in told[0]
    assert "make room there" in told[0]
    # Somebody makes room; at the latest the end of the node writes all that there is.
    pid = gateway.process.pid
    subprocess.run(["nsenter", "-t", str(pid), "-m", "mount", "-o", "remount,size=4m", disk], check=True)
    held = os.open(f"/proc/{pid}/root{disk}", os.O_RDONLY | os.O_DIRECTORY)
    gateway.down()
    copy = disk.with_name("copy.db")
    copy.write_bytes(Path(f"/proc/self/fd/{held}/state.db").read_bytes())
    with closing(sqlite3.connect(copy)) as file:
        assert file.execute("SELECT address, id_data FROM leases").fetchall() == [("10.88.0.2", b"anna@example.org")]
    os.close(held)
    assert "Traceback" not in gateway.process.text()
