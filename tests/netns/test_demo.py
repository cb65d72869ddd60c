"""`rhp demo` shows what it claims, in both forms, and leaves nothing behind, whatever the end."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rhp.lab.lab import PREFIX
from rhp.lab.namespace import FOLDER
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import READY, rhp_command

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
from json_page import compare

pytestmark = pytest.mark.netns


@pytest.fixture
def tmp_path():
    """A folder that the nodes' users can pass; pytest's own is closed to them."""
    with tempfile.TemporaryDirectory(prefix="rhp-demo-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def environment(tmp_path):
    """One in which the demo's folder, whose name is its namespaces' too, can be told from other runs'."""
    return {**os.environ, "TMPDIR": str(tmp_path)}


def namespaces(tmp_path):
    """The namespaces of the demo that runs with its folder in `tmp_path`."""
    runs = [path.name.removeprefix(PREFIX) for path in tmp_path.glob(f"{PREFIX}*")]
    return [path for run in runs for path in FOLDER.glob(f"rhp-{run}-*")]


def run_demo(environment, *options):
    command = rhp_command("demo", *options)
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_json_is_one_object_and_nothing_else(environment, tmp_path):
    done = run_demo(environment, "-o", "json")
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert seen["ok"] is True
    assert seen["broadcast_seen"] is True
    for name in ("established_ms", "ping_ms", "ping_back_ms", "tcp_gbps"):
        assert seen[name] > 0
        assert seen[f"strongswan_{name}"] > 0
    for name in ("suite", "esp_suite", "strongswan_suite", "strongswan_esp_suite"):
        assert "gcm" in seen[name]
    assert (seen["guard_user"], seen["node_user"]) == ("rhp-guard", "rhp")
    assert seen["guard_capabilities"] == "DAC_READ_SEARCH KILL NET_BIND_SERVICE NET_ADMIN NET_RAW"
    assert seen["node_capabilities"] == ""
    assert seen["roam_intact"] is True
    assert seen["roamed_to"] == "192.0.2.101"
    assert seen["roam_ms"] > 0
    assert seen["roamed_strongswan_ping_ms"] > 0
    assert seen["seconds"] > 0
    assert list(tmp_path.iterdir()) == []
    compare("rhp demo", [seen, failed(environment)])


def failed(environment):
    """What it prints where a program is missing."""
    done = subprocess.run(
        without_iperf3("-o", "json"), capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["ok"], told["error"] in done.stderr) == (False, True)
    return told


def without_iperf3(*options):
    hidden = "mount --bind /dev/null /usr/bin/iperf3 && exec "
    return ["unshare", "-m", "sh", "-c", hidden + shlex.join(rhp_command("demo", *options))]


def test_text_shows_every_finding(environment):
    done = run_demo(environment)
    assert done.returncode == 0, done.stderr
    for words in (
        "Ethernet in ESP",
        "established",
        "broadcast",
        "TCP",
        "strongSwan",
        "came back",
        "Gb/s",
        "roams",
        "arrived intact",
        "rhp-node, user rhp, no capabilities",
        "rhp-guard, user rhp-guard, ",
    ):
        assert words in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_cleans_up(environment, tmp_path, number):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(rhp_command("demo"), env=environment, **pipes) as demo:
        wait_until(lambda: len(namespaces(tmp_path)) == 4, 90, "the demo's four namespaces")
        # Node b serves, and node a is about to.
        wait_until(lambda: any(READY in log.read_text() for log in tmp_path.glob(f"{PREFIX}*/b/log")), 90, "node b")
        made = namespaces(tmp_path)
        demo.send_signal(number)
        _, said = demo.communicate(timeout=120)
    assert demo.returncode == 130
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
    assert not any(path.exists() for path in made)


def test_a_missing_program_is_named(environment):
    done = subprocess.run(without_iperf3(), capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 1
    assert "iperf3" in done.stderr
    assert "apt-get install iperf3" in done.stderr
    assert "Traceback" not in done.stderr
