"""`rhp capture` between two nodes: what is in the file, as scapy and tcpdump read it, and what is refused."""

import json
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scapy.utils import RawPcapNgReader

from rhp.lab.lab import Lab
from rhp.lab.pair import CONNECTION, TAP, start_pair
from rhp.lab.ping import ping
from rhp.lab.process import wait_until
from rhp.lab.programs import find
from rhp.lab.rhpnode import rhp_command
from rhp.lab.topology import PORT, cable

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
from json_page import compare

pytestmark = pytest.mark.netns

ETHERNET, RAW_IP = 1, 101


@pytest.fixture(scope="module")
def nodes():
    with Lab() as lab:
        made = start_pair(lab, cable(lab))
        made.wait_established()
        yield made
        assert "Traceback" not in made.a.process.text()


class Capturing:
    """The command at work on node a; `end` waits for it and gives what it printed as JSON."""

    def __init__(self, nodes, file, *options):
        command = rhp_command("capture", str(file), "-o", "json", "-c", str(nodes.a.file), *options)
        self.nodes, self.file = nodes, file
        self.process = subprocess.Popen(nodes.a.namespace.command(command), stdout=-1, stderr=-1, text=True)
        # The node says that it has begun; the outer side is there a moment later, with the first ping at the latest.
        if "--outer" not in options:
            wait_until(
                lambda: "capture begun" in nodes.a.process.text()[self.before :] or self.ended, 60, "the capture"
            )

    before = 0

    @property
    def ended(self):
        return self.process.poll() is not None

    def end(self, how=None):
        while not self.ended and how is None:
            ping(self.nodes.a.namespace, self.nodes.inner[1], count=3, interval=0.02, size=200)
        if how is not None:
            self.process.send_signal(how)
        out, err = self.process.communicate(timeout=120)
        return json.loads(out) if out else err


def read(file):
    with RawPcapNgReader(str(file)) as reader:
        return list(reader)


def tcpdump(file, *expression):
    return subprocess.run(
        [find("tcpdump"), "-n", "-r", str(file), *expression], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_both_sides_of_the_tunnel(nodes, tmp_path):
    file = tmp_path / "taken.pcapng"
    summary = Capturing(nodes, file, "--count", "60").end()
    packets = read(file)
    assert isinstance(summary, dict), summary
    compare("rhp capture", [summary])
    assert summary["ended"] == "count"
    assert summary["lost"] == 0
    assert len(packets) == 60 == summary["inner"] + summary["outer"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert summary["octets"] == file.stat().st_size
    inner = [(data, meta) for data, meta in packets if meta.linktype == ETHERNET]
    outer = [(data, meta) for data, meta in packets if meta.linktype == RAW_IP]
    assert {meta.ifname for _, meta in inner} == {TAP.encode()}
    assert {meta.ifname for _, meta in outer} == {PORT.encode()}
    # In clear inside, with the peer's name; ESP in UDP outside; both ways.
    assert {meta.comments[0] for _, meta in inner} == {
        f"{CONNECTION}: {nodes.a.connection(CONNECTION)['peer']}".encode()
    }
    assert {meta.direction for _, meta in inner} == {1, 2}
    assert {meta.direction for _, meta in outer} == {1, 2}
    now = time.time()
    assert all(now - 120 < ((meta.tshigh << 32) + meta.tslow) / 1e9 < now + 1 for _, meta in packets)


def test_only_one_address_and_cut(nodes, tmp_path):
    file = tmp_path / "taken.pcapng"
    summary = Capturing(nodes, file, "--inner", "--host", nodes.inner[1], "--octets", "60", "--count", "20").end()
    assert (summary["inner"], summary["outer"]) == (20, 0)
    packets = read(file)
    assert {len(data) for data, _ in packets} <= {42, 60}
    assert max(meta.wirelen for _, meta in packets) == 14 + 20 + 8 + 200
    assert len(tcpdump(file, "icmp", "and", "host", nodes.inner[1])) > 5


def test_nothing_of_another_connection(nodes, tmp_path):
    said = Capturing(nodes, tmp_path / "taken.pcapng", "--connection", "elsewhere").end()
    assert said == f'rhp: there is no connection "elsewhere"; there is {CONNECTION}\n'
    assert not (tmp_path / "taken.pcapng").exists()


def test_a_file_that_is_there_stays(nodes, tmp_path):
    file = tmp_path / "taken.pcapng"
    file.write_text("precious")
    assert Capturing(nodes, file).end() == f"rhp: {file} is there already; --force writes over it\n"
    assert file.read_text() == "precious"


def test_a_second_capture_is_refused_and_ctrl_c_ends_the_first(nodes, tmp_path):
    Capturing.before = len(nodes.a.process.text())
    first = Capturing(nodes, tmp_path / "first.pcapng", "--inner")
    second = Capturing(nodes, tmp_path / "second.pcapng", "--inner")
    assert second.end() == "rhp: a capture is running already; end it first\n"
    ping(nodes.a.namespace, nodes.inner[1], count=3, interval=0.02)
    wait_until(lambda: (tmp_path / "first.pcapng").exists(), 30, "the file")
    summary = first.end(signal.SIGINT)
    assert summary["ended"] == "interrupt"
    wait_until(lambda: "capture ended" in nodes.a.process.text()[Capturing.before :], 30, "the end in the log")
    # The next one may begin.
    assert Capturing(nodes, tmp_path / "third.pcapng", "--count", "5").end()["ended"] == "count"
