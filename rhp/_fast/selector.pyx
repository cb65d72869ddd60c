"""Traffic selectors."""

from libc.stdint cimport uint16_t
from libc.stdlib cimport calloc

from rhp._fast.address cimport address_parse
from rhp._fast.packet cimport address_equal, address_is4, address_within

cdef enum:
    MAX_SELECTORS = 256


cdef bint side_matches(
    const selectors_t* selectors, const packet_t* packet, address_t address, uint16_t port,
) noexcept nogil:
    cdef const selector_t* item
    cdef int index
    for index in range(selectors.count):
        item = selectors.items + index
        if item.version != packet.version or not address_within(address, item.start, item.end):
            continue
        if item.protocol != 0 and item.protocol != packet.protocol:
            continue
        if item.first_port == 0 and item.last_port == 65535:
            return True
        if item.first_port > item.last_port:
            if not packet.has_ports:
                return True
        elif packet.has_ports and item.first_port <= port <= item.last_port:
            return True
    return False


cdef bint selectors_match(const selectors_t* source, const selectors_t* target, const packet_t* packet) noexcept nogil:
    return (
        side_matches(source, packet, packet.source, packet.source_port)
        and side_matches(target, packet, packet.destination, packet.destination_port)
    )


cdef bint selector_is_host(const selector_t* selector) noexcept nogil:
    return address_equal(selector.start, selector.end)


cdef bint selector_is_all(const selector_t* selector) noexcept nogil:
    if selector.version == 4:
        return <unsigned int>selector.start.low == 0 and <unsigned int>selector.end.low == 0xffffffffU
    return selector.start.high == 0 and selector.start.low == 0 and ~selector.end.high == 0 and ~selector.end.low == 0


cdef int selectors_fill(selectors_t* selectors, object values) except -1:
    cdef selector_t* item
    values = list(values)
    if len(values) > MAX_SELECTORS:
        raise ValueError(f"{len(values)} traffic selectors are too many")
    selectors.items = <selector_t*>calloc(max(len(values), 1), sizeof(selector_t))
    if selectors.items == NULL:
        raise MemoryError
    for start, end, protocol, first_port, last_port in values:
        item = selectors.items + selectors.count
        address_parse(start, &item.start)
        address_parse(end, &item.end)
        item.version = 4 if address_is4(item.start) else 6
        if address_is4(item.start) != address_is4(item.end) or not address_within(item.start, item.start, item.end):
            raise ValueError(f"{start} to {end} is no address range")
        if not (0 <= protocol <= 255 and 0 <= first_port <= 65535 and 0 <= last_port <= 65535):
            raise ValueError(f"protocol {protocol} with ports {first_port} to {last_port} is out of range")
        item.protocol = protocol
        item.first_port = first_port
        item.last_port = last_port
        selectors.count += 1
    return 0
