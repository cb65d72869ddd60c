"""A configuration as the doctor gets it."""

import pytest

from rhp.config.loading import load

GOOD = """\
[node]
run_dir = "run"
state_dir = "state"
{node}

[interface]
name = "rhp-test0"
{interface}

[connections.office]
remote_addrs = ["127.0.0.1"]
psk_file = "office.psk"
local.id = "a.example.org"
remote.id = "b.example.org"
{connection}
"""


@pytest.fixture
def loaded(tmp_path):
    """Load a configuration with further lines in its tables."""
    (tmp_path / "office.psk").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "office.psk").chmod(0o600)

    def make(node="", interface="", connection=""):
        (tmp_path / "rhp.toml").write_text(GOOD.format(node=node, interface=interface, connection=connection))
        (tmp_path / "rhp.toml").chmod(0o600)
        return load(tmp_path / "rhp.toml")

    return make
