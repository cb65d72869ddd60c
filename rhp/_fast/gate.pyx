"""What stands between the IKE ports and the engine.

A turn: recvmmsg -> cut what the kernel joined -> strip the marker -> judge (rhp/_fast/admission.pyx) -> to Python what
may enter, a cookie for who has to bring one -> sendmmsg. A turn is bounded in datagrams and in those that enter, so
that whoever calls has time for others; the rest waits in the socket, or finds it full. Of what does not enter no
Python object is made and nothing is allocated.
"""

import os

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memmove, memset
from posix.time cimport timespec

from linux_socket cimport *
from linux_system cimport CLOCK_MONOTONIC, clock_gettime, iovec

from rhp._fast.address cimport endpoint_from_socket, endpoint_t, endpoint_text
from rhp._fast.admission cimport *
from rhp._fast.admission import COUNTS
from rhp._fast.octets cimport load_be32, store_be16, store_be32
from rhp._fast.packet cimport address_from4, address_from6
from rhp._fast.rules cimport DOORS, group_ike

cdef enum:
    BATCH = 32
    TURN = 256                      # Datagrams read in a turn, about.
    ENTER = 32                      # So many of them may enter, about.
    SLOT = 65536
    CONTROL = 128                   # Packet information, and the size of joined datagrams.
    SECRET = 32
    MARKER = 4
    # The answer that asks for a cookie: header, generic header and Notify.
    HEADER = 28
    ANSWER = HEADER + 8 + COOKIE_OCTETS
    SPI = 8
    PAYLOAD_NOTIFY = 41
    NOTIFY_COOKIE = 16390
    VERSION = 0x20
    AT_EXCHANGE = 18
    FLAG_RESPONSE = 0x20

IKE_DOORS = DOORS

# Cookies on their way out. The source and the packet information are those of the request, where they stand.
ctypedef struct answers_t:
    unsigned int count
    uint8_t octets[BATCH][MARKER + ANSWER]
    iovec vectors[BATCH]
    mmsghdr messages[BATCH]

ctypedef struct room_t:
    admission_t rule
    bint ready                      # There is a rule.
    uint64_t now_ms
    uint64_t short
    uint64_t truncated
    uint64_t keepalives
    uint64_t unplaced
    uint64_t errors
    uint64_t cookies_sent
    uint64_t cookies_unsent
    uint8_t* slots
    mmsghdr messages[BATCH]
    iovec vectors[BATCH]
    sockaddr_in6 sources[BATCH]
    uint64_t controls[BATCH][CONTROL / 8]
    answers_t answers


cdef void whole(room_t* room) noexcept nogil:
    """The kernel shortens the lengths of what it fills; make them whole again."""
    cdef msghdr* header
    cdef int index
    for index in range(BATCH):
        header = &room.messages[index].msg_hdr
        room.vectors[index].iov_base = room.slots + index * SLOT
        room.vectors[index].iov_len = SLOT
        header.msg_iov = room.vectors + index
        header.msg_iovlen = 1
        header.msg_name = room.sources + index
        header.msg_namelen = sizeof(sockaddr_in6)
        header.msg_control = room.controls[index]
        header.msg_controllen = CONTROL
        header.msg_flags = 0


cdef bint placed(msghdr* header, endpoint_t* local, uint32_t* segment) noexcept nogil:
    """Where the message was sent to, and the length of the datagrams in it; False when the kernel did not say.

    The packet information becomes what an answer leaves with: of the interface nothing is said but for link-local
    addresses, and the size of the segments goes.
    """
    cdef cmsghdr* control = CMSG_FIRSTHDR(header)
    cdef cmsghdr* found = NULL
    cdef in_pktinfo* four
    cdef in6_pktinfo* six
    cdef int size = 0
    segment[0] = SLOT
    while control != NULL:
        if control.cmsg_level == SOL_UDP and control.cmsg_type == UDP_GRO:
            memcpy(&size, CMSG_DATA(control), sizeof(size))
            if size > 0:
                segment[0] = size
        elif control.cmsg_level == IPPROTO_IP and control.cmsg_type == IP_PKTINFO:
            four = <in_pktinfo*>CMSG_DATA(control)
            # The address that it came to: of a broadcast, the one that we would answer from.
            local.address = address_from4(<const uint8_t*>&four.ipi_spec_dst)
            local.version = 4
            four.ipi_ifindex = 0
            found = control
        elif control.cmsg_level == IPPROTO_IPV6 and control.cmsg_type == IPV6_PKTINFO:
            six = <in6_pktinfo*>CMSG_DATA(control)
            local.address = address_from6(<const uint8_t*>&six.ipi6_addr)
            local.version = 6
            if local.address.high >> 54 == 0xfe80 >> 6:
                local.scope = six.ipi6_ifindex
            else:
                six.ipi6_ifindex = 0
            found = control
        control = CMSG_NXTHDR(header, control)
    if found == NULL:
        return False
    if <void*>found != header.msg_control:
        # Two that follow one another may overlap.
        memmove(header.msg_control, found, found.cmsg_len)
    header.msg_controllen = CMSG_SPACE(sizeof(in_pktinfo) if local.version == 4 else sizeof(in6_pktinfo))
    return True


cdef void flush(room_t* room, int fd) noexcept nogil:
    cdef answers_t* answers = &room.answers
    cdef unsigned int done = 0
    cdef int sent
    while done < answers.count:
        sent = sendmmsg(fd, answers.messages + done, answers.count - done, MSG_DONTWAIT)
        if sent > 0:
            done += sent
            room.cookies_sent += sent
        elif errno == EAGAIN:
            # The queue is full: who was not answered asks again.
            room.cookies_unsent += answers.count - done
            break
        elif errno != EINTR:
            # No route, or a firewall of our own: that is about this one.
            room.cookies_unsent += 1
            done += 1
    answers.count = 0


cdef uint8_t* next_answer(room_t* room, int fd, int index, size_t marker) noexcept nogil:
    """The octets of one more answer to message `index`, of which the cookie is still to be written."""
    cdef answers_t* answers = &room.answers
    cdef msghdr* request = &room.messages[index].msg_hdr
    cdef msghdr* header
    if answers.count == BATCH:
        flush(room, fd)
    header = &answers.messages[answers.count].msg_hdr
    answers.vectors[answers.count].iov_base = answers.octets[answers.count]
    answers.vectors[answers.count].iov_len = marker + ANSWER
    memset(header, 0, sizeof(msghdr))
    header.msg_iov = answers.vectors + answers.count
    header.msg_iovlen = 1
    header.msg_name = request.msg_name
    header.msg_namelen = request.msg_namelen
    header.msg_control = request.msg_control
    header.msg_controllen = request.msg_controllen
    memset(answers.octets[answers.count], 0, marker)
    answers.count += 1
    return answers.octets[answers.count - 1] + marker


cdef void ask(
    room_t* room, int fd, int index, size_t marker, const uint8_t* data, const uint8_t* cookie,
) noexcept nogil:
    """A response with a COOKIE notify and no responder's SPI (RFC 7296 section 2.6)."""
    cdef uint8_t* out = next_answer(room, fd, index, marker)
    memset(out, 0, ANSWER)
    memcpy(out, data, SPI)
    out[16] = PAYLOAD_NOTIFY
    out[17] = VERSION
    out[AT_EXCHANGE] = data[AT_EXCHANGE]
    out[19] = FLAG_RESPONSE
    store_be32(out + 24, ANSWER)
    store_be16(out + HEADER + 2, ANSWER - HEADER)
    store_be16(out + HEADER + 6, NOTIFY_COOKIE)
    memcpy(out + HEADER + 8, cookie, COOKIE_OCTETS)


cdef class Gate:
    """See gate.pyi."""

    cdef room_t* room

    def __cinit__(self) -> None:
        self.room = <room_t*>calloc(1, sizeof(room_t))
        if self.room == NULL:
            raise MemoryError
        # Pages that no datagram needs are never touched.
        self.room.slots = <uint8_t*>malloc(BATCH * SLOT)
        if self.room.slots == NULL:
            raise MemoryError
        whole(self.room)

    def __dealloc__(self) -> None:
        if self.room != NULL:
            free(self.room.slots)
            free(self.room)

    def set_rule(self, always: bool, number: int, newest: bytes, before: bytes | None, mark: bytes, rate: int) -> None:
        cdef const uint8_t* earlier = NULL
        if len(newest) != SECRET or len(mark) != SECRET or (before is not None and len(before) != SECRET):
            raise ValueError(f"a secret has {SECRET} octets")
        if not 0 <= number <= 255 or not 0 <= rate <= 1000000:
            raise ValueError("the number of a secret is one octet, the rate at most a million")
        if before is not None:
            earlier = <const uint8_t*>PyBytes_AsString(before)
        admission_set(
            &self.room.rule, always, number, <const uint8_t*>PyBytes_AsString(newest), earlier,
            <const uint8_t*>PyBytes_AsString(mark), rate,
        )
        self.room.ready = True

    def read(self, fd: int, port: int, natt: bool) -> list[tuple[bytes, str, int, str, int]]:
        cdef room_t* room = self.room
        cdef timespec now
        cdef int descriptor = fd
        cdef size_t marker = MARKER if natt else 0
        cdef uint16_t own = port
        cdef int count = BATCH
        cdef int seen = 0
        cdef int index
        cdef list found = []
        clock_gettime(CLOCK_MONOTONIC, &now)
        room.now_ms = <uint64_t>now.tv_sec * 1000 + <uint64_t>now.tv_nsec // 1000000
        while count == BATCH and seen < TURN and len(found) < ENTER:
            with nogil:
                count = recvmmsg(descriptor, room.messages, BATCH, MSG_DONTWAIT, NULL)
            if count < 0:
                # An ICMP error of an earlier datagram arrives here; it says nothing that could not be forged.
                if errno != EAGAIN and errno != EINTR:
                    room.errors += 1
                break
            for index in range(count):
                self._take(found, descriptor, index, marker, own)
            with nogil:
                flush(room, descriptor)
                whole(room)
            seen += count
        return found

    cdef int _take(self, list found, int fd, int index, size_t marker, uint16_t port) except -1:
        """One message, which may hold many datagrams of one length, the last of which may be shorter."""
        cdef room_t* room = self.room
        cdef mmsghdr* message = room.messages + index
        cdef const uint8_t* data = room.slots + index * SLOT
        cdef size_t left = message.msg_len
        cdef size_t len
        cdef uint32_t segment
        cdef endpoint_t local
        cdef endpoint_t remote
        memset(&local, 0, sizeof(local))
        if message.msg_hdr.msg_flags & MSG_TRUNC:
            room.truncated += 1
            return 0
        if not placed(&message.msg_hdr, &local, &segment):
            room.unplaced += 1
            return 0
        endpoint_from_socket(room.sources + index, &remote)
        local.port = port
        while True:
            len = min(left, segment)
            if self._admit(fd, index, data, len, marker, &remote):
                found.append((
                    PyBytes_FromStringAndSize(<const char*>data + marker, len - marker), endpoint_text(&local), port,
                    endpoint_text(&remote), remote.port,
                ))
            data += len
            left -= len
            if left == 0:
                return 0

    cdef bint _admit(
        self, int fd, int index, const uint8_t* data, size_t len, size_t marker, const endpoint_t* remote,
    ) noexcept nogil:
        cdef room_t* room = self.room
        cdef uint8_t cookie[COOKIE_OCTETS]
        cdef verdict_t verdict
        if marker and len == 1 and data[0] == 0xff:
            room.keepalives += 1
            return False
        if len < marker or not room.ready or (marker and load_be32(data) != 0):
            room.short += 1
            return False
        verdict = admission_judge(&room.rule, data + marker, len - marker, remote.address, room.now_ms, cookie)
        if verdict == VERDICT_COOKIE:
            ask(room, fd, index, marker, data + marker, cookie)
        return verdict == VERDICT_ENTER

    def join(self, fd: int) -> None:
        cdef int on = 1
        # A kernel before 5.0 has no such option, and joins nothing.
        setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on))

    def missed(self, fd: int) -> int:
        cdef uint32_t values[SK_MEMINFO_VARS]
        cdef socklen_t length = sizeof(values)
        if getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &length) < 0:
            return 0
        return values[<int>SK_MEMINFO_DROPS]

    def counters(self) -> dict[str, int]:
        cdef room_t* room = self.room
        cdef int index
        found = {name: room.rule.counts[index] for index, name in enumerate(COUNTS)}
        found["cookies-sent"] = room.cookies_sent
        found["cookies-unsent"] = room.cookies_unsent
        found["keepalives"] = room.keepalives
        found["not-ike"] = room.short
        found["datagram-truncated"] = room.truncated
        found["receive-without-address"] = room.unplaced
        found["receive-errors"] = room.errors
        return {name: count for name, count in found.items() if count}


def steer(fd: int) -> None:
    cdef int error = group_ike(fd)
    if error:
        raise OSError(error, os.strerror(error))
