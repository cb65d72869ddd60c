"""ESP packets (RFC 4303): seal and open, one context for each direction, SA and lane.

A context is used by one thread. Nothing is allocated per packet and no Python object is touched. `esp_open` runs
replay check -> authenticate and decrypt -> commit, so that a forged packet never moves the window.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from rhp._fast.sa cimport esp_key_t

cdef enum:
    ESP_HEADER_LEN = 8              # SPI and the low half of the sequence number.
    ESP_TAIL_ROOM = 32              # Writable octets that `esp_seal` needs behind the payload.

cdef struct esp_ctx
ctypedef esp_ctx esp_ctx_t

# NULL when the suite is unknown or OpenSSL fails in any way. The key is copied; the caller wipes its own.
cdef esp_ctx_t* esp_ctx_new(const esp_key_t* key, bint inbound) noexcept nogil
# Wipes and frees; NULL is allowed.
cdef void esp_ctx_free(esp_ctx_t* ctx) noexcept nogil

# The length of the whole ESP packet, header to ICV, or -DROP_ESP_OVERSIZED.
cdef int esp_sealed_len(const esp_ctx_t* ctx, size_t payload_len) noexcept nogil
# The longest payload whose ESP packet fits `room` octets; 0 when none does.
cdef size_t esp_payload_fit(const esp_ctx_t* ctx, size_t room) noexcept nogil

# Seals `len` octets of payload into `out` (room: esp_sealed_len) and returns the packet's length, or -reason.
# The trailer is written to the ESP_TAIL_ROOM octets behind the payload, and what stood there is put back: it may be the
# next segment of a super-frame. `out` must not overlap the payload or its tail.
# `seq` is never used twice for one key, neither here nor in another lane: take it from esp_sequence_take.
cdef int esp_seal(
    esp_ctx_t* ctx, uint64_t seq, uint8_t next_header, uint8_t* payload, size_t len, uint8_t* out,
) noexcept nogil

# Opens a packet (SPI..ICV) of `len` octets into `out` (room: `len` octets), which must not overlap it, and returns the
# payload's length, or -reason. TFC padding behind an inner packet stays in the payload (the inner length tells).
# When authentication fails, `out` is zeroed up to the plaintext's length.
cdef int esp_open(
    esp_ctx_t* ctx, const uint8_t* packet, size_t len, uint8_t* out, uint8_t* next_header,
) noexcept nogil

# Inbound: the highest sequence number authenticated so far (64 bits with ESN).
cdef uint64_t esp_replay_top(const esp_ctx_t* ctx) noexcept nogil
