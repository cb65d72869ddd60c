"""Cutting messages into fragments, and the budgets for those of peers."""

from ipaddress import ip_address
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp.crypto import algorithms
from rhp.crypto.cipher import IkeCipher
from rhp.crypto.secret import Secret
from rhp.ike import sealing
from rhp.ike.fragments import Shelf
from rhp.ike.path import Endpoint, Path
from rhp.ike.sealing import Letter
from rhp.ike.timers import Timers
from rhp.wire.message import Message, parse_message
from rhp.wire.skf import SKF

FRAME = Message(b"initiato", b"responde", 35, True, False, 7, ())
CIPHERS = [(20, 128, None), (28, None, None), (12, 256, 12), (3, None, 2), (13, 128, 14)]


def make_cipher(number, bits, mac):
    encryption = algorithms.encryption(number, bits)
    integrity = None if mac is None else algorithms.integrity(mac)
    key = Secret(bytes(range(encryption.material_bytes)))
    return IkeCipher(encryption, integrity, key, Secret(bytes(integrity.key_bytes)) if integrity else None)


def opened(cipher, datagrams):
    """What is inside; checks numbers, totals and the types."""
    parts = []
    for number, datagram in enumerate(datagrams, 1):
        message = parse_message(datagram)
        (sealed,) = message.payloads
        if len(datagrams) == 1 and not isinstance(sealed, SKF):
            assert sealed.next_payload == 35
        else:
            assert (sealed.fragment_number, sealed.total_fragments) == (number, len(datagrams))
            assert sealed.next_payload == (35 if number == 1 else 0)
        parts.append(cipher.open(datagram[: len(datagram) - len(sealed.body)], sealed.body))
    return b"".join(parts)


@pytest.mark.parametrize("name", CIPHERS)
@settings(max_examples=60, deadline=None)
@given(length=st.integers(1, 6000), limit=st.integers(120, 1500))
def test_every_piece_fits_and_nothing_is_lost(name, length, limit):
    cipher = make_cipher(*name)
    letter = Letter(FRAME, 35, bytes(at % 251 for at in range(length)), cipher)
    datagrams = letter.sealed(limit)
    assert all(len(one) <= limit for one in datagrams)
    assert opened(cipher, datagrams) == letter.inside
    # All but the last are as long as blocks allow.
    assert all(limit - len(one) < 16 for one in datagrams[:-1])


@settings(max_examples=60, deadline=None)
@given(length=st.integers(300, 6000), limit=st.integers(200, 1500), smaller=st.integers(120, 1500))
def test_a_second_cut_has_more_pieces(length, limit, smaller):
    cipher = make_cipher(*CIPHERS[0])
    letter = Letter(FRAME, 35, bytes(length), cipher)
    before = letter.sealed(limit)
    if len(before) < length:
        after = letter.recut(smaller, before)
        assert len(after) > len(before)
        assert all(len(one) <= smaller for one in after)
        assert opened(cipher, after) == letter.inside


def test_without_a_limit_there_is_one_piece():
    cipher = make_cipher(*CIPHERS[0])
    (datagram,) = Letter(FRAME, 35, bytes(20_000), cipher).sealed(0)
    assert opened(cipher, (datagram,)) == bytes(20_000)


@pytest.mark.parametrize(
    ("local", "natt", "octets", "smallest"), [("192.0.2.1", False, 28, 576), ("192.0.2.1", True, 32, 576),
                                              ("2001:db8::1", False, 48, 1280), ("2001:db8::1", True, 52, 1280)]
)  # fmt: skip
def test_what_a_datagram_may_have_is_what_the_packet_leaves(local, natt, octets, smallest):
    end = Endpoint(ip_address(local), 500)
    sa = SimpleNamespace(path=Path(end, end, natt), fragment_size=1400)
    assert sealing.limit(sa) == 1400 - octets
    assert sealing.smallest_limit(sa) == smallest - octets
    sa.fragment_size = 0
    assert sealing.limit(sa) == 0


class Peer:
    """As much of an IKE SA as a shelf looks at."""

    def __init__(self):
        self.counted = []
        self.ctx = SimpleNamespace(count=self.counted.append)


def put(shelf, peer, key, number, octets, total=64):
    if shelf.get(key) is None:
        shelf.begin(peer, key, 1, total, 0.0)
    shelf.keep(peer, key, SKF(0, number, total, b""), FRAME, bytes(octets), b"")


def test_a_budget_is_kept_by_letting_the_oldest_go():
    timers, peer = Timers(), Peer()
    shelf = Shelf(10_000, timers)
    for key in range(20):
        put(shelf, peer, key, 1, 1800)
        assert shelf.held <= 10_000
    assert len(shelf) == 5
    assert peer.counted == ["fragments-evicted"] * 15
    assert shelf.get(14) is None and shelf.get(15) is not None
    # Empty pieces are not free either.
    for number in range(2, 64):
        put(shelf, peer, 19, number, 0)
        assert shelf.held <= 10_000
    for key in range(20):
        shelf.drop(key)
    assert len(shelf) == shelf.held == len(timers) == 0


def test_a_message_that_outgrows_the_budget_alone_goes_too():
    timers, peer = Timers(), Peer()
    shelf = Shelf(1000, timers)
    put(shelf, peer, 1, 1, 900)
    assert len(shelf) == shelf.held == len(timers) == 0
