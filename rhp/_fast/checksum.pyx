"""The Internet checksum.

Sums are made of 32-bit words in the machine's own byte order and folded and swapped once at the end, which comes to the
same (RFC 1071 section 2 (B)). Long data goes through vectors where the processor has them: NEON always on ARM, AVX2 on
x86 when `__builtin_cpu_supports` says so at import; no build flag decides.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from rhp._fast.octets cimport be16, load_be16, store_be16, swap16

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    /* Each takes `blocks` blocks of 64 octets, at any address, and returns the sum of their 32-bit words. */
    typedef uint64_t (*rhp_blocks_sum)(const uint8_t *data, size_t blocks);

    static uint64_t rhp_sum_generic(const uint8_t *data, size_t blocks) {
        uint64_t low = 0, high = 0, word;
        for (size_t left = blocks * 8; left; left--, data += 8) {
            memcpy(&word, data, 8);
            low += (uint32_t)word;
            high += word >> 32;
        }
        return low + high;
    }

    #if defined(__x86_64__)
    #include <immintrin.h>
    /* Four sums of 64 bits take the even 32-bit words, four others the odd ones, so that no carry is ever lost. */
    __attribute__((target("avx2")))
    static uint64_t rhp_sum_vector(const uint8_t *data, size_t blocks) {
        const __m256i mask = _mm256_set1_epi64x(0xffffffff);
        __m256i even = _mm256_setzero_si256(), odd = even;
        for (; blocks; blocks--, data += 64) {
            __m256i a = _mm256_loadu_si256((const __m256i *)data);
            __m256i b = _mm256_loadu_si256((const __m256i *)(data + 32));
            even = _mm256_add_epi64(even, _mm256_add_epi64(_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)));
            odd = _mm256_add_epi64(odd, _mm256_add_epi64(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)));
        }
        even = _mm256_add_epi64(even, odd);
        __m128i half = _mm_add_epi64(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
        return (uint64_t)_mm_cvtsi128_si64(half) + (uint64_t)_mm_extract_epi64(half, 1);
    }
    #define RHP_VECTOR "avx2"
    #define RHP_HAS_VECTOR() (__builtin_cpu_init(), __builtin_cpu_supports("avx2"))
    #elif defined(__aarch64__)
    #include <arm_neon.h>
    /* Adds neighbouring 32-bit words to sums of 64 bits. */
    static uint64_t rhp_sum_vector(const uint8_t *data, size_t blocks) {
        uint64x2_t sums[4] = {vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0)};
        for (; blocks; blocks--)
            for (int part = 0; part < 4; part++, data += 16)
                sums[part] = vpadalq_u32(sums[part], vreinterpretq_u32_u8(vld1q_u8(data)));
        return vaddvq_u64(vaddq_u64(vaddq_u64(sums[0], sums[1]), vaddq_u64(sums[2], sums[3])));
    }
    #define RHP_VECTOR "neon"
    #define RHP_HAS_VECTOR() 1
    #else
    #define rhp_sum_vector rhp_sum_generic
    #define RHP_VECTOR ""
    #define RHP_HAS_VECTOR() 0
    #endif
    """
    ctypedef uint64_t (*blocks_sum_t "rhp_blocks_sum")(const uint8_t* data, size_t blocks) noexcept nogil
    uint64_t sum_generic "rhp_sum_generic" (const uint8_t* data, size_t blocks) noexcept nogil
    uint64_t sum_vector "rhp_sum_vector" (const uint8_t* data, size_t blocks) noexcept nogil
    const char* VECTOR "RHP_VECTOR"
    bint has_vector "RHP_HAS_VECTOR" ()

cdef extern from "string.h" nogil:
    void* memcpy(void* target, const void* source, size_t size)

cdef enum:
    BLOCK = 64

cdef blocks_sum_t blocks_sum = sum_vector if has_vector() else sum_generic


cdef uint64_t words_sum(blocks_sum_t blocks_of, const uint8_t* data, size_t len) noexcept nogil:
    """The sum of all 32-bit words in the machine's order; a rest that fills none is padded with zeros."""
    cdef uint64_t total = 0
    cdef uint32_t word
    if len >= BLOCK:
        total = blocks_of(data, len // BLOCK)
        data += len & ~(<size_t>BLOCK - 1)
        len &= BLOCK - 1
    while len >= 4:
        memcpy(&word, data, 4)
        total += word
        data += 4
        len -= 4
    word = 0
    memcpy(&word, data, len)
    return total + word


cdef uint64_t network_sum(uint64_t total) noexcept nogil:
    """A sum of words in the machine's order, folded to 16 bits and put into the network's order."""
    total = (total & 0xffffffffU) + (total >> 32)
    total = (total & 0xffff) + ((total >> 16) & 0xffff) + (total >> 32)
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    return be16(<uint16_t>total)


cdef uint64_t checksum_add(const uint8_t* data, size_t len, uint64_t total) noexcept nogil:
    return total + network_sum(words_sum(blocks_sum, data, len))


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


def ways() -> tuple[str, ...]:
    """How this machine can sum; the last is in use."""
    return ("generic", VECTOR.decode("ascii")) if has_vector() else ("generic",)


def checksum(bytes data, str way=None) -> int:
    """The checksum of `data` as it goes on the wire (RFC 1071), summed in the way in use or in one of `ways`."""
    cdef blocks_sum_t blocks_of = blocks_sum
    if way is not None:
        if way not in ways():
            raise ValueError(f"no way to sum here is called {way}")
        blocks_of = sum_generic if way == "generic" else sum_vector
    return checksum_finish(network_sum(words_sum(blocks_of, <const uint8_t*><const char*>data, len(data))))
