"""The filter: what passes, and that the kernel takes it."""

import socket
import struct

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment

from rhp.capture.bpf import attach, program

PORTS = {500, 4500}


def run(words, packet):
    """A classic BPF machine for the few instructions in use, as linux/filter.h has them: does the packet pass?"""
    steps = [struct.unpack_from("=HBBI", words, at) for at in range(0, len(words), 8)]
    kind = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    a = x = at = 0
    while True:
        code, true, false, k = steps[at]
        at += 1
        size = {0x20: 4, 0x28: 2, 0x30: 1, 0x48: 2}.get(code)
        if code == 0x06:
            return k != 0
        if code == 0x20 and k == 0xFFFFF000:
            a = kind
        elif size is not None:
            place = k + (x if code == 0x48 else 0)
            if place + size > len(packet):
                return False
            a = int.from_bytes(packet[place : place + size])
        elif code == 0xB1:
            x = (packet[k] & 15) * 4
        elif code == 0x05:
            at += k
        else:
            assert code in (0x15, 0x45)
            at += true if (a == k if code == 0x15 else a & k) else false


@pytest.mark.parametrize(
    ("packet", "passes"),
    [
        (IP() / UDP(sport=500, dport=9), True),
        (IP() / UDP(sport=9, dport=4500), True),
        (IP(options=b"\x01" * 8) / UDP(sport=9, dport=4500), True),
        (IP() / UDP(sport=9, dport=9), False),
        (IP() / TCP(sport=500, dport=500), False),
        (IP(proto=50) / b"abcdefgh", True),
        (IP(frag=8, proto=17) / b"abcdefgh", True),
        (IPv6() / UDP(sport=500, dport=9), True),
        (IPv6() / UDP(sport=9, dport=9), False),
        (IPv6(nh=50) / b"abcdefgh", True),
        (IPv6() / IPv6ExtHdrFragment(nh=17, offset=8) / b"abcdefgh", True),
        (IPv6() / TCP(sport=4500), False),
    ],
)
def test_what_passes(packet, passes):
    assert run(program(PORTS), bytes(packet)) is passes


@pytest.mark.parametrize("ports", [{500}, {500, 4500}, set(range(1, 9))])
def test_the_kernel_takes_it(ports):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        attach(any_socket, program(ports))
