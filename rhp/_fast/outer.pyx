"""The outer sockets."""

from libc.errno cimport (
    EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINTR, EINVAL, EIO, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOMEM, errno,
)
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy, memset

from linux_socket cimport *
from linux_system cimport iovec

from rhp._fast.address cimport endpoint_t
from rhp._fast.drops cimport (
    DROP_SEND_FAILED, DROP_SEND_FULL, DROP_SEND_TOO_BIG, DROP_SEND_UNREACHABLE, drop_t,
)
from rhp._fast.lane cimport (
    BATCH, DATAGRAM_MAX, RECEIVE_CONTROL_ROOM, SLOT_STRIDE, lane_t, queue_t, train_t,
)
from rhp._fast.packet cimport address_from4, address_from6
from rhp._fast.sadb cimport sa_lane_t
from rhp._fast.stats cimport (
    TOTAL_ESP_OUT, TOTAL_RECEIVE_CALLS, TOTAL_RECEIVE_ERRORS, TOTAL_SEND_CALLS, TOTAL_TRAIN_PACKETS_IN,
    TOTAL_TRAIN_PACKETS_OUT, TOTAL_TRAINS_IN, TOTAL_TRAINS_OUT, TOTAL_TRAINS_REFUSED, bump,
)

cdef enum:
    # The kernel's UDP_MAX_SEGMENTS before 6.9; later ones take twice as many.
    TRAIN_SEGMENTS = 64
    KEEP_ALIVE = 0xff


# Out.

cdef train_t* open_train(const queue_t* queue, const sa_lane_t* view, size_t len) noexcept nogil:
    """The SA's newest train, if a datagram of `len` octets may be its next; the trains of others do not matter."""
    cdef train_t* train = queue.trains + view.train
    if view.train_turn != queue.turn or train.closed or len > train.size or train.size > view.train_fit:
        return NULL
    if train.segments + queue.tail >= queue.segments_max or train.octets + len + queue.tail > DATAGRAM_MAX:
        return NULL
    return train


cdef uint8_t* queue_slot(lane_t* lane, sa_lane_t* view, size_t len) noexcept nogil:
    cdef queue_t* queue = lane.queues + view.queue
    if queue.fd < 0:
        return NULL
    queue.open = open_train(queue, view, len)
    if queue.open != NULL:
        return queue.slots + view.train * SLOT_STRIDE + queue.open.octets
    if queue.count == BATCH:
        queue_flush(lane, queue)
    return queue.slots + queue.count * SLOT_STRIDE


cdef void queue_push(lane_t* lane, sa_lane_t* view, size_t len) noexcept nogil:
    cdef queue_t* queue = lane.queues + view.queue
    cdef train_t* train = queue.open
    if train == NULL:
        train = queue.trains + queue.count
        train.view = view
        train.octets = train.segments = 0
        train.size = len
        view.train = queue.count
        view.train_turn = queue.turn
        queue.count += 1
    train.octets += len
    train.segments += 1
    train.closed = len < train.size


cdef void address_message(train_t* train, msghdr* header) noexcept nogil:
    """Where the train goes, where it comes from and, if it is more than one datagram, where it is to be cut."""
    cdef sa_lane_t* view = train.view
    cdef cmsghdr* control = <cmsghdr*>(<uint8_t*>train.control + view.control_length)
    cdef uint16_t size = <uint16_t>train.size
    header.msg_name = &view.remote
    header.msg_namelen = view.remote_length
    header.msg_control = view.control
    header.msg_controllen = view.control_length
    if train.segments == 1:
        return
    memcpy(train.control, view.control, view.control_length)
    memset(control, 0, CMSG_SPACE(sizeof(size)))
    control.cmsg_level = SOL_UDP
    control.cmsg_type = UDP_SEGMENT
    control.cmsg_len = CMSG_LEN(sizeof(size))
    memcpy(CMSG_DATA(control), &size, sizeof(size))
    header.msg_control = train.control
    header.msg_controllen = view.control_length + CMSG_SPACE(sizeof(size))


cdef drop_t send_drop(int error) noexcept nogil:
    if error == EAGAIN or error == ENOBUFS or error == ENOMEM:
        return DROP_SEND_FULL
    if error == EMSGSIZE:
        return DROP_SEND_TOO_BIG
    if error == ENETUNREACH or error == EHOSTUNREACH or error == ECONNREFUSED:
        return DROP_SEND_UNREACHABLE
    return DROP_SEND_FAILED


cdef void send_one(lane_t* lane, queue_t* queue, const msghdr* message) noexcept nogil:
    while sendmsg(queue.fd, message, MSG_DONTWAIT) < 0:
        if errno != EINTR:
            bump(&lane.stats.drops[<int>send_drop(errno)], 1)
            return
    bump(&lane.stats.totals[<int>TOTAL_ESP_OUT], 1)


cdef void send_singly(lane_t* lane, queue_t* queue, train_t* train, uint8_t* data) noexcept nogil:
    """The datagrams of a train that the kernel did not take as one."""
    cdef msghdr message
    cdef iovec vector
    cdef uint32_t left = train.octets
    cdef uint32_t segments = train.segments
    memset(&message, 0, sizeof(message))
    train.segments = 1
    address_message(train, &message)
    train.segments = segments
    message.msg_iov = &vector
    message.msg_iovlen = 1
    while left > 0:
        vector.iov_base = data
        vector.iov_len = min(left, train.size)
        send_one(lane, queue, &message)
        bump(&lane.stats.totals[<int>TOTAL_SEND_CALLS], 1)
        data += vector.iov_len
        left -= <uint32_t>vector.iov_len


cdef bint refused(train_t* train, int error) noexcept nogil:
    """Whether it was the train that the kernel would not have, rather than its datagrams; the path remembers it."""
    if train.segments == 1:
        return False
    if error == EIO:
        # The device adds no checksums, and without that nothing is cut.
        train.view.train_fit = 0
        return True
    if error == EMSGSIZE or error == EINVAL:
        # Too long for the path's MTU: alone, such a datagram is fragmented or refused by itself.
        train.view.train_fit = train.size - 1
        return True
    return False


cdef unsigned int give_up(lane_t* lane, queue_t* queue, unsigned int index, int error) noexcept nogil:
    """What the kernel refused at `index`: how many trains are done with."""
    cdef train_t* train = queue.trains + index
    cdef drop_t reason
    cdef unsigned int last = index + 1
    cdef unsigned int later
    cdef uint64_t lost = 0
    if refused(train, error):
        bump(&lane.stats.totals[<int>TOTAL_TRAINS_REFUSED], 1)
        send_singly(lane, queue, train, queue.slots + index * SLOT_STRIDE)
        return 1
    reason = send_drop(error)
    # A full socket is full for the rest of the batch too; any other error is this message's own.
    if reason == DROP_SEND_FULL:
        last = queue.count
    for later in range(index, last):
        lost += queue.trains[later].segments
    bump(&lane.stats.drops[<int>reason], lost)
    return last - index


cdef void count_sent(lane_t* lane, const queue_t* queue, unsigned int first, unsigned int count) noexcept nogil:
    cdef uint64_t packets = 0
    cdef uint64_t trains = 0
    cdef uint64_t in_trains = 0
    cdef unsigned int index
    for index in range(first, first + count):
        packets += queue.trains[index].segments
        if queue.trains[index].segments > 1:
            trains += 1
            in_trains += queue.trains[index].segments
    bump(&lane.stats.totals[<int>TOTAL_ESP_OUT], packets)
    bump(&lane.stats.totals[<int>TOTAL_TRAINS_OUT], trains)
    bump(&lane.stats.totals[<int>TOTAL_TRAIN_PACKETS_OUT], in_trains)


cdef size_t tail_of(const queue_t* queue, unsigned int index) noexcept nogil:
    """Octets behind the train: a keep-alive (RFC 3948 section 2.3), which every peer ignores, where the kernel would
    spoil datagrams that are all equal."""
    cdef const train_t* train = queue.trains + index
    if train.segments == 1 or train.closed:
        return 0
    memset(queue.slots + index * SLOT_STRIDE + train.octets, KEEP_ALIVE, queue.tail)
    return queue.tail


cdef void queue_flush(lane_t* lane, queue_t* queue) noexcept nogil:
    cdef unsigned int done = 0
    cdef unsigned int index
    cdef int sent
    for index in range(queue.count):
        address_message(queue.trains + index, &queue.messages[index].msg_hdr)
        queue.vectors[index].iov_len = queue.trains[index].octets + tail_of(queue, index)
    while done < queue.count:
        sent = sendmmsg(queue.fd, queue.messages + done, queue.count - done, MSG_DONTWAIT)
        bump(&lane.stats.totals[<int>TOTAL_SEND_CALLS], 1)
        if sent > 0:
            count_sent(lane, queue, done, sent)
            done += sent
        elif errno != EINTR:
            done += give_up(lane, queue, done, errno)
    queue.count = 0
    queue.turn += 1


# In.

cdef int inbox_receive(lane_t* lane, queue_t* socket) noexcept nogil:
    cdef unsigned int wanted = 1 if socket.grouped else BATCH
    cdef size_t length
    cdef size_t size
    cdef int count
    cdef int index
    cdef bint grouped = False
    count = recvmmsg(socket.fd, lane.inbox.messages, wanted, MSG_DONTWAIT, NULL)
    bump(&lane.stats.totals[<int>TOTAL_RECEIVE_CALLS], 1)
    if count < 0:
        if errno != EAGAIN and errno != EINTR:
            # An ICMP error of the past; reading it has cleared it.
            bump(&lane.stats.totals[<int>TOTAL_RECEIVE_ERRORS], 1)
        return 0
    if socket.receives_trains:
        for index in range(count):
            length = lane.inbox.messages[index].msg_len
            size = inbox_segment(lane, index)
            if size < length:
                grouped = True
                bump(&lane.stats.totals[<int>TOTAL_TRAINS_IN], 1)
                bump(&lane.stats.totals[<int>TOTAL_TRAIN_PACKETS_IN], (length + size - 1) // size)
        socket.grouped = grouped
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


cdef size_t inbox_segment(const lane_t* lane, int index) noexcept nogil:
    cdef msghdr* header = &lane.inbox.messages[index].msg_hdr
    cdef cmsghdr* control = CMSG_FIRSTHDR(header)
    cdef int size = 0
    while control != NULL:
        if control.cmsg_level == SOL_UDP and control.cmsg_type == UDP_GRO:
            memcpy(&size, CMSG_DATA(control), sizeof(size))
        control = CMSG_NXTHDR(header, control)
    return <size_t>size if size > 0 else lane.inbox.messages[index].msg_len


cdef void queue_probe(queue_t* queue) noexcept nogil:
    cdef int value = 0
    cdef int on = 1
    cdef socklen_t length = sizeof(value)
    # Nothing that was remembered of a socket before this one is true any more.
    queue.turn += 1
    # A raw socket, or a kernel before 4.18, has no such option.
    queue.segments_max = TRAIN_SEGMENTS if getsockopt(queue.fd, SOL_UDP, UDP_SEGMENT, &value, &length) == 0 else 1
    queue.receives_trains = setsockopt(queue.fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) == 0


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
