"""A flood of first messages from addresses that are not the sender's, paced, in a process of its own.

    python -m rhp.lab.flood TARGET [--port 500] [--rate 50000] [--seconds 20] [--kind begin]

Every message is well-formed and new: its SPI, source port and source address (198.18.0.0/16, RFC 2544) are drawn
afresh. Of kind "begin" are IKE_SA_INIT requests, of kind "within" messages that claim to be of an IKE SA. It ends by
itself, at the latest after `MOST_SECONDS`, and then says in JSON how many were sent and in what time.
"""

import argparse
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Sequence

from rhp.crypto.proposal import parse_ike_proposal
from rhp.lab.mmsg import Messages
from rhp.wire.iana import ExchangeType
from rhp.wire.ke import KE
from rhp.wire.message import Message, build_message
from rhp.wire.nonce import Nonce
from rhp.wire.sa import SA
from rhp.wire.sk import SK

MOST_SECONDS = 60.0
PROPOSAL = "aes128gcm16-prfsha256-x25519"
X25519 = 31
NATT_PORT = 4500

_BATCH = 128
_TICK = 0.0005
_UDP = 17
_IP_HEADER = struct.Struct("!BBHHHBBH4s4s")
_UDP_HEADER = struct.Struct("!HHHH")
_SOURCE_NET = bytes((198, 18, 0, 0))
# Where in a packet stand the last two octets of its source, its source port and the UDP payload.
_AT_SOURCE = 14
_AT_PORT = 20
_AT_PAYLOAD = 28
_MARKER = bytes(4)


def first_message() -> bytes:
    """An IKE_SA_INIT request such as rhp's own, without the notifies that a flood does not need."""
    proposal = parse_ike_proposal(PROPOSAL).to_wire(1)
    payloads = (SA((proposal,)), KE(X25519, os.urandom(32)), Nonce(os.urandom(32)))
    return build_message(Message(os.urandom(8), bytes(8), ExchangeType.IKE_SA_INIT, True, False, 0, payloads))


def message_within() -> bytes:
    """A request of an IKE SA that nobody has."""
    return build_message(
        Message(os.urandom(8), os.urandom(8), ExchangeType.INFORMATIONAL, True, False, 1, (SK(0, os.urandom(36)),))
    )


KINDS = {"begin": (first_message, 0), "within": (message_within, 8)}
"""How each kind is made, and which SPI is drawn afresh: its offset in the message."""


class Flood:
    """`_BATCH` packets, changed before each time they are sent."""

    def __init__(self, target: str, port: int, kind: str) -> None:
        make, spi = KINDS[kind]
        marker = _MARKER if port == NATT_PORT else b""
        payload = marker + make()
        length = _UDP_HEADER.size + len(payload)
        there = socket.inet_aton(target)
        # The kernel fills in the length, the identification and the checksum of the IP header; UDP needs none.
        head = _IP_HEADER.pack(0x45, 0, 0, 0, 0, 64, _UDP, 0, _SOURCE_NET, there) + _UDP_HEADER.pack(
            500, port, length, 0
        )
        packet = head + payload
        self._spi = _AT_PAYLOAD + len(marker) + spi
        self._messages = Messages(_BATCH, len(packet), apart=True)
        self._messages.octets[:] = packet * _BATCH
        self._messages.address(struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", 0, there))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, count: int) -> int:
        """Send `count` new ones, at most `_BATCH`; how many went."""
        octets, size, spi = self._messages.octets, self._messages.size, self._spi
        chance = os.urandom(12 * count)
        for index in range(count):
            at, drawn = index * size, index * 12
            octets[at + _AT_SOURCE : at + _AT_SOURCE + 2] = chance[drawn : drawn + 2]
            octets[at + _AT_PORT : at + _AT_PORT + 2] = chance[drawn + 2 : drawn + 4]
            octets[at + spi : at + spi + 8] = chance[drawn + 4 : drawn + 12]
        return self._messages.send(self._socket.fileno(), count)


def pour(flood: Flood, rate: float, seconds: float) -> tuple[int, float]:
    """Send `rate` a second for `seconds`; how many went, and the time that it took."""
    sent = 0
    began = now = time.monotonic()
    while (passed := now - began) < seconds:
        due = min(int(rate * passed) - sent, _BATCH)
        if due > 0:
            sent += flood.send(due)
        # A sender that is behind does not rest.
        if due < _BATCH:
            time.sleep(_TICK)
        now = time.monotonic()
    return sent, now - began


def main(arguments: Sequence[str] | None = None) -> int:
    """Pour, and say what was sent."""
    parser = argparse.ArgumentParser(prog="python -m rhp.lab.flood", description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--port", type=int, default=500)
    parser.add_argument("--rate", type=float, default=50_000.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--kind", choices=sorted(KINDS), default="begin")
    options = parser.parse_args(arguments)
    flood = Flood(options.target, options.port, options.kind)
    print("pouring", flush=True)
    sent, took = pour(flood, options.rate, min(options.seconds, MOST_SECONDS))
    print(json.dumps({"sent": sent, "seconds": round(took, 3)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
