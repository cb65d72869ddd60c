"""What `rhp init` writes makes a tunnel as it stands, and the script for machines without systemd runs it."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from rhp.lab.ping import reaches
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import READY, rhp_command
from rhp.lab.topology import cable, outer

pytestmark = pytest.mark.netns

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "without-systemd" / "rhp"


def up(lab, host, folder):
    """`rhp up` with the configuration as it was written: /run and /var/lib are this process's own."""
    command = shlex.join(rhp_command("up", "-c", str(folder / "rhp.toml")))
    script = f"mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && exec {command}"
    return lab.keep(host.start(["sh", "-c", script], folder / "log"))


def init(host, *arguments):
    return host.run(rhp_command("init", *map(str, arguments)))


@pytest.mark.parametrize("auth", ["certificate", "psk"])
def test_init_on_both_sides_up_on_both_sides_and_ping(lab, auth):
    host_a, host_b = cable(lab)
    gate, home = lab.path("gate"), lab.path("home")
    line = ("--name", "vpn.example.org", "--address", outer(2), "--pool", "10.88.0.0/24", "--auth", auth, "--yes")
    init(host_b, "gateway", *line, "-c", gate / "rhp.toml")
    init(host_a, "client", gate / "laptop.invitation", "--yes", "-c", home / "rhp.toml")
    assert host_b.run(rhp_command("config", "check", "-c", str(gate / "rhp.toml"))).endswith("is good\n")
    assert host_a.run(rhp_command("config", "check", "-c", str(home / "rhp.toml"))).endswith("is good\n")
    gateway = up(lab, host_b, gate)
    gateway.wait_for(READY, 30)
    client = up(lab, host_a, home)
    client.wait_for("child established", 60)
    wait_until(lambda: reaches(host_a, "10.88.0.1"), 60, "a ping through the tunnel")
    assert "peer=laptop@vpn.example.org" in gateway.text()
    assert "addresses=10.88.0.2" in gateway.text()
    for node in (client, gateway):
        assert node.stop(30) == 0
        # The other end may be too slow to answer the farewell.
        warnings = [
            line for line in node.text().splitlines() if "WARNING" in line and "shutdown incomplete" not in line
        ]
        assert warnings == []
        assert "Traceback" not in node.text()


def test_the_script_for_machines_without_systemd(lab):
    _, host = cable(lab)
    folder = lab.path("gate")
    init(host, "gateway", "--name", "vpn.example.org", "--yes", "-c", folder / "rhp.toml")
    with (folder / "rhp.toml").open("a") as file:
        file.write(f'\n[node]\nrun_dir = "{folder}/run"\nstate_dir = "{folder}/state"\n')
    (folder / "bin").mkdir()
    (folder / "bin" / "rhp").write_text(f'#!/bin/sh\nexec {shlex.join(rhp_command())} "$@"\n')
    (folder / "bin" / "rhp").chmod(0o755)

    def script(word):
        return subprocess.run(
            host.command(["sh", str(SCRIPT), word]),
            env={
                **os.environ,
                "PATH": f"{folder}/bin:{os.environ['PATH']}",
                "RHP_CONFIG": str(folder / "rhp.toml"),
                "RHP_LOG": str(folder / "log"),
            },
            capture_output=True,
            text=True,
            timeout=120,
        )

    try:
        started = script("start")
        assert (started.returncode, started.stderr) == (0, "")
        assert script("status").stdout.startswith("node running")
        assert "running already" in script("start").stderr
        assert script("restart").returncode == 0
        assert script("status").returncode == 0
    finally:
        assert script("stop").returncode == 0
    # As init scripts have it: no node is there.
    assert script("status").returncode == 3
    assert script("stop").returncode == 0
    assert "node stopped" in (folder / "log").read_text()
    assert (folder / "log").stat().st_mode & 0o777 == 0o600
    (folder / "rhp.toml").write_text("nonsense\n")
    assert script("start").returncode == 1
