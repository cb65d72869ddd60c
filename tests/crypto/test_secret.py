"""The type of secrets: it does not print, and it does not stay."""

import copy
import pickle

import pytest

from rhp.crypto.secret import Secret


def test_repr_and_str_show_no_octets():
    secret = Secret(b"swordfish")
    for text in (repr(secret), str(secret), f"{secret}", repr([secret]), repr({"key": secret})):
        assert "swordfish" not in text
        assert b"swordfish".hex() not in text
        assert "9 octets" in text


def test_expose_gives_the_octets_and_length():
    secret = Secret(bytearray(b"abc"))
    assert secret.expose() == b"abc"
    assert isinstance(secret.expose(), bytes)
    assert len(secret) == 3
    assert len(Secret()) == 0


def test_equality_is_by_octets_and_only_among_secrets():
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != Secret(b"ab")
    assert Secret(b"a") != b"a"


def test_wipe_overwrites_what_others_still_see():
    secret = Secret(b"abc")
    seen = secret._octets
    view = bytes(seen)
    secret.wipe()
    assert view == b"abc"
    assert secret.expose() == b""
    assert len(secret) == 0
    secret.wipe()


def test_a_secret_has_no_hash_and_no_pickle():
    with pytest.raises(TypeError):
        hash(Secret(b"a"))
    with pytest.raises(TypeError):
        pickle.dumps(Secret(b"a"))
    with pytest.raises(TypeError):
        copy.copy(Secret(b"a"))


def test_the_source_is_copied():
    source = bytearray(b"abc")
    secret = Secret(source)
    source[0] = 0
    assert secret.expose() == b"abc"
