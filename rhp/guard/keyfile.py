"""Files that hold secrets: who may read them is checked before what they say.

A secret file belongs to the user who runs the guard or to root, and nobody else may read or write it. The check is
made on the open file, so that the file checked is the file read.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat

LARGEST_SECRET = 1 << 16


def read_secret_file(path: str) -> bytes:
    """Return a secret file's content, at most 64 KiB.

    ValueError with a sentence that says how to mend what is wrong.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ValueError(f"{path} cannot be opened: {error.strerror}") from None
    try:
        check_mode(path, os.fstat(descriptor))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST_SECRET + 1)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST_SECRET:
        raise ValueError(too_large(path))
    return content


def too_large(path: object) -> str:
    """The sentence about a file of more than `LARGEST_SECRET` octets."""
    return f"{path} is larger than {LARGEST_SECRET >> 10} KiB and cannot be a key; write the name of the key's file"


def check_mode(path: str, status: os.stat_result) -> None:
    """Raise ValueError when a file with this status should not hold a secret; the sentence says what to do."""
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is not a file")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise ValueError(f"{path} can be read by others (mode {mode:04o}): run chmod 600 {path}")
    if status.st_uid not in (os.geteuid(), 0):
        raise ValueError(f"{path} belongs to another user (uid {status.st_uid}): run chown {os.geteuid()} {path}")


def decode_psk(text: bytes, *, ppk: bool = False) -> bytes:
    """Return the octets of a pre-shared key, or of a PPK, in text form; ValueError with a sentence when there are none.

    Line ends at the end are not part of it; "0x" begins hexadecimal digits, "0s" base64 (as in swanctl), and any other
    line of text is the key itself. What is no line of text is some other file, whose octets nobody means as a key.
    """
    noun, command = ("post-quantum preshared key", "rhp keygen ppk") if ppk else ("pre-shared key", "rhp keygen psk")
    text = text.rstrip(b"\r\n")
    if text.startswith(b"-----BEGIN "):
        raise ValueError(f"this is a PEM file and not a {noun}; {command} makes one")
    if not _is_line(text):
        raise ValueError(f"a {noun} is one line of text; write it so, or as 0x and hexadecimal digits")
    try:
        if text[:2] in (b"0x", b"0X"):
            text = bytes.fromhex(text[2:].decode("ascii"))
        elif text[:2] in (b"0s", b"0S"):
            text = base64.b64decode(text[2:], validate=True)
    except (ValueError, binascii.Error):
        kind = "hexadecimal" if text[1:2] in (b"x", b"X") else "base64"
        begin = f"0{'x' if kind == 'hexadecimal' else 's'}"
        raise ValueError(f"the {noun} begins with {begin} and is not valid {kind}; mend it") from None
    if not text:
        raise ValueError(f"the {noun} is empty; {command} makes one")
    return text


def _is_line(text: bytes) -> bool:
    try:
        return text.decode("utf-8").replace("\t", " ").isprintable()
    except UnicodeDecodeError:
        return False
