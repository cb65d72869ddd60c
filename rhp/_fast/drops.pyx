"""The names of all drop reasons."""

from rhp._fast.drops cimport *

cdef const char* NAMES[DROP_COUNT]

NAMES[<int>DROP_NONE] = b"none"
NAMES[<int>DROP_ESP_CRYPTO_FAILED] = b"esp-crypto-failed"
NAMES[<int>DROP_LIFETIME_OVER] = b"lifetime-over"
NAMES[<int>DROP_SEQUENCE_EXHAUSTED] = b"sequence-exhausted"
NAMES[<int>DROP_ESP_OVERSIZED] = b"esp-oversized"
NAMES[<int>DROP_ESP_TRUNCATED] = b"esp-truncated"
NAMES[<int>DROP_ESP_WRONG_SPI] = b"esp-wrong-spi"
NAMES[<int>DROP_ESP_MISALIGNED] = b"esp-misaligned"
NAMES[<int>DROP_ESP_ZERO_SEQUENCE] = b"esp-zero-sequence"
NAMES[<int>DROP_ESP_REPLAYED] = b"esp-replayed"
NAMES[<int>DROP_ESP_TOO_OLD] = b"esp-too-old"
NAMES[<int>DROP_ESP_BAD_ICV] = b"esp-bad-icv"
NAMES[<int>DROP_ESP_BAD_PADDING] = b"esp-bad-padding"
NAMES[<int>DROP_FRAME_RUNT] = b"frame-runt"
NAMES[<int>DROP_FRAME_OVERSIZED] = b"frame-oversized"
NAMES[<int>DROP_HUB_SAME_PORT] = b"hub-same-port"
NAMES[<int>DROP_HUB_ISOLATED] = b"hub-isolated"
NAMES[<int>DROP_FLOOD_LIMIT] = b"flood-limit"
NAMES[<int>DROP_HUB_SPOOFED_MAC] = b"hub-spoofed-mac"
NAMES[<int>DROP_NO_OUTBOUND_SA] = b"no-outbound-sa"
NAMES[<int>DROP_NOT_IP] = b"not-ip"
NAMES[<int>DROP_SELECTOR_OUT] = b"selector-mismatch-out"
NAMES[<int>DROP_NO_SOCKET] = b"no-socket"
NAMES[<int>DROP_SEND_FULL] = b"send-full"
NAMES[<int>DROP_SEND_TOO_BIG] = b"send-too-big"
NAMES[<int>DROP_SEND_UNREACHABLE] = b"send-unreachable"
NAMES[<int>DROP_SEND_FAILED] = b"send-failed"
NAMES[<int>DROP_SOCKET_FULL] = b"socket-full"
NAMES[<int>DROP_DATAGRAM_SHORT] = b"datagram-short"
NAMES[<int>DROP_DATAGRAM_TRUNCATED] = b"datagram-truncated"
NAMES[<int>DROP_RAW_IP_HEADER] = b"raw-ip-header"
NAMES[<int>DROP_UNKNOWN_SPI] = b"unknown-spi"
NAMES[<int>DROP_FOREIGN_LANE] = b"foreign-lane"
NAMES[<int>DROP_WRONG_NEXT_HEADER] = b"wrong-next-header"
NAMES[<int>DROP_OVERTAKEN] = b"overtaken"
NAMES[<int>DROP_HELD_RETIRED] = b"held-retired"
NAMES[<int>DROP_DUMMY_PACKET] = b"dummy-packet"
NAMES[<int>DROP_ETHERIP_HEADER] = b"etherip-header"
NAMES[<int>DROP_INNER_IP_MALFORMED] = b"inner-ip-malformed"
NAMES[<int>DROP_SELECTOR_IN] = b"selector-mismatch-in"
NAMES[<int>DROP_TAP_FULL] = b"tap-full"
NAMES[<int>DROP_TAP_DOWN] = b"tap-down"
NAMES[<int>DROP_TAP_LOST] = b"tap-lost"
NAMES[<int>DROP_TAP_FAILED] = b"tap-failed"
NAMES[<int>DROP_TAP_HEADER] = b"tap-header"
NAMES[<int>DROP_SUPER_FRAME] = b"super-frame"
NAMES[<int>DROP_TOO_BIG] = b"too-big"
NAMES[<int>DROP_EVENT_FULL] = b"event-full"


cdef int check_names() except -1:
    cdef int index
    for index in range(<int>DROP_COUNT):
        if NAMES[index] == NULL:
            raise SystemError(f"drop reason {index} has no name")
    return 0


check_names()


cdef const char* drop_name(int reason) noexcept nogil:
    if reason < 0 or reason >= DROP_COUNT:
        return b"unknown"
    return NAMES[reason]


def names() -> tuple[str, ...]:
    """Every drop reason's name, at the index of its counter; index 0 is "none"."""
    cdef int index
    return tuple([NAMES[index].decode("ascii") for index in range(<int>DROP_COUNT)])
