"""Octets as an AUTH payload covers them, without a handshake."""

import struct

from rhp.crypto.algorithms import PRFS
from rhp.crypto.auth import auth_octets, int_auth, int_auth_chunk
from rhp.crypto.secret import Secret

SPI_I, SPI_R = b"initiate", b"responds"
NONCE = bytes(range(32))


def init(kinds=(33, 34, 40), *, spi_r=bytes(8), version=0x20, exchange=34, flags=0x08, message_id=0):
    """An IKE_SA_INIT message as far as its frame goes."""
    body = b"".join(struct.pack("!BBH", following, 0, 12) + bytes(8) for following in (*kinds[1:], 0))
    head = struct.pack("!8s8sBBBBII", SPI_I, spi_r, kinds[0], version, exchange, flags, message_id, 28 + len(body))
    return head + body


def covered(message, prf=PRFS[0], exchanges=0, nonce=NONCE):
    secret = Secret(b"k" * prf.output_bytes)
    said = b""
    if exchanges:
        said = int_auth(*(int_auth_chunk(prf, secret, b"", side) for side in (b"i", b"r")), exchanges + 1)
    return auth_octets(message, nonce, prf, secret, b"\2\0\0\0a.example.org", said)
