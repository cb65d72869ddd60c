"""`rhp keygen`: shared keys, a small CA and certificates of nodes."""

import base64
import stat
from datetime import UTC, datetime

import pytest

from rhp.config.loading import load


def test_a_shared_key_is_printed_and_new_each_time(rhp):
    first, second = rhp("keygen", "psk").output.strip(), rhp("keygen", "psk").output.strip()
    assert first != second
    assert len(first) == 44


def test_a_shared_key_never_looks_like_hexadecimal_digits_or_base64(rhp, monkeypatch):
    """One of a thousand would, and would then be another key, or none."""
    drawn = [b"\xff" * 32, *(base64.b64decode(f"{mark}{'A' * 41}=") for mark in ("0x", "0X", "0s", "0S"))]
    monkeypatch.setattr("secrets.token_bytes", lambda _: drawn.pop())
    assert rhp("keygen", "psk").output == base64.b64encode(b"\xff" * 32).decode() + "\n"


def test_a_shared_key_in_a_file_is_its_owner_s_and_fits_the_configuration(rhp, folder):
    (folder / "office.psk").unlink()
    result = rhp("keygen", "psk", "-o", folder / "office.psk")
    assert result.exit_code == 0
    assert result.output == 'psk_file = "office.psk"\n'
    assert stat.S_IMODE((folder / "office.psk").stat().st_mode) == 0o600
    assert load(folder / "rhp.toml").warnings == ()
    content = (folder / "office.psk").read_text()
    again = rhp("keygen", "psk", "-o", folder / "office.psk")
    assert again.exit_code == 1
    assert "exists already" in again.output
    assert (folder / "office.psk").read_text() == content


def test_a_post_quantum_key_has_256_bits_and_fits_the_configuration(rhp, folder):
    first, second = rhp("keygen", "ppk").output.strip(), rhp("keygen", "ppk").output.strip()
    assert first != second
    assert len(bytes.fromhex(first.removeprefix("0x"))) == 32
    result = rhp("keygen", "ppk", "-o", folder / "office.ppk")
    assert result.output == 'ppk_file = "office.ppk"\n'
    assert stat.S_IMODE((folder / "office.ppk").stat().st_mode) == 0o600
    path = folder / "rhp.toml"
    path.write_text(
        path.read_text()
        + '\n[connections.more]\nlocal.id = "m"\nremote.id = "n"\npsk_file = "office.psk"\n'
        + f'ppk_id = "one"\n{result.output}'
    )
    assert load(path).warnings == ()


def test_a_shared_key_makes_its_folder(rhp, tmp_path):
    result = rhp("keygen", "psk", "-o", tmp_path / "etc" / "rhp" / "office.psk")
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE((tmp_path / "etc" / "rhp").stat().st_mode) == 0o700
    in_a_file = rhp("keygen", "psk", "-o", tmp_path / "etc" / "rhp" / "office.psk" / "x")
    assert in_a_file.exit_code == 1
    assert in_a_file.output.startswith(f"rhp: {tmp_path}/etc/rhp/office.psk exists already; name another file")


def test_what_a_ca_cannot_be_is_one_sentence(rhp, tmp_path):
    (tmp_path / "file").touch()
    named = rhp("keygen", "ca", tmp_path / "ca", "--name", "")
    assert (named.exit_code, named.output) == (
        1,
        "rhp: the CA cannot be made: a CA's name has 1 to 64 printable characters\n",
    )
    placed = rhp("keygen", "ca", tmp_path / "file" / "ca", "--name", "x")
    assert (placed.exit_code, placed.output) == (
        1,
        f"rhp: the CA cannot be made in {tmp_path}/file/ca: Not a directory\n",
    )


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ed25519", "rsa-2048"])
def test_certificates_fit_the_lines_that_are_printed(rhp, tmp_path, kind):
    made = rhp("keygen", "ca", tmp_path, "--name", "Example CA", "--type", kind)
    assert made.exit_code == 0, made.output
    result = rhp("keygen", "node", tmp_path, "a.example.org", "192.0.2.1", "--type", kind)
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) == 4
    assert stat.S_IMODE((tmp_path / "a.example.org.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    text = f'[connections.office]\n{result.output}remote.id = "*.example.org"\n'
    (tmp_path / "rhp.toml").write_text(text)
    loaded = load(tmp_path / "rhp.toml", datetime.now(UTC))
    assert loaded.warnings == ()
    assert loaded.engine.connections[0].local.method == "pubkey"
    text = text.replace('"a.example.org"', '"192.0.2.1"')
    (tmp_path / "rhp.toml").write_text(text)
    assert load(tmp_path / "rhp.toml").engine.connections


def test_certificates_are_never_overwritten(rhp, tmp_path):
    assert rhp("keygen", "ca", tmp_path, "--name", "Example CA").exit_code == 0
    assert rhp("keygen", "node", tmp_path, "a.example.org").exit_code == 0
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for arguments in (["ca", tmp_path, "--name", "Other"], ["node", tmp_path, "a.example.org"]):
        result = rhp("keygen", *arguments)
        assert result.exit_code == 1
        assert "exists already" in result.output
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_node_s_certificate_needs_a_ca(rhp, tmp_path):
    result = rhp("keygen", "node", tmp_path, "a.example.org")
    assert result.exit_code == 1
    assert "rhp keygen ca" in result.output
    assert "rhp keygen ca" in rhp("keygen", "node", tmp_path / "none", "a.example.org").output
