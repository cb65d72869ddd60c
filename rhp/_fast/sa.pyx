"""ESP suites by their IANA numbers, the key block made from them, and the outbound sequence counter."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    /* A store the compiler may not drop, without needing libcrypto in this module. */
    static void rhp_wipe(void *data, size_t length) {
        volatile unsigned char *cursor = (volatile unsigned char *)data;
        while (length--) *cursor++ = 0;
    }
    static uint64_t rhp_fetch_add(uint64_t *value, uint64_t count) {
        return __atomic_fetch_add(value, count, __ATOMIC_RELAXED);
    }
    static uint64_t rhp_load(uint64_t *value) { return __atomic_load_n(value, __ATOMIC_RELAXED); }
    """
    void rhp_wipe(void* data, size_t length) noexcept nogil
    uint64_t rhp_fetch_add(uint64_t* value, uint64_t count) noexcept nogil
    uint64_t rhp_load(uint64_t* value) noexcept nogil


cdef void esp_key_wipe(esp_key_t* key) noexcept nogil:
    rhp_wipe(key, sizeof(esp_key_t))


cdef bint is_aes_key(size_t length) noexcept nogil:
    return length == 16 or length == 24 or length == 32


cdef int set_cipher(esp_key_t* key, size_t icv_len, size_t salt_len, size_t block_len) noexcept nogil:
    # Every suite but the CBC ones carries an explicit IV of 8 octets; AES-CBC's is one block.
    key.icv_len = <uint8_t>icv_len
    key.salt_len = <uint8_t>salt_len
    key.block_len = <uint8_t>block_len
    key.iv_len = 16 if block_len == 16 else 8
    return 0


cdef int fill_encryption(esp_key_t* key, int encr_id, size_t length) noexcept nogil:
    """Sets the cipher's sizes; -1 for an unknown cipher or a key of the wrong length. ICV 0 means a MAC is needed."""
    if encr_id == ENCR_3DES:
        return set_cipher(key, 0, 0, 8) if length == 24 else -1
    if encr_id == ENCR_AES_CBC:
        return set_cipher(key, 0, 0, 16) if is_aes_key(length) else -1
    if encr_id == ENCR_CHACHA20_POLY1305:
        return set_cipher(key, 16, 4, 4) if length == 36 else -1
    if ENCR_AES_CCM_8 <= encr_id <= ENCR_AES_CCM_16:
        # RFC 4309 section 7.1: a salt of 3 octets.
        return set_cipher(key, 8 + 4 * (encr_id - ENCR_AES_CCM_8), 3, 4) if is_aes_key(length - 3) else -1
    if ENCR_AES_GCM_8 <= encr_id <= ENCR_AES_GCM_16:
        # RFC 4106 section 8.1: a salt of 4 octets.
        return set_cipher(key, 8 + 4 * (encr_id - ENCR_AES_GCM_8), 4, 4) if is_aes_key(length - 4) else -1
    if encr_id == ENCR_AES_CTR:
        # RFC 3686 section 5.1: a nonce of 4 octets.
        return set_cipher(key, 0, 4, 4) if is_aes_key(length - 4) else -1
    return -1


cdef int fill_integrity(esp_key_t* key, int integ_id, size_t length) noexcept nogil:
    if key.icv_len:
        # A combined-mode cipher authenticates by itself; a MAC beside it is a mistake of the caller.
        return 0 if integ_id == INTEG_NONE and length == 0 else -1
    if integ_id == INTEG_HMAC_SHA1_96 and length == 20:
        key.icv_len = 12
    elif integ_id == INTEG_HMAC_SHA2_256_128 and length == 32:
        key.icv_len = 16
    elif integ_id == INTEG_HMAC_SHA2_384_192 and length == 48:
        key.icv_len = 24
    elif integ_id == INTEG_HMAC_SHA2_512_256 and length == 64:
        key.icv_len = 32
    else:
        # Encryption alone is not offered (RFC 8221 section 4).
        return -1
    return 0


cdef int esp_key_fill(
    esp_key_t* key, int encr_id, const uint8_t* encr_key, size_t encr_key_len,
    int integ_id, const uint8_t* integ_key, size_t integ_key_len,
    uint32_t spi, bint esn, uint32_t replay_window,
) noexcept nogil:
    memset(key, 0, sizeof(esp_key_t))
    if encr_key_len > ESP_ENCR_KEY_MAX or integ_key_len > ESP_INTEG_KEY_MAX:
        return -1
    if replay_window < ESP_REPLAY_MIN or replay_window > ESP_REPLAY_MAX:
        return -1
    # SPIs 1 to 255 are reserved and 0 stays on the host (RFC 4303 section 2.1).
    if spi < 256:
        return -1
    if fill_encryption(key, encr_id, encr_key_len) or fill_integrity(key, integ_id, integ_key_len):
        memset(key, 0, sizeof(esp_key_t))
        return -1
    memcpy(key.encr_key, encr_key, encr_key_len)
    if integ_key_len:
        memcpy(key.integ_key, integ_key, integ_key_len)
    key.encr_key_len = <uint8_t>encr_key_len
    key.integ_key_len = <uint8_t>integ_key_len
    key.encr_id = <uint16_t>encr_id
    key.integ_id = <uint16_t>integ_id
    key.spi = spi
    key.esn = esn
    key.replay_window = replay_window
    return 0


cdef void esp_sequence_init(esp_sequence_t* sequence, bint esn) noexcept nogil:
    sequence.next = 1
    # With ESN a margin of 2^48 below the top: takers that overshoot add at most 2^32 each, so the sum cannot wrap.
    sequence.last = <uint64_t>0xFFFFFFFFFFFFFFFF - (<uint64_t>1 << 48) if esn else 0xFFFFFFFF


cdef uint64_t esp_sequence_take(esp_sequence_t* sequence, uint32_t count) noexcept nogil:
    cdef uint64_t first
    if count == 0 or rhp_load(&sequence.next) > sequence.last:
        return 0
    first = rhp_fetch_add(&sequence.next, count)
    if first > sequence.last or sequence.last - first < count - 1:
        return 0
    return first


cdef class SequenceCounter:
    """The outbound counter of one SA, for tests and tools."""

    cdef esp_sequence_t _sequence

    def __cinit__(self, esn: bool, *, next: int = 1) -> None:
        esp_sequence_init(&self._sequence, esn)
        self._sequence.next = next

    @property
    def last(self) -> int:
        """The last number that is ever handed out."""
        return self._sequence.last

    def take(self, count: int) -> int:
        """The first of `count` consecutive numbers; 0 when the SA is exhausted."""
        return esp_sequence_take(&self._sequence, count)
