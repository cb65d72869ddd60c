"""ARP and IPv6 neighbour discovery."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

from rhp._fast.address cimport address_text
from rhp._fast.checksum cimport checksum_add, checksum_finish, checksum_pseudo6
from rhp._fast.frame cimport FRAME_HEADER, TYPE_ARP, TYPE_IP4, TYPE_IP6, frame_parse
from rhp._fast.octets cimport load_be16, load_be32, load_mac, store_be16, store_be32, store_mac
from rhp._fast.packet cimport (
    address_equal, address_from4, address_from6, address_is4, address_is_group,
)

cdef enum:
    ARP_LENGTH = 28
    ARP_REQUEST = 1
    ARP_REPLY = 2
    IP6_HEADER = 40
    ICMP6 = 58
    ND_LENGTH = 24
    ND_HOP_LIMIT = 255
    ND_SOLICITATION = 135
    ND_ADVERTISEMENT = 136
    OPTION_SOURCE = 1
    OPTION_TARGET = 2
    FLAG_SOLICITED = 0x40


cdef void read_arp(const uint8_t* arp, size_t len, const frame_t* frame, discovery_t* discovery) noexcept nogil:
    cdef int operation
    # Ethernet, IPv4, six and four octets.
    if len < ARP_LENGTH or load_be32(arp) != ((1 << 16) | TYPE_IP4) or load_be16(arp + 4) != 0x0604:
        return
    operation = load_be16(arp + 6)
    if operation != ARP_REQUEST and operation != ARP_REPLY:
        return
    discovery.kind = DISCOVERY_ARP_REQUEST if operation == ARP_REQUEST else DISCOVERY_ARP_REPLY
    discovery.sender = address_from4(arp + 14)
    discovery.target = address_from4(arp + 24)
    discovery.probe = load_be32(arp + 14) == 0
    discovery.announcement = address_equal(discovery.sender, discovery.target)
    discovery.known_sender = (
        not discovery.probe and load_mac(arp + 8) == frame.source and not address_is_group(discovery.sender)
    )


cdef bint read_options(const uint8_t* options, size_t len, int wanted, uint64_t* mac) noexcept nogil:
    """False when an option is broken; `mac` is the link-layer address of the wanted kind, or stays as it was."""
    cdef size_t offset = 0
    cdef size_t size
    while offset < len:
        if offset + 8 > len:
            return False
        size = <size_t>options[offset + 1] * 8
        if size == 0 or offset + size > len:
            return False
        if options[offset] == wanted and size == 8:
            mac[0] = load_mac(options + offset + 2)
        offset += size
    return True


cdef bint is_solicited_node(const uint8_t* group, const uint8_t* target) noexcept nogil:
    """ff02::1:ffXX:XXXX with the last three octets of the target (RFC 4291 section 2.7.1)."""
    return (
        load_be32(group) == 0xff020000U and load_be32(group + 4) == 0 and load_be32(group + 8) == 1
        and group[12] == 0xff and group[13] == target[13] and load_be16(group + 14) == load_be16(target + 14)
    )


cdef bint nd_adds_up(const uint8_t* packet, size_t size) noexcept nogil:
    """The checks of RFC 4861 sections 7.1.1 and 7.1.2 that both messages share, checksum included."""
    cdef const uint8_t* message = packet + IP6_HEADER
    if packet[7] != ND_HOP_LIMIT or message[1] != 0 or address_is_group(address_from6(message + 8)):
        return False
    return checksum_finish(checksum_add(message, size, checksum_pseudo6(packet + 8, <unsigned int>size, ICMP6))) == 0


cdef void read_nd(const uint8_t* packet, size_t len, const frame_t* frame, discovery_t* discovery) noexcept nogil:
    cdef const uint8_t* message = packet + IP6_HEADER
    cdef size_t size
    cdef uint64_t mac = frame.source
    if len < IP6_HEADER + ND_LENGTH or packet[0] >> 4 != 6 or packet[6] != ICMP6:
        return
    size = load_be16(packet + 4)
    if size < ND_LENGTH or IP6_HEADER + size > len:
        return
    if (message[0] != ND_SOLICITATION and message[0] != ND_ADVERTISEMENT) or not nd_adds_up(packet, size):
        return
    discovery.sender = address_from6(packet + 8)
    discovery.target = address_from6(message + 8)
    discovery.probe = discovery.sender.high == 0 and discovery.sender.low == 0
    if address_is4(discovery.target) or address_is_group(discovery.sender):
        return
    if message[0] == ND_ADVERTISEMENT:
        if discovery.probe or not read_options(message + ND_LENGTH, size - ND_LENGTH, OPTION_TARGET, &mac):
            return
        discovery.kind = DISCOVERY_ADVERTISEMENT
        # What an advertisement makes known is its target.
        discovery.sender = discovery.target
        discovery.known_sender = mac == frame.source
        return
    if not read_options(message + ND_LENGTH, size - ND_LENGTH, OPTION_SOURCE, &mac):
        return
    if discovery.probe and not is_solicited_node(packet + 24, message + 8):
        return
    discovery.kind = DISCOVERY_SOLICITATION
    discovery.known_sender = not discovery.probe and mac == frame.source


cdef void discovery_read(
    const uint8_t* data, size_t len, const frame_t* frame, discovery_t* discovery,
) noexcept nogil:
    discovery.kind = DISCOVERY_NONE
    discovery.known_sender = discovery.probe = discovery.announcement = False
    if frame.network != FRAME_HEADER:
        return
    if frame.ethertype == TYPE_ARP:
        read_arp(data + FRAME_HEADER, len - FRAME_HEADER, frame, discovery)
    elif frame.ethertype == TYPE_IP6:
        read_nd(data + FRAME_HEADER, len - FRAME_HEADER, frame, discovery)


cdef bint discovery_is_question(const discovery_t* discovery) noexcept nogil:
    if discovery.kind == DISCOVERY_ARP_REQUEST:
        return not discovery.announcement and not address_is_group(discovery.target)
    return discovery.kind == DISCOVERY_SOLICITATION


cdef size_t answer_arp(
    const uint8_t* question, const frame_t* frame, uint64_t mac, uint8_t* out,
) noexcept nogil:
    cdef const uint8_t* asked = question + FRAME_HEADER
    cdef uint8_t* arp = out + FRAME_HEADER
    store_mac(out, frame.source)
    store_mac(out + 6, mac)
    store_be16(out + 12, TYPE_ARP)
    memcpy(arp, asked, 6)
    store_be16(arp + 6, ARP_REPLY)
    store_mac(arp + 8, mac)
    memcpy(arp + 14, asked + 24, 4)
    memcpy(arp + 18, asked + 8, 10)
    return FRAME_HEADER + ARP_LENGTH


cdef size_t answer_nd(
    const uint8_t* question, const frame_t* frame, const discovery_t* discovery, uint64_t mac, uint8_t* out,
) noexcept nogil:
    cdef const uint8_t* asked = question + FRAME_HEADER
    cdef uint8_t* packet = out + FRAME_HEADER
    cdef uint8_t* message = packet + IP6_HEADER
    memset(out, 0, DISCOVERY_ANSWER_MAX)
    store_mac(out + 6, mac)
    store_be16(out + 12, TYPE_IP6)
    packet[0] = 0x60
    store_be16(packet + 4, ND_LENGTH + 8)
    packet[6] = ICMP6
    packet[7] = ND_HOP_LIMIT
    memcpy(packet + 8, asked + IP6_HEADER + 8, 16)
    if discovery.probe:
        # Whoever checks for duplicates has no address to answer to: all nodes hear it.
        store_be16(out, 0x3333)
        store_be32(out + 2, 1)
        store_be16(packet + 24, 0xff02)
        packet[39] = 1
    else:
        store_mac(out, frame.source)
        memcpy(packet + 24, asked + 8, 16)
        message[4] = FLAG_SOLICITED
    # A proxy does not set the Override flag (RFC 4861 section 7.2.8).
    message[0] = ND_ADVERTISEMENT
    memcpy(message + 8, asked + IP6_HEADER + 8, 16)
    message[24] = OPTION_TARGET
    message[25] = 1
    store_mac(message + 26, mac)
    store_be16(message + 2, checksum_finish(
        checksum_add(message, ND_LENGTH + 8, checksum_pseudo6(packet + 8, ND_LENGTH + 8, ICMP6))
    ))
    return DISCOVERY_ANSWER_MAX


cdef size_t discovery_answer(
    const uint8_t* question, const frame_t* frame, const discovery_t* discovery, uint64_t mac, uint8_t* out,
) noexcept nogil:
    if discovery.kind == DISCOVERY_ARP_REQUEST:
        return answer_arp(question, frame, mac, out)
    return answer_nd(question, frame, discovery, mac, out)


KINDS = (None, "arp-request", "arp-reply", "solicitation", "advertisement")


def read(bytes data) -> tuple[str, str, str | None, bool] | None:
    """(kind, target, sender that may be learned or None, whether it may be answered), or None."""
    cdef frame_t frame
    cdef discovery_t discovery
    cdef const uint8_t* octets = <const uint8_t*><const char*>data
    if frame_parse(octets, len(data), &frame) < 0:
        return None
    discovery_read(octets, len(data), &frame, &discovery)
    if discovery.kind == DISCOVERY_NONE:
        return None
    sender = address_text(discovery.sender) if discovery.known_sender else None
    return KINDS[<int>discovery.kind], address_text(discovery.target), sender, bool(discovery_is_question(&discovery))


def answer(bytes data, bytes mac) -> bytes | None:
    """The frame that answers a question with `mac`, or None when it is no question."""
    cdef frame_t frame
    cdef discovery_t discovery
    cdef uint8_t out[DISCOVERY_ANSWER_MAX]
    cdef const uint8_t* octets = <const uint8_t*><const char*>data
    cdef size_t size
    if len(mac) != 6:
        raise ValueError("a MAC has six octets")
    if frame_parse(octets, len(data), &frame) < 0:
        return None
    discovery_read(octets, len(data), &frame, &discovery)
    if not discovery_is_question(&discovery):
        return None
    size = discovery_answer(octets, &frame, &discovery, load_mac(<const uint8_t*><const char*>mac), out)
    return (<char*>out)[:size]
