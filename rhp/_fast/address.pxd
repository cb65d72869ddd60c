"""Addresses between text, C and socket structures. The functions with `object` need the GIL."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from linux_socket cimport sockaddr_in6, socklen_t

from rhp._fast.packet cimport address_t

# One end of an outer path.
ctypedef struct endpoint_t:
    address_t address               # IPv4 as ::ffff:a.b.c.d.
    uint32_t scope                  # The interface of a link-local IPv6 address, else 0.
    uint16_t port                   # Host order; 0 for raw protocol 50.
    uint8_t version                 # 4 or 6.

# An inner address: no scope. ValueError.
cdef int address_parse(object text, address_t* address) except -1
cdef object address_text(address_t address)
# An outer address, "%interface" or "%index" allowed. ValueError.
cdef int endpoint_parse(object text, int port, endpoint_t* endpoint) except -1
cdef object endpoint_text(const endpoint_t* endpoint)
# The 4 or 16 octets of an address go to `octets`.
cdef void address_store(address_t address, uint8_t* octets) noexcept nogil
# Socket addresses; sockaddr_in6 is large enough for sockaddr_in. Port 0 is written when `with_port` is false.
cdef socklen_t endpoint_to_socket(const endpoint_t* endpoint, bint with_port, sockaddr_in6* address) noexcept nogil
cdef void endpoint_from_socket(const sockaddr_in6* address, endpoint_t* endpoint) noexcept nogil
