"""The outer sockets."""

from libc.errno cimport (
    EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINTR, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOMEM, errno,
)
from libc.stdint cimport uint8_t
from libc.string cimport memset

from linux_socket cimport *

from rhp._fast.address cimport endpoint_t
from rhp._fast.drops cimport (
    DROP_NO_SOCKET, DROP_SEND_FAILED, DROP_SEND_FULL, DROP_SEND_TOO_BIG, DROP_SEND_UNREACHABLE, drop_t,
)
from rhp._fast.lane cimport BATCH, RECEIVE_CONTROL_ROOM, SLOT_STRIDE, lane_t, queue_t
from rhp._fast.packet cimport address_from4, address_from6
from rhp._fast.sadb cimport sa_lane_t
from rhp._fast.stats cimport TOTAL_ESP_OUT, TOTAL_RECEIVE_CALLS, TOTAL_RECEIVE_ERRORS, TOTAL_SEND_CALLS, bump


cdef uint8_t* queue_slot(lane_t* lane, sa_lane_t* view) noexcept nogil:
    cdef queue_t* queue = lane.queues + view.queue
    if queue.fd < 0:
        bump(&lane.stats.drops[<int>DROP_NO_SOCKET], 1)
        return NULL
    if queue.count == BATCH:
        queue_flush(lane, queue)
    return queue.slots + queue.count * SLOT_STRIDE


cdef void queue_push(lane_t* lane, sa_lane_t* view, size_t len) noexcept nogil:
    cdef queue_t* queue = lane.queues + view.queue
    cdef msghdr* header = &queue.messages[queue.count].msg_hdr
    header.msg_name = &view.remote
    header.msg_namelen = view.remote_length
    header.msg_control = view.control
    header.msg_controllen = view.control_length
    queue.vectors[queue.count].iov_len = len
    queue.count += 1


cdef drop_t send_drop(int error) noexcept nogil:
    if error == EAGAIN or error == ENOBUFS or error == ENOMEM:
        return DROP_SEND_FULL
    if error == EMSGSIZE:
        return DROP_SEND_TOO_BIG
    if error == ENETUNREACH or error == EHOSTUNREACH or error == ECONNREFUSED:
        return DROP_SEND_UNREACHABLE
    return DROP_SEND_FAILED


cdef void queue_flush(lane_t* lane, queue_t* queue) noexcept nogil:
    cdef unsigned int done = 0
    cdef drop_t reason
    cdef int sent
    while done < queue.count:
        sent = sendmmsg(queue.fd, queue.messages + done, queue.count - done, MSG_DONTWAIT)
        bump(&lane.stats.totals[<int>TOTAL_SEND_CALLS], 1)
        if sent > 0:
            bump(&lane.stats.totals[<int>TOTAL_ESP_OUT], sent)
            done += sent
            continue
        if errno == EINTR:
            continue
        reason = send_drop(errno)
        # A full socket is full for the rest of the batch too; any other error is this packet's own.
        sent = queue.count - done if reason == DROP_SEND_FULL else 1
        bump(&lane.stats.drops[<int>reason], sent)
        done += sent
    queue.count = 0


cdef int inbox_receive(lane_t* lane, queue_t* socket) noexcept nogil:
    cdef int count
    count = recvmmsg(socket.fd, lane.inbox.messages, BATCH, MSG_DONTWAIT, NULL)
    bump(&lane.stats.totals[<int>TOTAL_RECEIVE_CALLS], 1)
    if count < 0:
        if errno != EAGAIN and errno != EINTR:
            # An ICMP error of the past; reading it has cleared it.
            bump(&lane.stats.totals[<int>TOTAL_RECEIVE_ERRORS], 1)
        return 0
    return count


cdef void inbox_reset(lane_t* lane, int count) noexcept nogil:
    """The kernel shortens the lengths of what it fills; make them whole again."""
    cdef msghdr* header
    cdef int index
    for index in range(count):
        header = &lane.inbox.messages[index].msg_hdr
        header.msg_namelen = sizeof(sockaddr_in6)
        header.msg_controllen = RECEIVE_CONTROL_ROOM
        header.msg_flags = 0


cdef void inbox_local(const lane_t* lane, const queue_t* socket, int index, endpoint_t* local) noexcept nogil:
    cdef msghdr* header = &lane.inbox.messages[index].msg_hdr
    cdef cmsghdr* control = CMSG_FIRSTHDR(header)
    memset(local, 0, sizeof(endpoint_t))
    local.port = socket.local_port
    if (<const sockaddr_in6*>header.msg_name).sin6_family == AF_INET:
        local.address.low = <unsigned long>0xffff << 32
    while control != NULL:
        if control.cmsg_level == IPPROTO_IP and control.cmsg_type == IP_PKTINFO:
            local.address = address_from4(<const uint8_t*>&(<in_pktinfo*>CMSG_DATA(control)).ipi_spec_dst)
        elif control.cmsg_level == IPPROTO_IPV6 and control.cmsg_type == IPV6_PKTINFO:
            local.address = address_from6(<const uint8_t*>&(<in6_pktinfo*>CMSG_DATA(control)).ipi6_addr)
        control = CMSG_NXTHDR(header, control)
