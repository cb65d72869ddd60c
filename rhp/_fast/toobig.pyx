"""ICMP "fragmentation needed" and ICMPv6 "packet too big"."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from rhp._fast.checksum cimport checksum_add, checksum_finish, checksum_pseudo6
from rhp._fast.drops cimport DROP_TOO_BIG
from rhp._fast.frame cimport TYPE_IP4, TYPE_IP6, frame_parse, mac_is_group
from rhp._fast.octets cimport load_be16, store_be16, store_be32, store_mac
from rhp._fast.packet cimport address_is4, address_is_group, address_t, packet_parse, packet_t
from rhp._fast.rate cimport rate_take

cdef enum:
    ICMP = 1
    ICMP6 = 58
    ICMP_HEADER = 8
    IP4_HEADER = 20
    IP6_HEADER = 40
    IP6_LEAST_MTU = 1280
    # As much of the packet as fits into what every host takes (RFC 1812 section 4.3.2.3, RFC 4443 section 3.2).
    ANSWER4_MAX = 576
    ANSWER6_MAX = 1280
    DONT_FRAGMENT = 0x4000
    DESTINATION_UNREACHABLE = 3
    FRAGMENTATION_NEEDED = 4
    SOURCE_QUENCH = 4
    REDIRECT = 5
    TIME_EXCEEDED = 11
    PARAMETER_PROBLEM = 12
    PACKET_TOO_BIG = 2
    FIRST_INFORMATIONAL = 128       # ICMPv6 types below are errors.
    INTERNETWORK_CONTROL = 0xc0     # The precedence of ICMP errors (RFC 1812 section 4.3.2.5).
    HOPS = 64
    # A hundred a second, after a burst: each sender needs one for each of its destinations, every ten minutes.
    ANSWERS_BURST = 100
    ANSWERS_MS = 10


cdef bint is_error(const packet_t* packet) noexcept nogil:
    """An ICMP error, or something that may be one."""
    cdef int kind = packet.source_port >> 8
    if packet.protocol == ICMP and packet.version == 4:
        return not packet.has_ports or kind in (
            DESTINATION_UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM,
        )
    if packet.protocol == ICMP6 and packet.version == 6:
        return not packet.has_ports or kind < FIRST_INFORMATIONAL
    return False


cdef bint is_of_one_host(address_t source) noexcept nogil:
    """Not unspecified, loopback, a group or reserved."""
    cdef uint32_t network
    if not address_is4(source):
        return not address_is_group(source) and (source.high != 0 or source.low > 1)
    network = (source.low >> 24) & 0xff
    return network != 0 and network != 127 and network < 224


cdef bint can_be_told(const uint8_t* network, const packet_t* packet) noexcept nogil:
    if packet.version == 4 and not load_be16(network + 6) & DONT_FRAGMENT:
        return False
    if packet.fragment or is_error(packet):
        return False
    return is_of_one_host(packet.source) and not address_is_group(packet.destination)


cdef size_t write4(const uint8_t* network, const packet_t* packet, uint32_t mtu, uint8_t* out) noexcept nogil:
    cdef size_t quote = min(packet.total, ANSWER4_MAX - IP4_HEADER - ICMP_HEADER)
    cdef size_t size = ICMP_HEADER + quote
    cdef uint8_t* icmp = out + IP4_HEADER
    memset(out, 0, IP4_HEADER + ICMP_HEADER)
    out[0] = 0x45
    out[1] = INTERNETWORK_CONTROL
    store_be16(out + 2, <uint16_t>(IP4_HEADER + size))
    store_be16(out + 6, DONT_FRAGMENT)
    out[8] = HOPS
    out[9] = ICMP
    memcpy(out + 12, network + 16, 4)
    memcpy(out + 16, network + 12, 4)
    store_be16(out + 10, checksum_finish(checksum_add(out, IP4_HEADER, 0)))
    icmp[0] = DESTINATION_UNREACHABLE
    icmp[1] = FRAGMENTATION_NEEDED
    store_be16(icmp + 6, <uint16_t>mtu)
    memcpy(icmp + ICMP_HEADER, network, quote)
    store_be16(icmp + 2, checksum_finish(checksum_add(icmp, size, 0)))
    return IP4_HEADER + size


cdef size_t write6(const uint8_t* network, const packet_t* packet, uint32_t mtu, uint8_t* out) noexcept nogil:
    cdef size_t quote = min(packet.total, ANSWER6_MAX - IP6_HEADER - ICMP_HEADER)
    cdef size_t size = ICMP_HEADER + quote
    cdef uint8_t* icmp = out + IP6_HEADER
    memset(out, 0, IP6_HEADER + ICMP_HEADER)
    out[0] = 0x60
    store_be16(out + 4, <uint16_t>size)
    out[6] = ICMP6
    out[7] = HOPS
    memcpy(out + 8, network + 24, 16)
    memcpy(out + 24, network + 8, 16)
    icmp[0] = PACKET_TOO_BIG
    store_be32(icmp + 4, mtu)
    memcpy(icmp + ICMP_HEADER, network, quote)
    store_be16(icmp + 2, checksum_finish(
        checksum_add(icmp, size, checksum_pseudo6(out + 8, <uint32_t>size, ICMP6))
    ))
    return IP6_HEADER + size


cdef int toobig_answer(
    const uint8_t* data, size_t len, const frame_t* frame, uint32_t limit, rate_t* rate, uint64_t now_ms, uint8_t* out,
) noexcept nogil:
    cdef const uint8_t* network = data + frame.network
    cdef uint32_t mtu = limit - frame.network if limit > frame.network else 0
    cdef packet_t packet
    if frame.ethertype != TYPE_IP4 and frame.ethertype != TYPE_IP6:
        return 0
    if mac_is_group(frame.source) or mac_is_group(frame.destination):
        return 0
    if packet_parse(network, len - frame.network, &packet) < 0 or not can_be_told(network, &packet):
        return 0
    if (packet.version == 4) != (frame.ethertype == TYPE_IP4):
        return 0
    if packet.version == 6:
        mtu = max(mtu, <uint32_t>IP6_LEAST_MTU)
    if <uint32_t>packet.total <= mtu:
        return 0
    if not rate_take(rate, now_ms, ANSWERS_MS, ANSWERS_BURST):
        return -<int>DROP_TOO_BIG
    store_mac(out, frame.source)
    store_mac(out + 6, frame.destination)
    # The type, behind the same tags.
    memcpy(out + 12, data + 12, frame.network - 12)
    if packet.version == 4:
        return <int>(frame.network + write4(network, &packet, mtu, out + frame.network))
    return <int>(frame.network + write6(network, &packet, mtu, out + frame.network))


cdef int answer_once(bytes data, int limit, rate_t* rate, uint64_t now_ms, uint8_t* out) noexcept:
    cdef const uint8_t* octets = <const uint8_t*><const char*>data
    cdef frame_t frame
    if frame_parse(octets, len(data), &frame) < 0:
        return 0
    return toobig_answer(octets, len(data), &frame, limit, rate, now_ms, out)


def answer(bytes data, int limit) -> bytes | None:
    """The answer to a frame that may have `limit` octets, or None when its sender cannot be told."""
    cdef uint8_t out[TOOBIG_MAX]
    cdef rate_t rate
    cdef int size
    memset(&rate, 0, sizeof(rate))
    size = answer_once(data, limit, &rate, ANSWERS_MS, out)
    return (<char*>out)[:size] if size > 0 else None


def rates(bytes data, int limit, object moments) -> list[bool]:
    """Whether the same frame is answered at each moment, in milliseconds, out of one allowance."""
    cdef uint8_t out[TOOBIG_MAX]
    cdef rate_t rate
    memset(&rate, 0, sizeof(rate))
    return [answer_once(data, limit, &rate, moment, out) > 0 for moment in moments]
