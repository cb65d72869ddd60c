"""Why a packet was dropped: one number for each reason, used as the index of its counter.

A function of the packet's path returns a length or `-reason`. Numbers are internal to one build; the names behind
`drop_name` are what a person and a metric see, and they stay.
"""

cdef enum drop_t:
    DROP_NONE = 0
    # ESP, either direction.
    DROP_ESP_CRYPTO_FAILED          # OpenSSL refused to work; nothing was sent or accepted.
    DROP_LIFETIME_OVER              # This SA has carried all the octets or packets that it may.
    # ESP outbound.
    DROP_SEQUENCE_EXHAUSTED         # The counter of this SA is used up (RFC 4303 section 3.3.3), or its packets are.
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
    # Frames and the hub.
    DROP_FRAME_RUNT                 # Shorter than an Ethernet header.
    DROP_FRAME_OVERSIZED            # Longer than a slot; it was cut by the read.
    DROP_HUB_SAME_PORT              # The destination lives where the frame came from.
    DROP_HUB_ISOLATED               # The two peers are kept apart.
    DROP_FLOOD_LIMIT                # Its sender has flooded more than its share.
    DROP_HUB_SPOOFED_MAC            # The source is a static MAC of another port.
    # Outbound, between hub and wire.
    DROP_NO_OUTBOUND_SA             # The port has no active outbound SA.
    DROP_NOT_IP                     # Only IPv4 and IPv6 enter a tunnel-mode SA.
    DROP_SELECTOR_OUT               # Outside the traffic selectors (RFC 4301 section 5.1).
    DROP_NO_SOCKET                  # No socket of the path's family and encapsulation.
    DROP_SEND_FULL                  # The socket or the interface below has no room.
    DROP_SEND_TOO_BIG               # Larger than the path's MTU.
    DROP_SEND_UNREACHABLE           # No route, or an ICMP error of the past.
    DROP_SEND_FAILED                # Any other error of the send call.
    # Inbound, between wire and hub.
    DROP_SOCKET_FULL                # By the kernel, as it says itself: the socket had no room, or a checksum was wrong.
    DROP_DATAGRAM_SHORT             # Too short for an SPI.
    DROP_DATAGRAM_TRUNCATED         # Longer than a slot.
    DROP_RAW_IP_HEADER              # A raw packet whose outer IPv4 header does not add up.
    DROP_UNKNOWN_SPI                # No such inbound SA.
    DROP_FOREIGN_LANE               # The SPI belongs to another lane.
    DROP_WRONG_NEXT_HEADER          # Not what this SA's mode carries.
    DROP_OVERTAKEN                  # In-order delivery: it came when a later one had gone on.
    DROP_HELD_RETIRED               # In-order delivery: its SA was retired while it waited.
    DROP_DUMMY_PACKET               # Next header 59: traffic-flow padding, discarded (RFC 4303 section 2.6).
    DROP_ETHERIP_HEADER             # Not version 3 with zero reserved bits (RFC 3378).
    DROP_INNER_IP_MALFORMED         # The inner IP header does not add up.
    DROP_SELECTOR_IN                # Outside the traffic selectors (RFC 4301 section 5.2).
    # TAP.
    DROP_TAP_FULL                   # The interface's queue has no room.
    DROP_TAP_DOWN                   # The interface is down.
    DROP_TAP_LOST                   # The interface is gone, or there is none in this lane.
    DROP_TAP_FAILED                 # Any other error of the write call.
    DROP_TAP_HEADER                 # What the interface says of a frame and the frame itself do not agree.
    DROP_SUPER_FRAME                # A super-frame that cannot be cut into packets.
    # The path's MTU.
    DROP_TOO_BIG                    # Too long for the path; its sender was told by ICMP, now or a moment ago.
    # Control plane.
    DROP_EVENT_FULL                 # The control plane is slow; the event is lost.
    DROP_COUNT

# A static kebab-case name; "unknown" for a number outside the table.
cdef const char* drop_name(int reason) noexcept nogil
