"""ESP suites by OpenSSL EVP: the default crypto provider.

Each state keeps its contexts keyed for the SA's life; a packet costs the IV, one update and the tag. Only this module
calls libcrypto, so that a static one is there once and no `EVP_*` pointer crosses a module boundary.
"""

from rhp._fast.sa cimport esp_key_t, esp_ops_t

# The operations for a filled key's suite; NULL for a suite that is not offered.
cdef const esp_ops_t* evp_ops(const esp_key_t* key) noexcept nogil

# A fresh private and public value of a MODP group, `width` octets each; 0, or -1 when OpenSSL fails.
cdef int modp_generate(int group, int width, unsigned char* private, unsigned char* public) noexcept nogil
# The shared secret in `out`; 0, -1 when OpenSSL fails, -2 when the peer's value is out of range.
cdef int modp_agree(
    int group, int width, const unsigned char* private, int private_len, const unsigned char* public,
    unsigned char* out,
) noexcept nogil

# HMAC with the hash whose digest has `size` octets: 20 is SHA-1, 32, 48 and 64 are SHA-2. 0, or -1 when OpenSSL fails.
cdef int hmac_once(
    size_t size, const unsigned char* key, size_t key_len, const unsigned char* data, size_t data_len,
    unsigned char* out,
) noexcept nogil
# prf+ over that HMAC (RFC 7296 section 2.13): `length` octets, 255 times `size` at most. 0 or -1.
cdef int hmac_chain(
    size_t size, const unsigned char* key, size_t key_len, const unsigned char* seed, size_t seed_len,
    unsigned char* out, size_t length,
) noexcept nogil
