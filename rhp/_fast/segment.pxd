"""Cutting a super-frame into the packets that the kernel would have sent, in place.

No payload is copied. The headers of segment k are written right in front of its payload, over the tail of payload k-1;
the octets that stood there are kept and put back, so that the super-frame is whole again afterwards and can go out a
second time (flooding). The caller may also write SEGMENT_FRONT octets in front of the headers (EtherIP).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from rhp._fast.parcel cimport parcel_t

cdef enum:
    SEGMENT_FRONT = 2
    # Ethernet with two tags, IPv4 or IPv6, TCP with options, and 130 octets of IPv6 extension headers, enough for a
    # segment routing header of seven hops. A super-frame with longer headers is refused.
    SEGMENT_HEADERS_MAX = 256

ctypedef struct segments_t:
    parcel_t parcel
    uint32_t headers                # Octets of all headers.
    uint32_t count                  # Segments in all; 1 for a plain frame.
    uint32_t index                  # The next one.
    # The module's own: what was read once, and what a segment covers.
    uint64_t network_sum            # Of IPv4's header without total length and identification.
    uint64_t transport_sum          # Of pseudo-header and transport header, without all that a segment changes.
    uint32_t transport
    uint32_t sequence
    uint16_t id
    uint8_t version
    uint8_t flags
    bint udp
    bint routed                     # The pseudo-header's destination stands in a routing header (RFC 8200 section 8.1).
    uint8_t template[SEGMENT_HEADERS_MAX]
    uint8_t kept[SEGMENT_HEADERS_MAX + SEGMENT_FRONT]

# Gets ready. 0, or -DROP_SUPER_FRAME when the headers are not what the kind says. A plain frame gets its checksum
# finished and counts as one segment. `parcel` is copied.
cdef int segments_begin(segments_t* cut, const parcel_t* parcel) noexcept nogil
# The next segment, complete with headers and checksums: where its first octet stands and its length; NULL at the end.
# The first octet is the Ethernet header's, or the IP header's when `parcel.network` is 0.
cdef uint8_t* segments_next(segments_t* cut, uint32_t* len) noexcept nogil
# Puts back what the segment that `segments_next` gave has covered. Once for each segment, before the next.
cdef void segments_restore(segments_t* cut) noexcept nogil
