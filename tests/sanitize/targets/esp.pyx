"""ESP as it arrives: any octets, and packets sealed with the right keys of which a few octets were changed."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from rhp._fast.esp cimport (
    ESP_TAIL_ROOM, esp_ctx_free, esp_ctx_new, esp_ctx_t, esp_open, esp_payload_fit, esp_replay_top, esp_seal,
    esp_sealed_len,
)
from rhp._fast.sa cimport *
from targets.source cimport check, source_t, take, take8, take16

cdef enum:
    SUITES = 8
    SPI = 0x12345678
    WINDOW = 64

cdef struct suite_t:
    int encr
    size_t encr_len
    int integ
    size_t integ_len

# Every shape of IV, block, ICV and salt.
cdef suite_t suites[SUITES]
suites[0] = suite_t(ENCR_AES_GCM_16, 20, INTEG_NONE, 0)
suites[1] = suite_t(ENCR_AES_GCM_8, 36, INTEG_NONE, 0)
suites[2] = suite_t(ENCR_CHACHA20_POLY1305, 36, INTEG_NONE, 0)
suites[3] = suite_t(ENCR_AES_CCM_12, 19, INTEG_NONE, 0)
suites[4] = suite_t(ENCR_AES_CBC, 16, INTEG_HMAC_SHA2_256_128, 32)
suites[5] = suite_t(ENCR_AES_CTR, 20, INTEG_HMAC_SHA1_96, 20)
suites[6] = suite_t(ENCR_3DES, 24, INTEG_HMAC_SHA1_96, 20)
suites[7] = suite_t(ENCR_AES_CBC, 32, INTEG_HMAC_SHA2_512_256, 64)


cdef void make_key(esp_key_t* key, const suite_t* suite, bint esn, int secret) noexcept nogil:
    cdef uint8_t octets[64]
    cdef int index
    for index in range(64):
        octets[index] = <uint8_t>(index * 11 + secret)
    check(
        esp_key_fill(
            key, suite.encr, octets, suite.encr_len, suite.integ, octets, suite.integ_len, SPI, esn, WINDOW,
        ) == 0,
        b"a suite's key",
    )


cdef int sealed(esp_ctx_t* ctx, uint64_t seq, uint8_t next_header, const uint8_t* payload, size_t len,
                uint8_t** packet) noexcept nogil:
    """Seals a copy that is just as long as it must be, and sees that what stands behind it stays."""
    cdef uint8_t* room = <uint8_t*>malloc(len + ESP_TAIL_ROOM)
    cdef uint8_t tail[ESP_TAIL_ROOM]
    cdef int total = esp_sealed_len(ctx, len)
    memcpy(room, payload, len)
    memset(tail, 0xa7, ESP_TAIL_ROOM)
    memcpy(room + len, tail, ESP_TAIL_ROOM)
    packet[0] = <uint8_t*>malloc(total)
    check(esp_payload_fit(ctx, total) >= len, b"a payload fits its packet")
    check(esp_seal(ctx, seq, next_header, room, len, packet[0]) == total, b"a packet's length")
    check(memcmp(room + len, tail, ESP_TAIL_ROOM) == 0, b"what stands behind the payload")
    check(memcmp(room, payload, len) == 0, b"the payload stays")
    free(room)
    return total


cdef bint opens(esp_ctx_t* ctx, const uint8_t* packet, size_t len, uint8_t next_header, const uint8_t* payload,
                int payload_len) noexcept nogil:
    """Whether it is taken; what is taken must be what was sealed. A refused packet leaves the window where it was."""
    cdef uint8_t* exact = <uint8_t*>malloc(len)
    cdef uint8_t* out = <uint8_t*>malloc(len)
    cdef uint8_t header = 0
    cdef uint64_t top = esp_replay_top(ctx)
    cdef int size
    memcpy(exact, packet, len)
    size = esp_open(ctx, exact, len, out, &header)
    if size >= 0:
        check(size == payload_len and header == next_header, b"what was opened is what was sealed")
        check(memcmp(out, payload, size) == 0, b"the payload that was opened")
    else:
        check(esp_replay_top(ctx) == top, b"a forged packet moves no window")
    free(exact)
    free(out)
    return size >= 0


cdef void try_packet(esp_ctx_t* sealer, esp_ctx_t* opener, source_t* source) noexcept nogil:
    """One packet changed and cut, then as it was, then once more."""
    cdef uint64_t seq = 1 + take8(source)
    cdef uint8_t next_header = take8(source)
    cdef uint8_t changes = take8(source)
    cdef int cut = take8(source)
    cdef uint16_t place
    cdef uint8_t by
    cdef size_t payload_len = take16(source) % 300
    cdef uint8_t* payload = <uint8_t*>malloc(payload_len)
    cdef uint8_t* packet = NULL
    cdef uint8_t* forged
    cdef int len
    take(source, payload, payload_len)
    len = sealed(sealer, seq, next_header, payload, payload_len, &packet)
    forged = <uint8_t*>malloc(len)
    memcpy(forged, packet, len)
    for _ in range(changes & 3):
        place = take16(source)
        by = take8(source)
        forged[place % len] ^= by
    cut %= len + 1
    if memcmp(forged, packet, len) or cut:
        check(not opens(opener, forged, len - cut, next_header, payload, -1), b"a forged packet is refused")
    check(opens(opener, packet, len, next_header, payload, <int>payload_len), b"an honest packet is taken")
    check(not opens(opener, packet, len, next_header, payload, <int>payload_len), b"a replayed packet is refused")
    free(forged)
    free(packet)
    free(payload)


cdef int fuzz(const uint8_t* data, size_t size) noexcept nogil:
    cdef source_t source
    cdef esp_key_t key
    cdef esp_ctx_t* sealer
    cdef esp_ctx_t* opener
    cdef uint8_t shape
    source.data = data
    source.left = size
    shape = take8(&source)
    # libFuzzer learns whole packets from comparisons, so that noise needs a key with which none was ever sealed.
    make_key(&key, &suites[shape % SUITES], (shape & 64) != 0, shape >> 7)
    opener = esp_ctx_new(&key, True)
    if shape & 128:
        check(not opens(opener, source.data, source.left, 0, NULL, -1), b"noise is refused")
    else:
        sealer = esp_ctx_new(&key, False)
        try_packet(sealer, opener, &source)
        esp_ctx_free(sealer)
    esp_ctx_free(opener)
    return 0


entry = <uintptr_t>fuzz
