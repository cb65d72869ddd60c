"""Tests that are interrupted leave no program, no namespace and no mount behind."""

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from rhp.lab.namespace import FOLDER
from rhp.lab.process import runs, wait_until

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent


def children(parent):
    """Ids and command lines of the processes that `parent` has started."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def charons(parent):
    return [pid for pid, line in children(parent).items() if "/usr/lib/ipsec/charon" in line]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_stays(newest, number, tmp_path):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(HERE / "test_death.py"),
        "-k",
        "notices",
    ]
    with (tmp_path / "log").open("wb") as log:
        run = subprocess.Popen(command, cwd=HERE.parents[1], stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: charons(run.pid), 60, "the tests having started a charon")
        started = children(run.pid)
        names = {path.name for path in FOLDER.iterdir() if any(path.name in line for line in started.values())}
        run.send_signal(number)
        assert run.wait(60) == pytest.ExitCode.INTERRUPTED, (tmp_path / "log").read_text()
    finally:
        run.kill()
        run.wait()
    assert not [pid for pid in started if runs(pid)]
    assert not [name for name in names if (FOLDER / name).exists()]
    assert str(Path(newest.charon).parent) not in Path("/proc/mounts").read_text()
