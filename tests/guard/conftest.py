"""A user without privileges, and answers without an event loop of one's own."""

import asyncio
import os
import pickle
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

_NOBODY = 65534


@pytest.fixture
def as_nobody():
    """Run a function in a child process that has given up root; return what it returned."""

    from guard_apart import fork

    def run(function):
        reader, writer = os.pipe()
        child = fork()
        if not child:
            try:
                os.setresgid(_NOBODY, _NOBODY, _NOBODY)
                os.setresuid(_NOBODY, _NOBODY, _NOBODY)
                os.write(writer, pickle.dumps(function()))
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            data = pipe.read()
        os.waitpid(child, 0)
        return pickle.loads(data)  # noqa: S301

    return run


@pytest.fixture
def ask():
    """Ask a guard one question and close the descriptors it hands over at the end of the test."""
    opened = []

    def put(guard, question):
        answer = asyncio.run(guard.ask(question))
        opened.extend(getattr(answer, "fds", ()))
        return answer

    yield put
    for descriptor in opened:
        os.close(descriptor)


@pytest.fixture
def secret_file(tmp_path):
    """Write a file that only its owner may read."""

    def write(name, content, mode=0o600):
        path = Path(tmp_path) / name
        path.write_bytes(content)
        path.chmod(mode)
        return str(path)

    return write


@pytest.fixture(scope="module")
def policy():
    """Of a guard with a key of each kind."""
    from guard_world import make_policy

    return make_policy()
