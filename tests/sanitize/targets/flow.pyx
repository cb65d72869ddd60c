"""Packets of one TCP or UDP flow. Sums are made word by word, on purpose in another way than rhp's."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memset

from targets.source cimport source_t, take8, take16, take32


cdef uint32_t add(const uint8_t* data, uint32_t len, uint32_t total) noexcept nogil:
    """One's complement sum of at most 64 KB; `total` is a small one to begin with."""
    cdef uint32_t index
    for index in range(0, len & ~1U, 2):
        total += (<uint32_t>data[index] << 8) + data[index + 1]
        total = (total & 0xffff) + (total >> 16)
    return total + (<uint32_t>data[len - 1] << 8) if len & 1 else total


cdef uint16_t folded(uint32_t total) noexcept nogil:
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return <uint16_t>total


cdef void put16(uint8_t* data, uint32_t value) noexcept nogil:
    data[0] = <uint8_t>(value >> 8)
    data[1] = <uint8_t>value


cdef uint32_t get16(const uint8_t* data) noexcept nogil:
    return (<uint32_t>data[0] << 8) | data[1]


cdef uint16_t pseudo_folded(const uint8_t* ip, uint32_t transport, uint8_t protocol) noexcept nogil:
    if ip[0] >> 4 == 4:
        return folded(add(ip + 12, 8, transport + protocol))
    return folded(add(ip + 8, 32, transport + protocol))


cdef void flow_take(flow_t* flow, source_t* source) noexcept nogil:
    cdef uint8_t shape = take8(source)
    memset(flow, 0, sizeof(flow_t))
    flow.network = 10 + 4 * (shape & 3) if shape & 3 else 0
    flow.version = 6 if shape & 4 else 4
    flow.udp = (shape & 8) != 0
    flow.dont_fragment = (shape & 16) != 0
    flow.options = 0 if flow.udp else (shape >> 5) * 4 + 8 * (shape >> 7)
    flow.fill = take8(source)
    flow.flags = take8(source)
    flow.ttl = take8(source)
    flow.id = take16(source)
    flow.window = take16(source)
    flow.sequence = take32(source)


cdef uint32_t flow_transport(const flow_t* flow) noexcept nogil:
    return flow.network + (20 if flow.version == 4 else 40)


cdef uint32_t flow_headers(const flow_t* flow) noexcept nogil:
    return flow_transport(flow) + (8 if flow.udp else 20 + flow.options)


cdef void write_ethernet(const flow_t* flow, uint8_t* out) noexcept nogil:
    cdef uint32_t offset
    for offset in range(12):
        out[offset] = <uint8_t>(2 if offset % 6 == 0 else flow.fill + offset)
    for offset in range(12, flow.network - 2, 4):
        put16(out + offset, 0x8100)
        put16(out + offset + 2, 100 + offset)
    put16(out + flow.network - 2, 0x0800 if flow.version == 4 else 0x86dd)


cdef void write_ip(const flow_t* flow, uint8_t* ip, uint32_t transport_len) noexcept nogil:
    cdef uint32_t index
    if flow.version == 4:
        ip[0] = 0x45
        put16(ip + 2, 20 + transport_len)
        put16(ip + 4, flow.id)
        ip[6] = 0x40 if flow.dont_fragment else 0
        ip[8] = flow.ttl
        ip[9] = 17 if flow.udp else 6
        put16(ip + 12, 0x0a00)
        put16(ip + 14, 1)
        put16(ip + 16, 0x0a00)
        put16(ip + 18, 2)
        return
    ip[0] = 0x60
    put16(ip + 4, transport_len)
    ip[6] = 17 if flow.udp else 6
    ip[7] = flow.ttl
    for index in range(8, 40):
        ip[index] = 0xfd if index % 16 == 8 else index


cdef void write_transport(const flow_t* flow, uint8_t* start, uint32_t len) noexcept nogil:
    cdef uint32_t index
    put16(start, 1000)
    put16(start + 2, 2000)
    if flow.udp:
        put16(start + 4, len)
        return
    put16(start + 4, flow.sequence >> 16)
    put16(start + 6, flow.sequence)
    start[12] = <uint8_t>((20 + flow.options) << 2)
    start[13] = flow.flags
    put16(start + 14, flow.window)
    for index in range(flow.options):
        start[20 + index] = 1


cdef uint32_t flow_write(const flow_t* flow, uint32_t payload, uint8_t* out) noexcept nogil:
    cdef uint32_t transport = flow_transport(flow)
    cdef uint32_t headers = flow_headers(flow)
    cdef uint32_t index
    memset(out, 0, headers)
    if flow.network:
        write_ethernet(flow, out)
    write_ip(flow, out + flow.network, headers - transport + payload)
    write_transport(flow, out + transport, headers - transport + payload)
    for index in range(payload):
        out[headers + index] = <uint8_t>(flow.fill + flow.sequence + index * 7)
    packet_mend(out, headers + payload, flow.network)
    return headers + payload


cdef uint32_t transport_of(const uint8_t* data, uint32_t len, uint32_t network, uint8_t* protocol) noexcept nogil:
    """Where the transport header starts, 0 where there is none that could be summed."""
    cdef const uint8_t* ip = data + network
    cdef uint32_t start = network + 40
    if len < network + 20:
        return 0
    if ip[0] >> 4 == 4:
        start = network + (ip[0] & 15) * 4
        protocol[0] = ip[9]
        if start < network + 20 or get16(ip + 6) & 0x3fff:
            return 0
    elif ip[0] >> 4 == 6 and len >= start:
        protocol[0] = ip[6]
    else:
        return 0
    if protocol[0] == 6 and len >= start + 20:
        return start
    return start if protocol[0] == 17 and len >= start + 8 else 0


cdef void packet_mend(uint8_t* data, uint32_t len, uint32_t network) noexcept nogil:
    cdef uint8_t protocol = 0
    cdef uint32_t start = transport_of(data, len, network, &protocol)
    cdef uint8_t* field
    cdef uint16_t value
    if start == 0:
        return
    if data[network] >> 4 == 4:
        put16(data + network + 10, 0)
        put16(data + network + 10, 0xffff ^ folded(add(data + network, start - network, 0)))
    field = data + start + (6 if protocol == 17 else 16)
    put16(field, 0)
    value = 0xffff ^ folded(add(data + start, len - start, pseudo_folded(data + network, len - start, protocol)))
    put16(field, 0xffff if value == 0 and protocol == 17 else value)


cdef bint packet_sound(const uint8_t* data, uint32_t len, uint32_t network) noexcept nogil:
    cdef uint8_t protocol = 0
    cdef uint32_t start = transport_of(data, len, network, &protocol)
    if start == 0:
        return True
    if data[network] >> 4 == 4 and folded(add(data + network, start - network, 0)) != 0xffff:
        return False
    if protocol == 17 and get16(data + start + 6) == 0:
        return True
    return folded(add(data + start, len - start, pseudo_folded(data + network, len - start, protocol))) == 0xffff
