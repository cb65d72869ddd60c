"""Cookies: who may come back with one, and for how long."""

import os
from ipaddress import ip_address

import pytest

from rhp.ike.cookies import CookieJar

NONCE, SPI = bytes(range(32)), b"initiato"
HERE, THERE = ip_address("192.0.2.1"), ip_address("2001:db8::1")


@pytest.fixture
def jar():
    return CookieJar(os.urandom, 60.0)


def test_a_cookie_is_good_for_whom_it_was_baked(jar):
    cookie = jar.bake(NONCE, HERE, SPI, 0.0)
    assert 1 <= len(cookie) <= 64
    assert jar.check(cookie, NONCE, HERE, SPI, 1.0)
    assert not jar.check(cookie, NONCE, THERE, SPI, 1.0)
    assert not jar.check(cookie, NONCE[:-1], HERE, SPI, 1.0)
    assert not jar.check(cookie, NONCE, HERE, b"somebody", 1.0)


@pytest.mark.parametrize("index", range(17))
def test_every_octet_counts(jar, index):
    cookie = bytearray(jar.bake(NONCE, HERE, SPI, 0.0))
    cookie[index] ^= 1
    assert not jar.check(bytes(cookie), NONCE, HERE, SPI, 0.0)


@pytest.mark.parametrize("cookie", [b"", b"\0", bytes(16), bytes(18), bytes(64)])
def test_other_sizes(jar, cookie):
    assert not jar.check(cookie, NONCE, HERE, SPI, 0.0)


def test_a_cookie_outlives_one_change_of_the_secret_and_not_two(jar):
    cookie = jar.bake(NONCE, HERE, SPI, 0.0)
    assert jar.check(cookie, NONCE, HERE, SPI, 59.0)
    assert jar.check(cookie, NONCE, HERE, SPI, 61.0)
    assert jar.check(cookie, NONCE, HERE, SPI, 119.0)
    assert not jar.check(cookie, NONCE, HERE, SPI, 122.0)


def test_a_long_silence_ends_every_cookie(jar):
    cookie = jar.bake(NONCE, HERE, SPI, 0.0)
    assert not jar.check(cookie, NONCE, HERE, SPI, 1000.0)
    assert jar.check(jar.bake(NONCE, HERE, SPI, 1000.0), NONCE, HERE, SPI, 1059.0)


def test_the_number_of_the_secret_wraps(jar):
    now = 0.0
    for _ in range(600):
        cookie = jar.bake(NONCE, HERE, SPI, now)
        now += 60.0
        assert jar.check(cookie, NONCE, HERE, SPI, now)


def test_two_jars_do_not_share_cookies(jar):
    assert not CookieJar(os.urandom, 60.0).check(jar.bake(NONCE, HERE, SPI, 0.0), NONCE, HERE, SPI, 0.0)
