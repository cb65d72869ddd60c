"""Hub ports and security associations."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from linux_socket cimport *
from linux_system cimport aligned_alloc

from rhp._fast.address cimport address_store, endpoint_to_socket
from rhp._fast.esp cimport esp_ctx_free
from rhp._fast.packet cimport address_within
from rhp._fast.routes cimport route_t
from rhp._fast.sa cimport esp_key_wipe
from rhp._fast.selector cimport selector_is_all, selector_t


if sizeof(port_lane_t) % CACHE_LINE or sizeof(sa_lane_t) % CACHE_LINE:
    raise SystemError("two lanes' views share a cache line")


cdef void* aligned_zeroed(size_t size) noexcept nogil:
    cdef size_t rounded = (size + CACHE_LINE - 1) & ~<size_t>(CACHE_LINE - 1)
    cdef void* memory = aligned_alloc(CACHE_LINE, rounded)
    if memory != NULL:
        memset(memory, 0, rounded)
    return memory


cdef port_t* port_new(int lanes) noexcept nogil:
    cdef port_t* port = <port_t*>calloc(1, sizeof(port_t))
    cdef int lane
    if port == NULL:
        return NULL
    port.lanes = <port_lane_t*>aligned_zeroed(lanes * sizeof(port_lane_t))
    if port.lanes == NULL:
        port_free(port, 0)
        return NULL
    for lane in range(lanes):
        port.lanes[lane].port = port
    return port


cdef int port_make_routes(port_t* port, int lanes, int count) noexcept nogil:
    cdef int lane
    for lane in range(lanes):
        port.lanes[lane].routes = <route_t*>calloc(count, sizeof(route_t))
        if port.lanes[lane].routes == NULL:
            return -1
    port.prefixes = count
    return 0


cdef void port_free(port_t* port, int lanes) noexcept nogil:
    cdef int lane
    if port != NULL:
        for lane in range(lanes):
            free(port.lanes[lane].routes)
        free(port.local.items)
        free(port.remote.items)
        free(port.lanes)
        free(port)


cdef sa_t* sa_new(int lanes) noexcept nogil:
    cdef sa_t* sa = <sa_t*>calloc(1, sizeof(sa_t))
    cdef int lane
    if sa == NULL:
        return NULL
    sa.lanes = <sa_lane_t*>aligned_zeroed(lanes * sizeof(sa_lane_t))
    if sa.lanes == NULL:
        free(sa)
        return NULL
    for lane in range(lanes):
        sa.lanes[lane].sa = sa
    return sa


cdef void sa_free(sa_t* sa, int lanes) noexcept nogil:
    cdef int lane
    if sa == NULL:
        return
    for lane in range(lanes):
        esp_ctx_free(sa.lanes[lane].sealer)
        esp_ctx_free(sa.lanes[lane].opener)
    free(sa.lanes)
    esp_key_wipe(&sa.key_in)
    esp_key_wipe(&sa.key_out)
    free(sa)


cdef void set_source(sa_lane_t* view, const message_t* message) noexcept nogil:
    """The control message that names the source address."""
    cdef msghdr header
    cdef cmsghdr* control
    cdef in_pktinfo info4
    cdef in6_pktinfo info6
    memset(&header, 0, sizeof(header))
    memset(view.control, 0, SA_CONTROL_ROOM)
    header.msg_control = view.control
    header.msg_controllen = SA_CONTROL_ROOM
    control = CMSG_FIRSTHDR(&header)
    if message.local.version == 4:
        memset(&info4, 0, sizeof(info4))
        address_store(message.local.address, <uint8_t*>&info4.ipi_spec_dst)
        control.cmsg_level = IPPROTO_IP
        control.cmsg_type = IP_PKTINFO
        control.cmsg_len = CMSG_LEN(sizeof(info4))
        memcpy(CMSG_DATA(control), &info4, sizeof(info4))
        view.control_length = CMSG_SPACE(sizeof(info4))
    else:
        memset(&info6, 0, sizeof(info6))
        address_store(message.local.address, <uint8_t*>&info6.ipi6_addr)
        info6.ipi6_ifindex = message.local.scope
        control.cmsg_level = IPPROTO_IPV6
        control.cmsg_type = IPV6_PKTINFO
        control.cmsg_len = CMSG_LEN(sizeof(info6))
        memcpy(CMSG_DATA(control), &info6, sizeof(info6))
        view.control_length = CMSG_SPACE(sizeof(info6))


cdef void sa_set_path(sa_lane_t* view, const message_t* message) noexcept nogil:
    cdef bint udp = message.encapsulation == ENCAPSULATION_UDP
    view.encapsulation = message.encapsulation
    view.peer = message.remote
    memset(&view.peer_reported, 0, sizeof(view.peer_reported))
    # Sockets are UDP over IPv4 and IPv6, then raw over IPv4 and IPv6.
    view.queue = (0 if udp else 2) + (0 if message.remote.version == 4 else 1)
    view.remote_length = endpoint_to_socket(&message.remote, udp, &view.remote)
    set_source(view, message)
    view.train_fit = TRAIN_FIT_ALL
    view.train_turn = 0


cdef bint port_owns(const port_t* port, address_t address) noexcept nogil:
    cdef const selector_t* ours
    cdef const selector_t* theirs
    cdef int index
    cdef int other
    cdef bint narrower
    for index in range(port.remote.count):
        theirs = port.remote.items + index
        if selector_is_all(theirs) or not address_within(address, theirs.start, theirs.end):
            continue
        narrower = False
        for other in range(port.local.count):
            ours = port.local.items + other
            if (
                address_within(address, ours.start, ours.end)
                and address_within(ours.start, theirs.start, theirs.end)
                and address_within(ours.end, theirs.start, theirs.end)
            ):
                narrower = True
        if not narrower:
            return True
    return False
