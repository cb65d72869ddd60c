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

# How long an example takes says how busy the machine is, and is no property of what is tried. What a property is tried
# with follows from the test alone, so that who changes nothing of it is not met by a fault that it has had for long; to
# look for those is what RHP_RANDOM=1 is for.
settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("RHP_RANDOM", "0") == "0",
)
settings.load_profile("patient")

# What stands on real time, threads and programs is tried once more where it fails: two programs on a busy machine may
# miss each other in ways that are neither's fault. It is tried by the file, in a new run with nothing beside it, as
# tests of a file may share what the first failure left behind. Nothing of it is silent, and few may need it. What
# stands on a clock that is an argument, or on none, has no excuse.
PURE = ("config", "crypto", "docs", "ike", "ladder", "model", "pki", "property", "realm", "vectors", "wire")
FEW = 2


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


def pytest_addoption(parser):
    parser.addoption("--second-chances", metavar="FILE", help="FILE gets the test files to run once more")


def pytest_configure(config):
    config.pluginmanager.register(_SecondChances(config.getoption("--second-chances")), "second-chances")


class _SecondChances:
    """Names the files of the tests that failed; none where there are more than a few, or one has no excuse."""

    def __init__(self, path):
        self.path = path
        self.failed = set()
        self.excused = True

    def pytest_runtest_logreport(self, report):
        if report.failed:
            file = report.nodeid.partition("::")[0]
            self.failed.add(file)
            # What the end of a test finds wrong is what a program did, as a traceback in its log, and not when.
            self.excused &= report.when != "teardown" and Path(file).parts[1] not in PURE

    def pytest_sessionfinish(self):
        if self.path is not None:
            named = self.failed if self.excused and len(self.failed) <= FEW else ()
            Path(self.path).write_text("".join(f"{file}\n" for file in sorted(named)))
