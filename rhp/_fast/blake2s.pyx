"""BLAKE2s with a key (RFC 7693)."""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

cdef enum:
    BLOCK = 64
    DIGEST_MAX = 32
    ROUNDS = 10

cdef extern from * nogil:
    """
    static const unsigned int blake2s_iv[8] = {
        0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u,
    };
    static const unsigned char blake2s_sigma[10][16] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
        {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
        {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
        {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
        {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
        {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
        {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
        {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
        {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
        {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    };
    """
    const uint32_t[8] blake2s_iv
    const uint8_t[10][16] blake2s_sigma

cdef extern from "endian.h" nogil:
    uint32_t le32 "htole32" (uint32_t value)


cdef inline uint32_t rotate(uint32_t value, int count) noexcept nogil:
    return (value >> count) | (value << (32 - count))


cdef inline void mix(uint32_t* v, int a, int b, int c, int d, uint32_t x, uint32_t y) noexcept nogil:
    v[a] += v[b] + x
    v[d] = rotate(v[d] ^ v[a], 16)
    v[c] += v[d]
    v[b] = rotate(v[b] ^ v[c], 12)
    v[a] += v[b] + y
    v[d] = rotate(v[d] ^ v[a], 8)
    v[c] += v[d]
    v[b] = rotate(v[b] ^ v[c], 7)


cdef void compress(uint32_t* state, const uint8_t* block, uint32_t counted, bint last) noexcept nogil:
    cdef uint32_t v[16]
    cdef uint32_t m[16]
    cdef const uint8_t* s
    cdef int i
    memcpy(m, block, BLOCK)
    for i in range(16):
        m[i] = le32(m[i])
    for i in range(8):
        v[i] = state[i]
        v[i + 8] = blake2s_iv[i]
    # Nothing here is longer than 2^32 octets, so the counter's high word stays zero.
    v[12] ^= counted
    if last:
        v[14] = ~v[14]
    for i in range(ROUNDS):
        s = blake2s_sigma[i]
        mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]])
        mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]])
        mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]])
        mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]])
        mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]])
        mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]])
        mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]])
        mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]])
    for i in range(8):
        state[i] ^= v[i] ^ v[i + 8]


cdef void blake2s_key(blake2s_t* keyed, const uint8_t* key, size_t len, size_t out_len) noexcept nogil:
    cdef uint8_t block[BLOCK]
    cdef int i
    for i in range(8):
        keyed.state[i] = blake2s_iv[i]
    keyed.state[0] ^= 0x01010000U ^ <uint32_t>(len << 8) ^ <uint32_t>out_len
    keyed.out_len = <uint32_t>out_len
    memset(block, 0, BLOCK)
    memcpy(block, key, len)
    compress(keyed.state, block, BLOCK, False)


cdef void blake2s_digest(const blake2s_t* keyed, const uint8_t* data, size_t len, uint8_t* out) noexcept nogil:
    cdef uint32_t state[8]
    cdef uint8_t block[BLOCK]
    cdef uint32_t counted = BLOCK
    cdef int i
    memcpy(state, keyed.state, sizeof(state))
    while len > BLOCK:
        counted += BLOCK
        compress(state, data, counted, False)
        data += BLOCK
        len -= BLOCK
    memset(block, 0, BLOCK)
    memcpy(block, data, len)
    compress(state, block, counted + <uint32_t>len, True)
    for i in range(8):
        state[i] = le32(state[i])
    memcpy(out, state, keyed.out_len)


def digest(key: bytes, data: bytes, size: int) -> bytes:
    """For the tests, which hold it against Python's own."""
    cdef blake2s_t keyed
    cdef uint8_t out[DIGEST_MAX]
    if not 1 <= len(key) <= DIGEST_MAX or not 1 <= size <= DIGEST_MAX or not data:
        raise ValueError("the key and the digest have 1 to 32 octets, the data at least one")
    blake2s_key(&keyed, <const uint8_t*>PyBytes_AsString(key), len(key), size)
    blake2s_digest(&keyed, <const uint8_t*>PyBytes_AsString(data), len(data), out)
    return PyBytes_FromStringAndSize(<char*>out, size)
