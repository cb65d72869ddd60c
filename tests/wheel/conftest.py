import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def installed():
    """The clean virtual environment into which the wheel of this tree has been installed."""
    done = subprocess.run([ROOT / "wheels/build"], capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "build/wheel"


@pytest.fixture
def run(installed, tmp_path):
    """Run a program of that environment far from this tree, and give what it prints."""

    def call(program, *arguments):
        command = [installed / "bin" / program, *arguments]
        alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call
