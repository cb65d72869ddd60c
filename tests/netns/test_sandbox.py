"""Proof from inside the running node: what it cannot do, whatever it has been turned into."""

import json
import shutil
from pathlib import Path

import pytest

from rhp.lab.pair import IDENTITIES, PairOptions, configuration
from rhp.lab.rhpnode import RhpNode
from rhp.lab.topology import cable

pytestmark = pytest.mark.netns

KEY = "a pre-shared key in a file of its own"
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def facts(pid):
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


@pytest.fixture
def attempts(lab, monkeypatch):
    """What came of everything that the extension tried, by its name."""
    folder = lab.path("a")
    folder.mkdir()
    (folder / "code").mkdir()
    (folder / "state-guard").mkdir(mode=0o700)
    shutil.copy(Path(__file__).with_name("inside.py"), folder / "code" / "inside.py")
    key, other = folder / "office.psk", folder / "other"
    key.write_text(KEY)
    key.chmod(0o600)
    other.write_text("a file that everyone may read")
    told = {"key": key, "configuration": folder / "rhp.toml", "folder": folder / "state", "other": other}
    monkeypatch.setenv("BACKUP_PASSWORD", KEY)
    monkeypatch.setenv("RHP_INSIDE", json.dumps({name: str(path) for name, path in told.items()}))
    monkeypatch.setenv("PYTHONPATH", str(folder / "code"), prepend=":")
    here, _ = cable(lab)
    made = dict(configuration(1, PairOptions()))
    office = {"psk_file": str(key), "local": {"id": IDENTITIES[0]}, "remote": {"id": IDENTITIES[1]}}
    made |= {"connections": {"office": office}, "node": {"extensions": ["inside"]}}
    node = lab.keep(RhpNode(here, folder, made))
    return node, json.loads((folder / "state" / "inside.json").read_text())


def test_the_node_can_do_nothing_that_it_need_not(attempts):
    _, found = attempts
    assert [name for name, outcome in found["must fail"].items() if outcome == "done"] == []
    # And each was refused, not merely in vain.
    refusals = {"EPERM", "EACCES"}
    assert {name: outcome for name, outcome in found["must fail"].items() if outcome not in refusals} == {}


def test_it_can_do_what_it_has_to(attempts):
    _, found = attempts
    assert set(found["must work"].values()) == {"done"}


def test_it_has_nothing_of_the_environment_that_is_not_for_it(attempts):
    node, _ = attempts
    guard, inner = (Path(f"/proc/{pid}/environ").read_bytes() for pid in (node.process.pid, node.pid))
    assert KEY.encode() in guard
    assert KEY.encode() not in inner
    names = {one.partition(b"=")[0] for one in inner.split(b"\0")}
    assert {b"RHP_INSIDE", b"PYTHONPATH"} <= names
    assert names.isdisjoint({b"BACKUP_PASSWORD", b"HOME"})


def test_the_kernel_says_so_of_both_processes(attempts):
    node, _ = attempts
    inner, guard = facts(node.pid), facts(node.process.pid)
    assert (inner["Name"], guard["Name"]) == (["rhp-node"], ["rhp-guard"])
    assert {tuple(inner[one]) for one in CAPABILITIES} == {("0" * 16,)}
    assert inner["Groups"] == []
    # NET_ADMIN, NET_RAW, NET_BIND_SERVICE, KILL and DAC_READ_SEARCH, of which what it starts gets the last.
    assert {int(guard[one][0], 16) for one in CAPABILITIES[1:4]} == {0x3424}
    assert int(guard["CapAmb"][0], 16) == 0x4
    for one in (inner, guard):
        assert one["NoNewPrivs"] == ["1"]
        assert "0" not in one["Uid"]
    assert inner["Seccomp"] == ["2"]
    assert inner["Uid"][0] != guard["Uid"][0]
    assert "sandbox incomplete" not in node.process.text()
