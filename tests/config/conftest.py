"""A folder with a configuration file and the keys and certificates that it may name."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rhp.pki.ca import create_ca, issue

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _write(path, content, mode=0o600):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """One CA, a node's certificate with its key, another's, and one that has ended."""
    folder = tmp_path_factory.mktemp("pki")
    ca = create_ca("Test CA", NOW - timedelta(days=10))
    _write(folder / "ca.pem", ca.certificate, 0o644)
    for name, began, days in (
        ("a.example.org", NOW - timedelta(days=1), 365),
        ("b.example.org", NOW - timedelta(days=1), 365),
        ("old.example.org", NOW - timedelta(days=9), 5),
        ("soon.example.org", NOW - timedelta(days=1), 30),
        ("future.example.org", NOW + timedelta(days=30), 365),
    ):
        made = issue(ca, [name], began, days=days)
        _write(folder / f"{name}.pem", made.certificate, 0o644)
        _write(folder / f"{name}.key", made.private_key)
    return folder


@pytest.fixture
def folder(tmp_path, pki):
    """A folder with a good shared key and links to everything in `pki`."""
    _write(tmp_path / "office.psk", "0123456789abcdef0123456789abcdef\n")
    for file in pki.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / file.name).chmod(file.stat().st_mode & 0o777)
    return tmp_path


@pytest.fixture
def written(folder):
    """Write a configuration into the folder and give its path."""

    def write(text: str) -> Path:
        return _write(folder / "rhp.toml", text)

    return write


@pytest.fixture
def now():
    return NOW
