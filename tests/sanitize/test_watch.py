"""The C parts under AddressSanitizer with UndefinedBehaviorSanitizer, and the lanes under ThreadSanitizer."""

import subprocess
import sys

import pytest
from sanitized import ADDRESS, ROOT, THREAD, build, run_environment
from watch import THREADS, command

LIMIT = 2700.0


def run(line, environment):
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)


class Watched:
    """A sanitized build, up to date."""

    def __init__(self, sanitizer):
        build(sanitizer)
        self.sanitizer = sanitizer
        self.environment = run_environment(sanitizer)

    def python(self, program):
        return run([*self.sanitizer.prefix, sys.executable, "-P", "-c", program], self.environment)

    def pytest(self, arguments):
        done = run(command(self.sanitizer, arguments), self.environment)
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        return done.stdout


@pytest.fixture(scope="module")
def address():
    return Watched(ADDRESS)


@pytest.fixture(scope="module")
def thread():
    return Watched(THREAD)


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_every_module_is_the_sanitized_one(sanitizer, request):
    watched = request.getfixturevalue(sanitizer)
    names = [path.stem for path in (ROOT / "rhp/_fast").glob("*.pyx")]
    done = watched.python(f"from rhp._fast import {', '.join(names)}\nfor m in {names}: print(eval(m).__file__)")
    assert done.returncode == 0, done.stderr
    assert {line.startswith(str(watched.sanitizer.library)) for line in done.stdout.split()} == {True}
    assert len(done.stdout.split()) == len(names)


@pytest.mark.parametrize(
    ("sanitizer", "trap", "words"),
    [
        ("address", "overrun(64)", "heap-buffer-overflow"),
        # Every `bytes` is watched as well; Python itself keeps a zero at its end.
        ("address", "overrun_bytes(b'x' * 100, 101)", "heap-buffer-overflow"),
        ("address", "overflow(2**31 - 1)", "signed integer overflow"),
        ("thread", "race()", "data race"),
    ],
)
def test_a_trap_is_seen(sanitizer, trap, words, request):
    done = request.getfixturevalue(sanitizer).python(f"from targets import traps; traps.{trap}")
    assert done.returncode != 0
    assert words in done.stderr


@pytest.mark.parametrize("harmless", ["overrun_bytes(b'x' * 100, 99)", "overflow(1)"])
def test_what_is_right_passes(address, harmless):
    assert address.python(f"from targets import traps; traps.{harmless}").returncode == 0


def test_the_packet_path(address):
    assert " passed" in address.pytest(["tests/fast"])


def test_the_lanes(thread):
    assert " passed" in thread.pytest(THREADS)
