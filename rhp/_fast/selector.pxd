"""Traffic selectors (RFC 7296 section 3.13): what may pass a tunnel-mode SA, both ways (RFC 4301 section 5)."""

from libc.stdint cimport uint8_t, uint16_t

from rhp._fast.packet cimport address_t, packet_t

ctypedef struct selector_t:
    address_t start
    address_t end
    uint8_t version
    uint8_t protocol                # 0 = any.
    uint16_t first_port             # 0..65535 = any; first above last = OPAQUE, only packets without ports.
    uint16_t last_port

# One side of a Child SA. Plain memory owned by whoever made it.
ctypedef struct selectors_t:
    selector_t* items
    int count

# Whether source and destination of a packet each match one selector of their side.
cdef bint selectors_match(const selectors_t* source, const selectors_t* target, const packet_t* packet) noexcept nogil
# Whether a range is one single address, and whether it is all of its family.
cdef bint selector_is_host(const selector_t* selector) noexcept nogil
cdef bint selector_is_all(const selector_t* selector) noexcept nogil
# Fills `selectors` from (start, end, protocol, start_port, end_port) tuples; ValueError, MemoryError. Needs the GIL.
cdef int selectors_fill(selectors_t* selectors, object values) except -1
