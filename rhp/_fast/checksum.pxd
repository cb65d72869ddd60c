"""The Internet checksum (RFC 1071): whole sums, and the change of one field (RFC 1624)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

# Adds `len` octets, taken as big-endian words (an odd last octet is padded with zero), to a running sum.
cdef uint64_t checksum_add(const uint8_t* data, size_t len, uint64_t total) noexcept nogil
# The 16 bits that go on the wire; 0xffff or 0 both mean "adds up" when a received field was part of the sum.
cdef uint16_t checksum_finish(uint64_t total) noexcept nogil
# The pseudo-header of IPv6 (RFC 8200 section 8.1) from the 32 octets of both addresses.
cdef uint64_t checksum_pseudo6(const uint8_t* addresses, uint32_t length, uint8_t protocol) noexcept nogil
# Corrects the checksum at `field` after a 16-bit value changed; `odd` when the value stood at an odd offset of the sum.
cdef void checksum_replace(uint8_t* field, uint16_t before, uint16_t after, bint odd) noexcept nogil
