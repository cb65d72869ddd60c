"""ESP packets (RFC 4303).

    0        4        8       8+iv                               -icv
    | SPI    | seq    | IV    | payload | pad | pad len | next   | ICV |

The crypto of a suite stands behind `esp_ops_t`; here are the framing, the padding, the bounds and the replay window.
The padding's content is not checked: what is authenticated was written by the peer (RFC 4303 section 2.4: a SHOULD).
"""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from rhp._fast.drops cimport *
from rhp._fast.evp cimport evp_ops
from rhp._fast.replay cimport *
from rhp._fast.sa cimport ESP_REPLAY_MAX, ESP_REPLAY_MIN, esp_key_fill, esp_key_t, esp_key_wipe, esp_ops_t

cdef extern from "<endian.h>" nogil:
    uint32_t htobe32(uint32_t)
    uint32_t be32toh(uint32_t)

cdef enum:
    TRAILER_LEN = 2                 # Pad length and next header.
    PACKET_MAX = 65535              # What an IP packet can carry at most; keeps every length far inside an int.

cdef struct esp_ctx:
    const esp_ops_t* ops
    void* state
    uint64_t last_seq               # The last sequence number this SA may use.
    uint32_t spi
    uint32_t overhead               # Header, IV, trailer and ICV, without padding.
    uint32_t iv_len
    uint32_t icv_len
    uint32_t block_len
    bint esn
    bint inbound
    replay_t replay                 # Last, because it is as long as its window asks.


cdef void esp_ctx_free(esp_ctx_t* ctx) noexcept nogil:
    if ctx == NULL:
        return
    if ctx.state != NULL:
        ctx.ops.destroy(ctx.state)
    free(ctx)


cdef esp_ctx_t* esp_ctx_new(const esp_key_t* key, bint inbound) noexcept nogil:
    # A gateway has thousands of these: what is sent needs no window, and most windows are narrow.
    cdef size_t window = replay_size(key.replay_window if inbound else 0)
    cdef esp_ctx_t* ctx
    if key.replay_window > ESP_REPLAY_MAX:
        return NULL
    ctx = <esp_ctx_t*>calloc(1, sizeof(esp_ctx_t) - sizeof(replay_t) + window)
    if ctx == NULL:
        return NULL
    ctx.ops = evp_ops(key)
    if ctx.ops == NULL or (inbound and replay_init(&ctx.replay, key.replay_window)):
        esp_ctx_free(ctx)
        return NULL
    ctx.spi = key.spi
    ctx.iv_len = key.iv_len
    ctx.icv_len = key.icv_len
    ctx.block_len = key.block_len
    ctx.overhead = ESP_HEADER_LEN + key.iv_len + TRAILER_LEN + key.icv_len
    ctx.esn = key.esn
    ctx.inbound = inbound
    ctx.last_seq = <uint64_t>0xFFFFFFFFFFFFFFFF if key.esn else 0xFFFFFFFF
    ctx.state = ctx.ops.create(key, inbound)
    if ctx.state == NULL:
        esp_ctx_free(ctx)
        return NULL
    return ctx


cdef inline size_t padding(const esp_ctx_t* ctx, size_t payload_len) noexcept nogil:
    # Blocks are powers of two.
    return (-(payload_len + TRAILER_LEN)) & (ctx.block_len - 1)


cdef int esp_sealed_len(const esp_ctx_t* ctx, size_t payload_len) noexcept nogil:
    cdef size_t total
    if payload_len > PACKET_MAX:
        return -DROP_ESP_OVERSIZED
    total = payload_len + padding(ctx, payload_len) + ctx.overhead
    return <int>total if total <= PACKET_MAX else -DROP_ESP_OVERSIZED


cdef size_t esp_payload_fit(const esp_ctx_t* ctx, size_t room) noexcept nogil:
    cdef size_t fixed = ctx.overhead - TRAILER_LEN
    cdef size_t body
    if room > PACKET_MAX:
        room = PACKET_MAX
    if room < fixed + ctx.block_len:
        return 0
    body = (room - fixed) & ~(<size_t>ctx.block_len - 1)
    return body - TRAILER_LEN


cdef int esp_seal(
    esp_ctx_t* ctx, uint64_t seq, uint8_t next_header, uint8_t* payload, size_t len, uint8_t* out,
) noexcept nogil:
    cdef int total = esp_sealed_len(ctx, len)
    cdef size_t pad = padding(ctx, len)
    cdef size_t index
    cdef uint32_t header[2]
    cdef uint8_t kept[ESP_TAIL_ROOM]
    cdef int reason
    if seq == 0 or seq > ctx.last_seq:
        return -DROP_SEQUENCE_EXHAUSTED
    if total < 0:
        return total
    if ctx.inbound:
        return -DROP_ESP_CRYPTO_FAILED
    memcpy(kept, payload + len, ESP_TAIL_ROOM)
    for index in range(pad):
        payload[len + index] = <uint8_t>(index + 1)
    payload[len + pad] = <uint8_t>pad
    payload[len + pad + 1] = next_header
    header[0] = htobe32(ctx.spi)
    header[1] = htobe32(<uint32_t>seq)
    memcpy(out, header, ESP_HEADER_LEN)
    reason = ctx.ops.seal(ctx.state, seq, payload, len + pad + TRAILER_LEN, out)
    memcpy(payload + len, kept, ESP_TAIL_ROOM)
    return total if reason == 0 else reason


cdef int esp_open(
    esp_ctx_t* ctx, const uint8_t* packet, size_t len, uint8_t* out, uint8_t* next_header,
) noexcept nogil:
    cdef uint32_t header[2]
    cdef uint64_t seq
    cdef size_t body, pad
    cdef int reason
    if len > PACKET_MAX:
        return -DROP_ESP_OVERSIZED
    if len < ctx.overhead:
        return -DROP_ESP_TRUNCATED
    memcpy(header, packet, ESP_HEADER_LEN)
    if be32toh(header[0]) != ctx.spi:
        return -DROP_ESP_WRONG_SPI
    body = len - ctx.overhead + TRAILER_LEN
    # A cipher without blocks needs no alignment to be opened; RFC 4303's 4 octets bind the sender.
    if ctx.block_len > 4 and body & (ctx.block_len - 1):
        return -DROP_ESP_MISALIGNED
    if not ctx.inbound:
        return -DROP_ESP_CRYPTO_FAILED
    seq = be32toh(header[1])
    if ctx.esn:
        seq = replay_infer(&ctx.replay, <uint32_t>seq)
        if seq == 0 and header[1]:
            return -DROP_ESP_TOO_OLD
    reason = replay_check(&ctx.replay, seq)
    if reason == 0:
        reason = ctx.ops.open(ctx.state, seq, packet, body, out)
    if reason:
        return reason
    replay_commit(&ctx.replay, seq)
    pad = out[body - 2]
    if pad + TRAILER_LEN > body:
        return -DROP_ESP_BAD_PADDING
    next_header[0] = out[body - 1]
    return <int>(body - TRAILER_LEN - pad)


cdef uint64_t esp_replay_top(const esp_ctx_t* ctx) noexcept nogil:
    return ctx.replay.top


class EspDropped(Exception):
    """A packet was not sealed or not accepted; `reason` is the drop reason's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


cdef object dropped(int code):
    return EspDropped(drop_name(-code).decode("ascii"))


cdef esp_ctx_t* context(
    int encr_id, bytes encr_key, int integ_id, bytes integ_key, uint32_t spi, bint esn, uint32_t window, bint inbound,
) except NULL:
    cdef esp_key_t key
    cdef esp_ctx_t* ctx
    if esp_key_fill(
        &key, encr_id, <const uint8_t*>PyBytes_AsString(encr_key), len(encr_key),
        integ_id, <const uint8_t*>PyBytes_AsString(integ_key), len(integ_key), spi, esn, window,
    ):
        raise ValueError("unusable suite, key length, SPI or replay window")
    ctx = esp_ctx_new(&key, inbound)
    esp_key_wipe(&key)
    if ctx == NULL:
        raise ValueError("OpenSSL does not offer this suite")
    return ctx


cdef class EspSealer:
    """One outbound direction of an SA, for tests and tools."""

    cdef esp_ctx_t* _ctx

    def __cinit__(
        self, encr_id: int, encr_key: bytes, integ_id: int, integ_key: bytes, spi: int, esn: bool,
    ) -> None:
        self._ctx = context(encr_id, encr_key, integ_id, integ_key, spi, esn, ESP_REPLAY_MIN, False)

    def __dealloc__(self):
        esp_ctx_free(self._ctx)

    def sealed_length(self, payload_length: int) -> int:
        """The length of the ESP packet, header to ICV."""
        cdef int total = esp_sealed_len(self._ctx, payload_length)
        if total < 0:
            raise dropped(total)
        return total

    def payload_fit(self, room: int) -> int:
        """The longest payload whose packet fits `room` octets; 0 when none does."""
        return esp_payload_fit(self._ctx, room)

    def seal(self, seq: int, next_header: int, payload: bytes) -> bytes:
        """The ESP packet of `payload`."""
        cdef uint64_t number = seq
        cdef uint8_t header = next_header
        cdef size_t length = len(payload)
        cdef int total = esp_sealed_len(self._ctx, length)
        cdef uint8_t* buffer
        if total < 0:
            raise dropped(total)
        buffer = <uint8_t*>malloc(length + ESP_TAIL_ROOM + total)
        if buffer == NULL:
            raise MemoryError
        try:
            memcpy(buffer, PyBytes_AsString(payload), length)
            total = esp_seal(self._ctx, number, header, buffer, length, buffer + length + ESP_TAIL_ROOM)
            if total < 0:
                raise dropped(total)
            return PyBytes_FromStringAndSize(<char*>(buffer + length + ESP_TAIL_ROOM), total)
        finally:
            free(buffer)


cdef class EspOpener:
    """One inbound direction of an SA with its replay window, for tests and tools."""

    cdef esp_ctx_t* _ctx

    def __cinit__(
        self, encr_id: int, encr_key: bytes, integ_id: int, integ_key: bytes, spi: int, esn: bool, replay_window: int,
        *, top: int = 0,
    ) -> None:
        cdef uint64_t start = top
        if start > (<uint64_t>0xFFFFFFFFFFFFFFFF if esn else 0xFFFFFFFF):
            raise ValueError("without extended sequence numbers the window's top has 32 bits")
        self._ctx = context(encr_id, encr_key, integ_id, integ_key, spi, esn, replay_window, True)
        self._ctx.replay.top = start

    def __dealloc__(self):
        esp_ctx_free(self._ctx)

    @property
    def replay_top(self) -> int:
        """The highest sequence number authenticated so far."""
        return esp_replay_top(self._ctx)

    def open(self, packet: bytes) -> tuple[int, bytes]:
        """The next header and the payload of `packet`."""
        cdef size_t length = len(packet)
        cdef uint8_t next_header = 0
        cdef int payload
        cdef uint8_t* buffer = <uint8_t*>malloc(length + 1)
        if buffer == NULL:
            raise MemoryError
        try:
            payload = esp_open(self._ctx, <const uint8_t*>PyBytes_AsString(packet), length, buffer, &next_header)
            if payload < 0:
                raise dropped(payload)
            return next_header, PyBytes_FromStringAndSize(<char*>buffer, payload)
        finally:
            free(buffer)
