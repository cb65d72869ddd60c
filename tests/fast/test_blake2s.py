"""BLAKE2s with a key, against Python's own."""

import hashlib
import os

import pytest

from rhp._fast.blake2s import digest

LENGTHS = [1, 2, 3, 4, 31, 32, 63, 64, 65, 127, 128, 129, 191, 192, 193, 280, 1000]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("key", "size"), [(1, 1), (16, 4), (31, 16), (32, 8), (32, 32)])
def test_as_python_has_it(length, key, size):
    for _ in range(5):
        secret, data = os.urandom(key), os.urandom(length)
        assert digest(secret, data, size) == hashlib.blake2s(data, key=secret, digest_size=size).digest()


@pytest.mark.parametrize(
    ("key", "data", "size"), [(b"", b"x", 4), (bytes(33), b"x", 4), (b"k", b"", 4), (b"k", b"x", 0)]
)
def test_what_it_is_not_made_for(key, data, size):
    with pytest.raises(ValueError):
        digest(key, data, size)
