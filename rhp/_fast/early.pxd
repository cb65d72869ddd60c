"""What this host asked before there was anybody to ask: its last few ARP and ND frames and the like.

A host that finds no answer asks again a second later, which is long for somebody who waits for a tunnel. So as long as
a lane has no peer at all, it remembers such frames, and repeats those of the last second when there is one.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from rhp._fast.parcel cimport parcel_t

cdef enum:
    EARLY_FRAMES = 8
    EARLY_OCTETS = 128              # Longer ones do not ask for an address.
    EARLY_MS = 1000
    EARLY_ROOM = 64                 # In front and behind, as in every slot.

ctypedef struct early_frame_t:
    uint64_t at_ms
    uint32_t len                    # 0: there is none.
    uint8_t room[EARLY_ROOM + EARLY_OCTETS + EARLY_ROOM]

ctypedef struct early_t:
    unsigned int next               # Where the next one goes, in place of the oldest.
    bint due                        # Somebody came.
    early_frame_t frames[EARLY_FRAMES]

cdef void early_keep(early_t* early, const parcel_t* parcel, uint64_t now_ms) noexcept nogil
# Forgets one that is kept, and describes it if it is young enough; False when there is none any more.
cdef bint early_take(early_t* early, uint64_t now_ms, parcel_t* parcel) noexcept nogil
