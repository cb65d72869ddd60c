"""Peers that begin and never go on."""

import os
import socket
import threading
from contextlib import closing, contextmanager

from rhp.crypto import keyexchange
from rhp.crypto.grammar import parse_ike_proposal
from rhp.wire.iana import ExchangeType
from rhp.wire.ke import KE
from rhp.wire.message import Message, build_message
from rhp.wire.nonce import Nonce
from rhp.wire.sa import SA

PROPOSAL = parse_ike_proposal("aes128gcm16-prfsha256-x25519")


def first_message():
    """An IKE_SA_INIT request that any peer of ours would answer, with an SPI of its own."""
    method = PROPOSAL.key_exchanges[0]
    payloads = SA((PROPOSAL.to_wire(1, b""),)), KE(method, keyexchange.start(method).public), Nonce(os.urandom(32))
    return build_message(Message(os.urandom(8), bytes(8), ExchangeType.IKE_SA_INIT, True, False, 0, payloads))


def knock(namespace, address, count):
    """Begin `count` handshakes from one port of a namespace."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(namespace.socket(family, socket.SOCK_DGRAM)) as sender:
        for _ in range(count):
            sender.sendto(first_message(), (address, 500))


@contextmanager
def crowd(namespace, address, rate):
    """Begin `rate` handshakes a second for as long as the block lasts."""
    gone = threading.Event()
    pause = 0.05

    def come():
        while not gone.wait(pause):
            knock(namespace, address, int(rate * pause))

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield
    finally:
        gone.set()
        thread.join()
