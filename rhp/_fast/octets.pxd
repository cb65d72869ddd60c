"""Big-endian loads and stores at any alignment. Inline only, so that every module compiles them into its own loops."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from * nogil:
    uint16_t swap16 "__builtin_bswap16" (uint16_t value)


cdef extern from "arpa/inet.h" nogil:
    uint16_t be16 "htons" (uint16_t value)
    uint32_t be32 "htonl" (uint32_t value)


cdef extern from "endian.h" nogil:
    uint64_t be64 "htobe64" (uint64_t value)


cdef inline uint16_t load_be16(const uint8_t* data) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, data, 2)
    return be16(value)


cdef inline uint32_t load_be32(const uint8_t* data) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, data, 4)
    return be32(value)


cdef inline uint64_t load_be64(const uint8_t* data) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, data, 8)
    return be64(value)


cdef inline uint64_t load_mac(const uint8_t* data) noexcept nogil:
    """Six octets as the low 48 bits, first octet highest."""
    return (<uint64_t>load_be16(data) << 32) | load_be32(data + 2)


cdef inline void store_be16(uint8_t* data, uint16_t value) noexcept nogil:
    value = be16(value)
    memcpy(data, &value, 2)


cdef inline void store_be32(uint8_t* data, uint32_t value) noexcept nogil:
    value = be32(value)
    memcpy(data, &value, 4)


cdef inline void store_be64(uint8_t* data, uint64_t value) noexcept nogil:
    value = be64(value)
    memcpy(data, &value, 8)


cdef inline void store_mac(uint8_t* data, uint64_t mac) noexcept nogil:
    store_be16(data, <uint16_t>(mac >> 32))
    store_be32(data + 2, <uint32_t>mac)
