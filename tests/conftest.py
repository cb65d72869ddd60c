"""What holds for every test."""

import ctypes
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Who ends the tests by SIGTERM, as a service manager does, wants namespaces, programs and mounts gone as well.
signal.signal(signal.SIGTERM, signal.default_int_handler)

# A shell that starts the tests in the background lets them ignore SIGINT, and every program that they start inherits
# that; but some tests interrupt a program as a person does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, and is no property of what is tried.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# What stands on real time, threads and programs is tried once more where it fails: two programs on a busy machine may
# miss each other in ways that are neither's fault. Nothing of it is silent, and few may need it. What stands on a clock
# that is an argument, or on none, has no excuse.
PURE = ("config", "crypto", "docs", "ike", "ladder", "model", "pki", "property", "realm", "vectors", "wire")
FEW = 3


_CLONE_NEWNET = 0x40000000


@pytest.fixture
def open_folder():
    """A folder that other users can get to; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="rhp-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def own_network():
    """Move this thread into an empty network namespace, and back afterwards."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _libc("unshare", _CLONE_NEWNET)
    yield
    _libc("setns", before, _CLONE_NEWNET)
    os.close(before)


def _libc(name, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), name)


def pytest_configure(config):
    config.pluginmanager.register(_SecondChances(), "second-chances")


def pytest_collection_modifyitems(items):
    folder = Path(__file__).parent
    for item in items:
        if item.path.relative_to(folder).parts[0] not in PURE:
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2))


class _SecondChances:
    """Prints how each test that got a second chance failed the first time; more than a few fail the run."""

    def __init__(self):
        self.seen = []

    def pytest_runtest_logreport(self, report):
        if report.outcome == "rerun":
            self.seen.append(report)

    def pytest_sessionfinish(self, session):
        if len(self.seen) > FEW and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if not self.seen:
            return
        terminalreporter.section(f"{len(self.seen)} second chances, of {FEW} that a run may need")
        for report in self.seen:
            terminalreporter.write_sep("_", report.nodeid)
            terminalreporter.write_line(report.longreprtext)
