"""ESP suites by OpenSSL EVP: the default crypto provider.

Each state keeps its contexts keyed for the SA's life; a packet costs the IV, one update and the tag. Only this module
and `dh` call libcrypto, so that no `EVP_*` pointer crosses a module boundary.
"""

from rhp._fast.sa cimport esp_key_t, esp_ops_t

# The operations for a filled key's suite; NULL for a suite that is not offered.
cdef const esp_ops_t* evp_ops(const esp_key_t* key) noexcept nogil
