"""`rhp demo` shows what it claims, in both forms, and leaves nothing behind, whatever the end."""

import json
import os
import shlex
import signal
import subprocess
import time

import pytest

from rhp.lab.namespace import FOLDER
from rhp.lab.rhpnode import rhp_command

pytestmark = pytest.mark.netns


def namespaces():
    return set(FOLDER.glob("rhp-*")) if FOLDER.exists() else set()


def test_json_is_one_object_and_nothing_else():
    before = namespaces()
    done = subprocess.run(rhp_command("demo", "-o", "json"), capture_output=True, text=True, timeout=90, check=False)
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
    assert seen["seconds"] < 60
    assert namespaces() <= before


def test_text_shows_every_finding():
    done = subprocess.run(rhp_command("demo"), capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    for words in ("Ethernet in ESP", "established", "broadcast", "TCP", "strongSwan", "came back", "Gb/s"):
        assert words in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_cleans_up(number):
    before = namespaces()
    with subprocess.Popen(rhp_command("demo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        deadline = time.monotonic() + 20
        while len(namespaces() - before) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        demo.send_signal(number)
        _, said = demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert "Traceback" not in said
    assert namespaces() <= before


def test_a_missing_program_is_named():
    environment = {**os.environ, "PATH": os.defpath}
    hidden = "mount --bind /dev/null /usr/bin/iperf3 && exec "
    command = ["unshare", "-m", "sh", "-c", hidden + shlex.join(rhp_command("demo"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 1
    assert "iperf3" in done.stderr
    assert "apt-get install iperf3" in done.stderr
    assert "Traceback" not in done.stderr
