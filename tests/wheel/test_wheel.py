"""The wheel as a stranger meets it: installed beside nothing of this tree, with an OpenSSL of its own."""

import json
import re
import subprocess
from pathlib import Path
from platform import machine

import pytest

ROOT = Path(__file__).parents[2]
PINNED = re.search(r"openssl_(\d+\.\d+\.\d+)", (ROOT / "wheels/openssl.sha256").read_text())[1]


def symbols(path, *options):
    """The names of a shared object's symbols, versions left out."""
    shown = subprocess.run(["nm", *options, path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].split("@")[0] for line in shown.splitlines()}


def needed(path):
    """The shared libraries it asks for."""
    shown = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", shown))


@pytest.fixture
def modules(installed):
    found = {path.name.split(".")[0]: path for path in installed.glob("lib/python3*/site-packages/rhp/_fast/*.so")}
    assert {"evp", "dh", "dataplane"} <= found.keys()
    return found


def test_it_holds_every_module_of_the_tree_and_nothing_else(installed, modules):
    assert modules.keys() == {path.stem for path in (ROOT / "rhp/_fast").glob("*.pyx")}
    package = next(iter(modules.values())).parents[1]
    ours = {path.relative_to(ROOT / "rhp") for path in (ROOT / "rhp").rglob("*.py")}
    theirs = {path.relative_to(package) for path in package.rglob("*.py")}
    assert theirs == ours


def test_no_module_shows_more_than_its_own_entrance(modules):
    for name, path in modules.items():
        assert symbols(path, "-D", "--defined-only") == {f"PyInit_{name}"}, name


def test_no_module_asks_for_another_libcrypto(modules):
    for path in modules.values():
        assert needed(path) <= {"libc.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2"}, path.name
        assert not [
            name for name in symbols(path, "-D", "--undefined-only") if re.match("(EVP|BN|OSSL|OPENSSL|ERR)_", name)
        ]


def test_one_module_alone_carries_libcrypto(modules):
    carrying = [name for name, path in modules.items() if f"OpenSSL {PINNED}".encode() in path.read_bytes()]
    assert carrying == ["evp"]


def test_it_has_the_vectorised_cipher_of_this_kind_of_processor(modules):
    named = {"x86_64": "ossl_aes_gcm_encrypt_avx512", "aarch64": "unroll8_eor3_aes_gcm_enc_128_kernel"}[machine()]
    assert named in symbols(modules["evp"])


def test_three_openssls_work_in_one_process(installed, run):
    said = json.loads(run("python", "-I", ROOT / "tests/wheel/libraries.py"))
    assert said["module"].startswith(str(installed))
    assert str(ROOT) not in said["path"]
    assert said["rhp"].startswith(f"OpenSSL {PINNED} ")
    assert len({said["rhp"], said["cryptography"], said["ssl"]}) == 3
    assert not [path for path in said["files"] if str(installed) in path]


def test_a_configuration_of_the_machines_openssl_does_not_reach_it(run, tmp_path, monkeypatch):
    # With these properties an OpenSSL that reads the file offers no cipher at all.
    (tmp_path / "openssl.cnf").write_text(
        "openssl_conf = init\n[init]\nalg_section = evp\n[evp]\ndefault_properties = fips=yes\n"
    )
    monkeypatch.setenv("OPENSSL_CONF", str(tmp_path / "openssl.cnf"))
    seal = "from rhp._fast.esp import EspSealer; EspSealer(20, bytes(20), 0, b'', 4096, False).seal(1, 97, b'')"
    run("python", "-I", "-c", seal)


def test_it_says_which_openssl_seals(run):
    assert re.fullmatch(rf"rhp \S+, OpenSSL {re.escape(PINNED)} .*\n", run("rhp", "--version"))


@pytest.mark.netns
def test_the_demo_runs_from_it(run):
    assert json.loads(run("rhp", "demo", "-o", "json"))["ok"] is True
