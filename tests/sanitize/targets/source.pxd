"""The fuzzer's octets, taken one after the other; zeros follow their end. And what a target says of a fault."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport abort
from libc.string cimport memcpy, memset

ctypedef struct source_t:
    const uint8_t* data
    size_t left


cdef inline void take(source_t* source, uint8_t* out, size_t len) noexcept nogil:
    cdef size_t there = min(len, source.left)
    memcpy(out, source.data, there)
    memset(out + there, 0, len - there)
    source.data += there
    source.left -= there


cdef inline uint8_t take8(source_t* source) noexcept nogil:
    cdef uint8_t value
    take(source, &value, 1)
    return value


cdef inline uint16_t take16(source_t* source) noexcept nogil:
    cdef uint16_t value
    take(source, <uint8_t*>&value, 2)
    return value


cdef inline uint32_t take32(source_t* source) noexcept nogil:
    cdef uint32_t value
    take(source, <uint8_t*>&value, 4)
    return value


cdef inline void check(bint right, const char* what) noexcept nogil:
    """A finding, unless it is right."""
    if not right:
        fprintf(stderr, "broken: %s\n", what)
        abort()
