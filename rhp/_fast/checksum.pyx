"""The Internet checksum."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from rhp._fast.octets cimport load_be16, load_be32, store_be16, swap16


cdef uint64_t checksum_add(const uint8_t* data, size_t len, uint64_t total) noexcept nogil:
    cdef size_t index = 0
    # Folding is linear, so 32-bit words may be summed and folded to 16 bits at the end.
    while index + 4 <= len:
        total += load_be32(data + index)
        index += 4
    if index + 2 <= len:
        total += load_be16(data + index)
        index += 2
    if index < len:
        total += <uint64_t>data[index] << 8
    return total


cdef uint16_t checksum_finish(uint64_t total) noexcept nogil:
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return <uint16_t>(~total & 0xffff)


cdef uint64_t checksum_pseudo6(const uint8_t* addresses, uint32_t length, uint8_t protocol) noexcept nogil:
    return checksum_add(addresses, 32, <uint64_t>length + protocol)


cdef void checksum_replace(uint8_t* field, uint16_t before, uint16_t after, bint odd) noexcept nogil:
    cdef uint32_t total
    if odd:
        before = swap16(before)
        after = swap16(after)
    # RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
    total = (~load_be16(field) & 0xffff) + (~before & 0xffff) + after
    store_be16(field, checksum_finish(total))


def checksum(bytes data) -> int:
    """The checksum of `data` as it goes on the wire (RFC 1071)."""
    return checksum_finish(checksum_add(<const uint8_t*><const char*>data, len(data), 0))
