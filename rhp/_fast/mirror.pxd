"""Copies of what the tunnels carry, for `rhp capture`: off, or the first octets of every frame of one port or of all.

A frame is copied where it leaves a tunnel and where it is about to enter one, as an Ethernet frame and whole: a
super-frame is one record. The ring is the lane's own; what finds it full is counted and lost to the capture, never to
the network. While nobody captures it costs one comparison a frame, and the ring's memory is never touched.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from rhp._fast.events cimport ring_t

cdef enum:
    MIRROR_EVERY_PORT = 0           # The TAP's number: it is no tunnel.
    MIRROR_LONGEST = 65550          # A frame of 64 KB with its header.
    MIRROR_OUTWARD = 1U << 31       # In an event's number: the frame enters a tunnel.

ctypedef struct mirror_t:
    uint64_t octets                 # Kept of a frame; 0: nobody captures. This and the next are set by the control
    uint64_t port                   # thread and read with relaxed loads.
    uint64_t lost
    ring_t ring

# `data` is an Ethernet frame. Call it where `mirror.octets` is not 0.
cdef void mirror_copy(
    mirror_t* mirror, int port, bint outward, const uint8_t* data, uint32_t len, uint64_t now,
) noexcept nogil
