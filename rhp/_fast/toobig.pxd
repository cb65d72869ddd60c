"""Answering a frame that is too long for the path: ICMP "fragmentation needed" (RFC 1191) and ICMPv6 "packet too big"
(RFC 4443 section 3.2), so that its sender makes smaller ones.

The answer comes from the address that the sender spoke to, and from its MAC. A hub has no address of its own, and this
one is surely reachable, allowed on that link and no surprise to a filter against spoofed sources; Linux answers for its
own tunnels in the same way. Whoever cannot be told gets no answer, and the frame travels in fragments: IPv4 without
DF, whose sender did not ask; groups; errors themselves and later fragments (RFC 1122 section 3.2.2, RFC 4443
section 2.4); senders without an address of their own; IPv6 that needs no more than 1280 octets (RFC 8200 section 5).
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from rhp._fast.frame cimport frame_t
from rhp._fast.rate cimport rate_t

cdef enum:
    TOOBIG_MAX = 22 + 1280          # Octets of the longest answer: two VLAN tags and the least MTU of IPv6.

# Writes the answer to a frame of which `limit` octets, Ethernet header included, would have fitted to `out` (room:
# TOOBIG_MAX). Its length; 0 when its sender cannot be told; -DROP_TOO_BIG when it was told often enough for now.
cdef int toobig_answer(
    const uint8_t* data, size_t len, const frame_t* frame, uint32_t limit, rate_t* rate, uint64_t now_ms, uint8_t* out,
) noexcept nogil
