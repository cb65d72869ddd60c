"""The TCP maximum segment size of passing SYNs, lowered so that full segments fit the tunnel (RFC 9293 3.7.1)."""

from libc.stdint cimport uint8_t, uint16_t

from rhp._fast.frame cimport frame_t

# Lowers the MSS option of a TCP SYN to `limit` (IPv4) or `limit - 20` (IPv6) in place and corrects the checksum.
# An `unfinished` checksum covers the pseudo-header only and stays. True when the frame was changed; anything that does
# not add up is left alone.
cdef bint mss_clamp(uint8_t* data, size_t len, const frame_t* frame, uint16_t limit, bint unfinished) noexcept nogil
