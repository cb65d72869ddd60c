"""BLAKE2s with a key (RFC 7693), for what has to be checked before anything is known of a sender.

`out_len` is 1 to 32 octets. The key's own block is worked in once, so a digest of a few octets takes one more block.
"""

from libc.stdint cimport uint8_t, uint32_t

ctypedef struct blake2s_t:
    uint32_t state[8]
    uint32_t out_len

# `len` is 1 to 32.
cdef void blake2s_key(blake2s_t* keyed, const uint8_t* key, size_t len, size_t out_len) noexcept nogil
# The digest of `data`, which has at least one octet, goes to `out`; `keyed` can be used again.
cdef void blake2s_digest(const blake2s_t* keyed, const uint8_t* data, size_t len, uint8_t* out) noexcept nogil
