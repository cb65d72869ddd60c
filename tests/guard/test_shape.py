"""What AUTH covers is told from everything else that somebody might want a signature for."""

import struct

import pytest
from guard_octets import SPI_I, SPI_R, covered, init
from hypothesis import given
from hypothesis import strategies as st

from rhp.crypto.algorithms import PRFS
from rhp.guard import shape


@pytest.mark.parametrize("prf", PRFS, ids=lambda prf: prf.name)
@pytest.mark.parametrize("exchanges", [0, 1, 16])
def test_what_auth_covers_is_taken(prf, exchanges):
    for octets in (
        covered(init(), prf, exchanges),
        covered(init(spi_r=SPI_R, flags=0x20), prf, exchanges),
        covered(init((41, 33, 34, 40, 41, 41, 43)), prf, exchanges),
        covered(init(), prf, exchanges, nonce=bytes(16)),
        covered(init(), prf, exchanges, nonce=bytes(256)),
    ):
        assert shape.fault(octets, prf.id) is None
        assert shape.fault(octets) is None


def test_the_numbers_of_the_functions_are_those_that_exist():
    assert {prf.id: prf.output_bytes for prf in PRFS} == shape.PRF_OCTETS


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"please sign this letter",
        bytes(64) + b"TLS 1.3, server CertificateVerify\0" + bytes(32),
        b"\x30\x82\x01\x0a" + bytes(300),
        covered(init(exchange=35)),
        covered(init(version=0x10)),
        covered(init(message_id=1)),
        covered(init(flags=0x28)),
        covered(init(flags=0x00)),
        covered(init(spi_r=SPI_R)),
        covered(init(flags=0x20)),
        covered(init((33, 34))),
        covered(init((33, 34, 40, 46))) + b"x" * 400,
        covered(init())[:-40],
        covered(init(), PRFS[3], nonce=bytes(15)),
        init(),
        covered(init())[:60],
    ],
)
def test_anything_else_is_not(octets):
    assert shape.fault(octets) is not None
    assert shape.fault(octets, 5) is not None


def test_a_payload_without_end_is_not_followed():
    endless = (
        struct.pack("!8s8sBBBBII", SPI_I, bytes(8), 33, 0x20, 34, 8, 0, 28 + 4 * 600)
        + struct.pack("!BBH", 33, 0, 4) * 600
    )
    assert "lacks" in shape.fault(endless + bytes(64))


@given(st.binary(max_size=400))
def test_no_octets_break_it(octets):
    shape.fault(octets)
    shape.fault(covered(init())[:80] + octets, 5)
