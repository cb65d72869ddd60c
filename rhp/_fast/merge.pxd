"""Putting packets that just came out of ESP together to a super-frame, in place (what Linux calls GRO).

    cdef uint8_t* place = merge_place(merge)       # where ESP shall open the next packet to
    ... open it there, check EtherIP or selectors; on failure merge_cancel(merge)
    if merge_append(merge, frame): it lies behind what is there already, as one piece
    else: merge_part(merge)                        # keeps its first octets aside and puts back what they cover
          ship what merge_finish(merge) describes
          merge_join(merge)                        # the new packet is whole again where it was opened
          merge_begin(merge, frame) or ship it alone

The next packet is opened so that its payload lands right behind the last one's: to (end - headers - front), where its
headers cover the tail of the payload before, which is kept aside meanwhile. Merged is only what Linux's own GRO would
have merged, and only with a checksum that was verified, because merging writes it anew.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from rhp._fast.parcel cimport parcel_t

cdef enum:
    MERGE_KEPT_MAX = 256            # Octets kept aside: headers and what stands in front of them.
    MERGE_HEADERS_MAX = 122         # Ethernet with two tags, IPv6, TCP with all options.

ctypedef struct merge_t:
    uint8_t* room                   # MERGE_ROOM octets, and HEAD_ROOM of the lane in front.
    parcel_t parcel                 # The base; parcel.data is NULL without one.
    uint32_t front                  # Octets of what stands in front of a packet's frame: 2 for EtherIP, 0 for IP.
    uint32_t packets                # In the base.
    # What follows is the module's own. The packet opened last, and what it covers of the base:
    uint8_t* place
    uint32_t place_front
    uint32_t covered                # Octets from `place` whose other content is in `kept`.
    uint8_t kept[MERGE_KEPT_MAX]
    # The base:
    uint8_t first[MERGE_HEADERS_MAX]    # The first packet's headers; a short base has its own covered meanwhile.
    uint32_t headers                # Octets of all headers of each packet, without `front`.
    uint32_t sequence               # TCP: where the next segment starts.
    uint8_t protocol                # TCP or UDP.
    uint8_t flags                   # TCP: PSH and FIN of the last segment.
    bint fixed_id                   # IPv4: all have the same identification, which DF allows.
    bint verified                   # The first packet's checksum was found right.
    bint closed                     # Nothing may follow.

cdef enum:
    MERGE_ROOM = 3 * 65536          # A whole super-frame, behind it one packet of any length, and slack.

cdef void merge_init(merge_t* merge, uint8_t* room) noexcept nogil
# `front` as above; a base made with another one is in the way, so finish it first.
cdef uint8_t* merge_place(merge_t* merge, uint32_t front) noexcept nogil
cdef void merge_cancel(merge_t* merge) noexcept nogil
# The frame of the packet opened at `merge_place`: starts at place + front. `network` is 0 for an IP packet,
# FRAME_HEADER for a frame (tags are found here); anything else is never merged.
cdef bint merge_append(merge_t* merge, uint32_t len, uint16_t network, bint udp) noexcept nogil
cdef void merge_part(merge_t* merge) noexcept nogil
cdef void merge_join(merge_t* merge) noexcept nogil
# Takes the packet opened last as the base (moving it when it lies too far back). False when nothing can ever continue
# it: then it is shipped alone, from place + front, before the next merge_place.
cdef bint merge_begin(merge_t* merge, uint32_t len, uint16_t network, bint udp) noexcept nogil
# Completes the headers of the base (lengths, checksums, flags) and describes it; the merge has no base afterwards.
# A base of one packet comes out exactly as it came in.
cdef void merge_finish(merge_t* merge, parcel_t* parcel) noexcept nogil
