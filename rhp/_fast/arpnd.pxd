"""ARP (RFC 826, RFC 5227) and IPv6 neighbour discovery (RFC 4861): reading what passes, and answering for others.

Only untagged frames are looked at, because the neighbour table knows no VLANs. Everything that does not add up is
"nothing" here and is carried like any frame.
"""

from libc.stdint cimport uint8_t, uint64_t

from rhp._fast.frame cimport frame_t
from rhp._fast.packet cimport address_t

cdef enum discovery_kind_t:
    DISCOVERY_NONE = 0
    DISCOVERY_ARP_REQUEST
    DISCOVERY_ARP_REPLY
    DISCOVERY_SOLICITATION
    DISCOVERY_ADVERTISEMENT

cdef enum:
    DISCOVERY_ANSWER_MAX = 86       # Ethernet, IPv6 and a neighbour advertisement with one option.

ctypedef struct discovery_t:
    discovery_kind_t kind
    address_t target                # Who is asked for, or advertises.
    address_t sender
    bint known_sender               # `sender` lives at the frame's source MAC, so it may be learned.
    bint probe                      # The sender has no address yet (RFC 5227 section 2.1.1, RFC 4862 section 5.4).
    bint announcement               # Gratuitous: sender and target are the same.

cdef void discovery_read(
    const uint8_t* data, size_t len, const frame_t* frame, discovery_t* discovery,
) noexcept nogil
# Whether this is a question that somebody else may answer at all.
cdef bint discovery_is_question(const discovery_t* discovery) noexcept nogil
# Writes the answer "target is at mac" to `out` (room: DISCOVERY_ANSWER_MAX) and returns its length.
cdef size_t discovery_answer(
    const uint8_t* question, const frame_t* frame, const discovery_t* discovery, uint64_t mac, uint8_t* out,
) noexcept nogil
