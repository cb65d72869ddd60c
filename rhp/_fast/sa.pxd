"""What one direction of an ESP SA is made of: suite, keys, SPI and the outbound sequence counter (RFC 4303, RFC 4301).

`esp_key_t` is plain C, copied by value into every context made from it. It holds key material: wipe each copy with
`esp_key_wipe`.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    ESP_ENCR_KEY_MAX = 40           # AES-256 with a salt of 4 octets is 36.
    ESP_INTEG_KEY_MAX = 64          # HMAC-SHA2-512-256.
    ESP_REPLAY_MIN = 32
    ESP_REPLAY_MAX = 4096

# IANA "Transform Type 1" and "Transform Type 3" numbers (RFC 7296 section 3.3.2).
cdef enum:
    ENCR_3DES = 3
    ENCR_AES_CBC = 12
    ENCR_AES_CTR = 13
    ENCR_AES_CCM_8 = 14
    ENCR_AES_CCM_12 = 15
    ENCR_AES_CCM_16 = 16
    ENCR_AES_GCM_8 = 18
    ENCR_AES_GCM_12 = 19
    ENCR_AES_GCM_16 = 20
    ENCR_CHACHA20_POLY1305 = 28
    INTEG_NONE = 0
    INTEG_HMAC_SHA1_96 = 2
    INTEG_HMAC_SHA2_256_128 = 12
    INTEG_HMAC_SHA2_384_192 = 13
    INTEG_HMAC_SHA2_512_256 = 14

ctypedef struct esp_key_t:
    uint32_t spi                    # Host order.
    uint32_t replay_window          # Packets, 32..4096; unused outbound.
    uint16_t encr_id
    uint16_t integ_id
    uint8_t encr_key[ESP_ENCR_KEY_MAX]      # As IKE derives it: key, then salt or nonce.
    uint8_t integ_key[ESP_INTEG_KEY_MAX]
    uint8_t encr_key_len            # Octets, salt included.
    uint8_t integ_key_len
    uint8_t salt_len
    uint8_t iv_len
    uint8_t icv_len
    uint8_t block_len               # The padding unit: the cipher's block, at least 4.
    uint8_t esn

# Fills a key from IANA numbers and raw key material. 0, or -1 when suite, a length or the window is not usable;
# the key is wiped then.
cdef int esp_key_fill(
    esp_key_t* key, int encr_id, const uint8_t* encr_key, size_t encr_key_len,
    int integ_id, const uint8_t* integ_key, size_t integ_key_len,
    uint32_t spi, bint esn, uint32_t replay_window,
) noexcept nogil
cdef void esp_key_wipe(esp_key_t* key) noexcept nogil


# What a crypto provider gives for one suite. OpenSSL EVP is the default (`evp_ops`); another may stand beside it and
# the packet's way stays. A state belongs to one direction and one thread.
ctypedef struct esp_ops_t:
    # NULL on any failure. The key is copied.
    void* (*create)(const esp_key_t* key, bint inbound) noexcept nogil
    # Wipes and frees.
    void (*destroy)(void* state) noexcept nogil
    # Reads `length` octets of payload with trailer; writes IV, ciphertext and ICV behind the ESP header, which already
    # stands in `packet`. 0 or -reason.
    int (*seal)(
        void* state, uint64_t seq, const uint8_t* plain, size_t length, uint8_t* packet,
    ) noexcept nogil
    # Authenticates `packet` with `length` octets of ciphertext under the full sequence number, and decrypts into `out`.
    # 0 or -reason; `out` is zeroed when authentication fails after decryption began.
    int (*open)(
        void* state, uint64_t seq, const uint8_t* packet, size_t length, uint8_t* out,
    ) noexcept nogil


# The outbound counter of one SA, shared by every lane that seals with it.
ctypedef struct esp_sequence_t:
    uint64_t next                   # The next number to hand out; only touched atomically.
    uint64_t last                   # The last number that may be used: 2^32 - 1, or near 2^64 with ESN.

cdef void esp_sequence_init(esp_sequence_t* sequence, bint esn) noexcept nogil
# Takes `count` consecutive numbers and returns the first, or 0 when the SA is exhausted (drop: sequence-exhausted).
cdef uint64_t esp_sequence_take(esp_sequence_t* sequence, uint32_t count) noexcept nogil
