"""Secret files: who may read them, and the text forms of a pre-shared key."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhp.guard.keyfile import decode_psk, read_secret_file


def test_a_private_file_is_read(secret_file):
    assert read_secret_file(secret_file("key", b"content")) == b"content"
    assert read_secret_file(secret_file("key2", b"content", 0o400)) == b"content"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o660, 0o610, 0o777])
def test_a_file_that_others_reach_is_refused_with_the_remedy(secret_file, mode):
    path = secret_file("key", b"content", mode)
    with pytest.raises(ValueError, match="read by others") as caught:
        read_secret_file(path)
    assert f"(mode {mode:04o}): run chmod 600 {path}" in str(caught.value)
    assert "content" not in str(caught.value)


def test_a_file_of_another_user_is_refused(secret_file):
    path = secret_file("key", b"content")
    os.chown(path, 12345, -1)
    with pytest.raises(ValueError, match="belongs to another user") as caught:
        read_secret_file(path)
    assert f"run chown {os.geteuid()} {path}" in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not a file"):
        read_secret_file(str(tmp_path))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    with pytest.raises(ValueError, match="is not a file"):
        read_secret_file(str(fifo))
    with pytest.raises(ValueError, match="cannot be opened: No such file"):
        read_secret_file(str(tmp_path / "missing"))


def test_a_link_is_followed_to_the_file_that_counts(secret_file, tmp_path):
    (tmp_path / "link").symlink_to(secret_file("key", b"content", 0o644))
    with pytest.raises(ValueError, match="read by others"):
        read_secret_file(str(tmp_path / "link"))


def test_a_huge_file_is_refused(secret_file):
    assert len(read_secret_file(secret_file("key", bytes(1 << 16)))) == 1 << 16
    with pytest.raises(ValueError, match="larger than 64 KiB and cannot be a key; write"):
        read_secret_file(secret_file("key2", bytes((1 << 16) + 1)))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b" two words \n\n", b" two words "),
        (b"0x736563726574\n", b"secret"),
        (b"0XABcd", b"\xab\xcd"),
        (b"0sc2VjcmV0\n", b"secret"),
        (b"0", b"0"),
        ("schlüssel".encode(), "schlüssel".encode()),
        (b"tab\there", b"tab\there"),
    ],
)
def test_text_forms_of_a_psk(text, key):
    assert decode_psk(text) == key


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"0x", "empty"),
        (b"0s", "empty"),
        (b"0xabc", "hexadecimal"),
        (b"0xzz", "hexadecimal"),
        (b"0x\xff\xff", "one line of text"),
        (b"\xff\x00\x01", "one line of text"),
        (b"one\ntwo\n", "one line of text"),
        (b"-----BEGIN PRIVATE KEY-----\nx\n", "PEM file and not a pre-shared key"),
        (b"0s!!!", "base64"),
        (b"0sabc", "base64"),
    ],
)
def test_malformed_psks(text, problem):
    with pytest.raises(ValueError, match=problem):
        decode_psk(text)


@pytest.mark.parametrize("text", [b"", b"0xzz", b"one\ntwo\n", b"-----BEGIN PRIVATE KEY-----\nx\n"])
def test_a_malformed_ppk_is_called_one(text):
    with pytest.raises(ValueError, match="post-quantum preshared key") as caught:
        decode_psk(text, ppk=True)
    assert "keygen psk" not in str(caught.value)


@given(st.binary(min_size=1, max_size=64))
def test_any_octets_can_be_written(key):
    import base64

    assert decode_psk(b"0x" + key.hex().encode() + b"\n") == key
    assert decode_psk(b"0s" + base64.b64encode(key)) == key
