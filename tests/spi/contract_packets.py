"""Packets and peers of the contract's tests."""

import socket
import struct

from planes import ANY4, BROADCAST, Selector, mac

from rhp._fast import dataplane
from rhp.spi.reference.plane import ReferencePlane
from rhp.spi.reference.proxy import checksum

MAKERS = {"fast": dataplane.DataPlane, "reference": ReferencePlane}
NEAR, FAR = "10.1.0.1", "10.2.0.1"
WRONG = ("drop-dummy-packet", "drop-etherip-header", "drop-datagram-short")
FAR_NET = Selector("10.2.0.0", "10.2.0.255")


def ip4(source, destination, body=b"payload", protocol=253):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
    head += socket.inet_aton(source) + socket.inet_aton(destination)
    return head[:10] + checksum(head).to_bytes(2) + head[12:] + body


def arp(asker_mac, asker, target):
    body = b"\0\1\x08\0\6\4\0\1" + asker_mac + socket.inet_aton(asker) + bytes(6) + socket.inet_aton(target)
    return BROADCAST + asker_mac + b"\x08\x06" + body


def tunnel(rig, remote=FAR_NET):
    return rig.peer("ip", pseudo_mac=mac(0x77), local_ts=[ANY4], remote_ts=[remote])
