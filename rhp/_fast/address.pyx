"""Addresses between text, C and socket structures."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from linux_socket cimport *
from linux_system cimport if_nametoindex

from rhp._fast.octets cimport be16, store_be32, store_be64
from rhp._fast.packet cimport address_from4, address_from6, address_is4, address_t


cdef int address_parse(object text, address_t* address) except -1:
    cdef uint8_t octets[16]
    cdef bytes encoded = str(text).encode("ascii", "replace")
    if inet_pton(AF_INET, encoded, octets) == 1:
        address[0] = address_from4(octets)
    elif inet_pton(AF_INET6, encoded, octets) == 1:
        address[0] = address_from6(octets)
        if address_is4(address[0]):
            raise ValueError(f"{text!r} is an IPv4 address in IPv6's clothes")
    else:
        raise ValueError(f"{text!r} is no IP address")
    return 0


cdef object address_text(address_t address):
    cdef uint8_t octets[16]
    cdef char text[64]
    address_store(address, octets)
    if inet_ntop(AF_INET if address_is4(address) else AF_INET6, octets, text, sizeof(text)) == NULL:
        raise SystemError("an address could not be written as text")
    return (<bytes>text).decode("ascii")


cdef uint32_t scope_of(object name) except? 0:
    cdef uint32_t scope
    if name.isdecimal():
        return int(name)
    scope = if_nametoindex(name.encode())
    if scope == 0:
        raise ValueError(f"there is no interface {name!r}")
    return scope


cdef int endpoint_parse(object text, int port, endpoint_t* endpoint) except -1:
    memset(endpoint, 0, sizeof(endpoint_t))
    address, _, interface = str(text).partition("%")
    address_parse(address, &endpoint.address)
    if interface:
        endpoint.scope = scope_of(interface)
    if not 0 <= port <= 65535:
        raise ValueError(f"port {port} is not within 0..65535")
    endpoint.port = port
    endpoint.version = 4 if address_is4(endpoint.address) else 6
    return 0


cdef object endpoint_text(const endpoint_t* endpoint):
    text = address_text(endpoint.address)
    return f"{text}%{endpoint.scope}" if endpoint.scope else text


cdef void address_store(address_t address, uint8_t* octets) noexcept nogil:
    if address_is4(address):
        store_be32(octets, <uint32_t>address.low)
    else:
        store_be64(octets, address.high)
        store_be64(octets + 8, address.low)


cdef socklen_t endpoint_to_socket(const endpoint_t* endpoint, bint with_port, sockaddr_in6* address) noexcept nogil:
    cdef sockaddr_in* short_address = <sockaddr_in*>address
    memset(address, 0, sizeof(sockaddr_in6))
    if endpoint.version == 4:
        short_address.sin_family = AF_INET
        short_address.sin_port = be16(endpoint.port) if with_port else 0
        address_store(endpoint.address, <uint8_t*>&short_address.sin_addr)
        return sizeof(sockaddr_in)
    address.sin6_family = AF_INET6
    address.sin6_port = be16(endpoint.port) if with_port else 0
    address.sin6_scope_id = endpoint.scope
    address_store(endpoint.address, <uint8_t*>&address.sin6_addr)
    return sizeof(sockaddr_in6)


cdef void endpoint_from_socket(const sockaddr_in6* address, endpoint_t* endpoint) noexcept nogil:
    cdef const sockaddr_in* short_address = <const sockaddr_in*>address
    memset(endpoint, 0, sizeof(endpoint_t))
    if address.sin6_family == AF_INET:
        endpoint.version = 4
        endpoint.port = be16(short_address.sin_port)
        endpoint.address = address_from4(<const uint8_t*>&short_address.sin_addr)
    elif address.sin6_family == AF_INET6:
        endpoint.version = 6
        endpoint.port = be16(address.sin6_port)
        endpoint.scope = address.sin6_scope_id
        endpoint.address = address_from6(<const uint8_t*>&address.sin6_addr)
