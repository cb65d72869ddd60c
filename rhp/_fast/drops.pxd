"""Why a packet was dropped: one number for each reason, used as the index of its counter.

A function of the packet's path returns a length or `-reason`. Numbers are internal to one build; the names behind
`drop_name` are what a person and a metric see, and they stay.
"""

cdef enum drop_t:
    DROP_NONE = 0
    # ESP, either direction.
    DROP_ESP_CRYPTO_FAILED          # OpenSSL refused to work; nothing was sent or accepted.
    # ESP outbound.
    DROP_SEQUENCE_EXHAUSTED         # The counter of this SA is used up (RFC 4303 section 3.3.3).
    DROP_ESP_OVERSIZED              # The payload does not fit one ESP packet.
    # ESP inbound.
    DROP_ESP_TRUNCATED              # Shorter than header, IV, trailer and ICV of the suite.
    DROP_ESP_WRONG_SPI              # The packet belongs to another SA than the one it was given to.
    DROP_ESP_MISALIGNED             # The ciphertext is no multiple of the cipher's block.
    DROP_ESP_ZERO_SEQUENCE          # Sequence number zero is never sent (RFC 4303 section 2.2).
    DROP_ESP_REPLAYED               # Seen before, inside the replay window.
    DROP_ESP_TOO_OLD                # Left of the replay window.
    DROP_ESP_BAD_ICV                # Authentication failed.
    DROP_ESP_BAD_PADDING            # The pad length points in front of the payload.
    DROP_COUNT

# A static kebab-case name; "unknown" for a number outside the table.
cdef const char* drop_name(int reason) noexcept nogil
