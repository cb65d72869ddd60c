"""What each of the two processes loads: the guard nothing that reads the network, the node nothing with a secret."""

import subprocess
import sys

import pytest

GUARD = "import rhp.cli.up, rhp.guard.process; rhp.guard.process.preload(rhp.guard.policy.GuardPolicy())"
NODE = "import rhp.node.process; rhp.node.process.preload.everything()"


def loaded(script):
    words = f"{script}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def among(modules, names):
    return {one for one in modules for name in names if one == name or one.startswith(f"{name}.")}


@pytest.mark.parametrize(
    ("script", "without"),
    [
        (GUARD, ["rhp.ike", "rhp.realm", "rhp.config", "rhp._fast.dataplane", "rhp._fast.gate", "pydantic", "OpenSSL"]),
        (NODE, ["rhp.guard.secrets", "rhp.guard.local", "rhp.guard.network", "pydantic", "pyroute2", "pytun", "click"]),
    ],
    ids=["guard", "node"],
)
def test_neither_loads_what_is_the_others(script, without):
    # Lists of names that cost nothing are no rooms of the other's.
    light = {"rhp.config.tomlfile", "rhp.config.suggest", "rhp.config"}
    # Whom a shared key is for is found by the realms' patterns.
    light |= {"rhp.realm", "rhp.realm.key", "rhp.realm.pattern", "rhp.realm.table"}
    assert among(loaded(script), without) - light == set()
