"""Asking the path how long a packet may be (RFC 1191, RFC 8201).

Packets that carry something are never marked "don't fragment", so none is lost to a router whose ICMP is not heard.
Now and then a dummy packet (next header 59, RFC 4303 section 2.6) asks in their place: as long as the interface allows,
and not to be fragmented. Where it is too long a router answers with ICMP, which the control plane hears.

To any other peer a dummy packet says nothing. Ours holds a question at its front, and a peer that is a node of this
kind answers with a short one, so that silence has a meaning as well, where ICMP is filtered (RFC 8899):
    0..7 the octets "rhp path"   8: 1 = question, 2 = answer   9..11 zero   12..15 octets of the question, SPI to ICV
"""

from libc.stdint cimport uint8_t, uint32_t

from rhp._fast.lane cimport lane_t
from rhp._fast.sadb cimport sa_lane_t

# Sends an ESP packet of at most `octets` octets, from SPI to ICV, at once and on its own.
cdef void path_probe(lane_t* lane, sa_lane_t* view, uint32_t octets) noexcept nogil
# A dummy packet came: whether it was about the path and is done with. A question is answered, within measure; an answer
# is an event.
cdef bint path_hear(lane_t* lane, sa_lane_t* view, const uint8_t* payload, size_t len) noexcept nogil
