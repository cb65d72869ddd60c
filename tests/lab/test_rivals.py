"""The programs that rhp is only measured against."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from rhp.lab.fastd import METHOD, Fastd, FastdEnd
from rhp.lab.iperf3 import Iperf3
from rhp.lab.ping import reaches
from rhp.lab.topology import cable
from rhp.lab.wireguard import WireGuardEnd, configuration

FETCH = Path(__file__).parents[2] / "tools/fetch-wireguard-go"


@pytest.mark.interop
def test_fastd(lab):
    a, b = cable(lab)
    ends = FastdEnd(a, "192.0.2.1", "10.81.0.1/24"), FastdEnd(b, "192.0.2.2", "10.81.0.2/24")
    tunnel = lab.keep(Fastd(ends, lab.path("fastd")))
    assert reaches(a, "10.81.0.2")
    assert METHOD in lab.path("fastd/a.conf").read_text()
    with Iperf3(a, b, "10.81.0.2", lab.path("iperf3.log")) as server:
        assert server.tcp(1, reverse=True).gbps > 0.01
    assert all(process.status is None for process in tunnel.processes)


def test_wireguard_names_its_interface_after_its_namespace():
    end = WireGuardEnd(SimpleNamespace(name="rhp-a1b2c3-w1"), "192.0.2.1", "10.80.0.1")
    assert end.interface == "a1b2c3-w1"
    text = configuration("own", "theirs", end)
    assert text.splitlines() == [
        "[Interface]",
        "PrivateKey = own",
        "ListenPort = 51820",
        "[Peer]",
        "PublicKey = theirs",
        "Endpoint = 192.0.2.1:51820",
        "AllowedIPs = 10.80.0.1/32",
    ]


def test_a_mirror_without_the_suite_gives_one_clear_error(tmp_path):
    done = subprocess.run(
        [FETCH, tmp_path],
        env={**os.environ, "RHP_TESTING_SUITE": "nosuch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "has no suite nosuch" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "wireguard-go").exists()
