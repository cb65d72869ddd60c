"""The lanes as the control thread holds them: their life, their descriptors, their mail.

What the control thread takes away from the lanes it keeps in `_leaving` until every lane has read the mail that says
so; only then is the memory freed. While the lanes do not run, the control thread reads their mail in their place.
"""

import atexit
import os
import weakref

cimport cython
from libc.errno cimport errno
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from posix.time cimport timespec

from atomic cimport ACQUIRE, load64
from linux_socket cimport *
from linux_system cimport *

from rhp._fast.hub cimport hub_free, hub_new, hub_remove_static, hub_set_static
from rhp._fast.lane cimport *
from rhp._fast.lane_memory cimport lane_free, lane_give_socket, lane_new
from rhp._fast.lineage cimport mac_number
from rhp._fast.mailbox cimport *
from rhp._fast.neighbour cimport neighbours_free, neighbours_new
from rhp._fast.octets cimport be16
from rhp._fast.rules cimport rules_for_group, rules_for_raw
from rhp._fast.sadb cimport TAP_PORT

cdef enum:
    MAX_LANES = 64

_open = weakref.WeakSet()


def _close_all() -> None:
    """Before the interpreter ends, no lane may run any more."""
    for lanes in list(_open):
        lanes.close()


atexit.register(_close_all)


@cython.no_gc
cdef class Lanes:
    """Threads, sockets, TAP queues and mailboxes; `DataPlane` adds what is carried.

    The garbage collector does not look inside, because it would take apart what running lanes look at. Nothing in here
    refers back, so there is no cycle to find.
    """

    def __cinit__(self, lanes: int = 1) -> None:
        cdef int index
        self.event_fd = -1
        self._leaving = []
        if not 1 <= lanes <= MAX_LANES:
            raise ValueError(f"{lanes} lanes are not within 1..{MAX_LANES}")
        self._process = getpid()
        self._lane = <lane_t**>calloc(lanes, sizeof(void*))
        self._hub = hub_new()
        self._neighbours = neighbours_new()
        if self._lane == NULL or self._hub == NULL or self._neighbours == NULL:
            raise MemoryError
        self.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self.event_fd < 0:
            raise OSError(errno, os.strerror(errno))
        for index in range(lanes):
            self._lane[index] = lane_new(index, lanes, self._hub, self._neighbours, self.event_fd)
            if self._lane[index] == NULL:
                raise MemoryError
            self.lanes += 1
        _open.add(self)

    def __dealloc__(self) -> None:
        self._tear_down()

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    # Life.

    cdef int _check(self, bint stopped=False) except -1:
        if self._closed:
            raise RuntimeError("the data plane is closed")
        if getpid() != self._process:
            # There are no lanes here, and the mailboxes' descriptors are the parent's. A copy of a live SA would also
            # use its sequence numbers, and so its initialisation vectors, a second time.
            raise RuntimeError("a data plane does not survive a fork")
        if stopped and self.running:
            raise RuntimeError("the lanes are running")
        return 0

    def start(self) -> None:
        cdef int index
        cdef int error
        self._check(stopped=True)
        for index in range(self.lanes):
            error = lane_start(self._lane[index])
            if error:
                while index > 0:
                    index -= 1
                    lane_stop(self._lane[index])
                raise OSError(error, os.strerror(error))
        self.running = True

    cdef void _stop(self) noexcept:
        cdef int index
        cdef int lanes = self.lanes
        if not self.running:
            return
        self.running = False
        if getpid() != self._process:
            return
        with nogil:
            for index in range(lanes):
                lane_stop(self._lane[index])
        for index in range(lanes):
            lane_read_mail(self._lane[index])

    def stop(self) -> None:
        self._stop()

    def close(self) -> None:
        if self._closed:
            return
        self._stop()
        self._closed = True
        # The lanes' views lie in what these objects own; nobody looks at them any more from here on.
        self._let_go()
        self._tear_down()

    cdef void _let_go(self) noexcept:
        """For the class that knows what is carried: drop it all."""

    cdef void _tear_down(self) noexcept:
        cdef int index
        self._stop()
        self._closed = True
        for index in range(self.lanes):
            lane_free(self._lane[index])
            self._lane[index] = NULL
        self.lanes = 0
        free(self._lane)
        self._lane = NULL
        hub_free(self._hub)
        self._hub = NULL
        neighbours_free(self._neighbours)
        self._neighbours = NULL
        if self.event_fd >= 0:
            close(self.event_fd)
            self.event_fd = -1

    # Descriptors.

    cdef int _copy_fd(self, int lane, int fd) except -1:
        cdef int copy
        self._check(stopped=True)
        if not 0 <= lane < self.lanes:
            raise ValueError(f"there is no lane {lane}")
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3)
        if copy < 0:
            raise OSError(errno, os.strerror(errno))
        return copy

    cdef int _take_socket(self, int lane, int which, int copy) except -1:
        """The copy becomes the lane's, whatever happens."""
        cdef sockaddr_in6 address
        cdef socklen_t length = sizeof(address)
        cdef int on = 1
        cdef bint six = which & 1
        cdef uint32_t port = 0
        cdef int level = IPPROTO_IPV6 if six else IPPROTO_IP
        cdef int option = IPV6_RECVPKTINFO if six else IP_PKTINFO
        cdef int error = 0
        memset(&address, 0, sizeof(address))
        if setsockopt(copy, level, option, &on, sizeof(on)) < 0 or getsockname(copy, <sockaddr*>&address, &length) < 0:
            error = errno
        elif which < RAW_SOCKETS:
            # The port stands at the same place in both families' addresses.
            port = be16(address.sin6_port)
            if self.lanes > 1:
                error = rules_for_group(copy, self.lanes)
        elif self.lanes > 1:
            error = rules_for_raw(copy, AF_INET6 if six else AF_INET, lane, self.lanes)
        if error == 0 and lane_give_socket(self._lane[lane], which, copy, <uint16_t>port) == 0:
            return 0
        close(copy)
        if error:
            raise OSError(error, os.strerror(error))
        raise MemoryError

    def attach_udp(self, lane: int, fd: int, family: int) -> None:
        if family != AF_INET and family != AF_INET6:
            raise ValueError(f"address family {family} is neither IPv4 nor IPv6")
        self._take_socket(lane, family == AF_INET6, self._copy_fd(lane, fd))

    def attach_raw(self, lane: int, fd: int, family: int) -> None:
        if family != AF_INET and family != AF_INET6:
            raise ValueError(f"address family {family} is neither IPv4 nor IPv6")
        self._take_socket(lane, RAW_SOCKETS + (family == AF_INET6), self._copy_fd(lane, fd))

    def attach_tap(self, lane: int, fd: int, mac: bytes) -> None:
        cdef uint64_t number = mac_number(mac)
        cdef int copy = self._copy_fd(lane, fd)
        cdef int index
        fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | O_NONBLOCK)
        if self._lane[lane].tap_fd >= 0:
            close(self._lane[lane].tap_fd)
        self._lane[lane].tap = self._lane[lane].tap_fd = copy
        if self._tap_mac is not None and self._tap_mac != number:
            hub_remove_static(self._hub, self._tap_mac)
        self._tap_mac = number
        if hub_set_static(self._hub, number, TAP_PORT) < 0:
            raise ValueError("the MAC table is full of static entries")
        for index in range(self.lanes):
            self._lane[index].tap_mac = number

    # Mail.

    cdef void _mail(self, const message_t* message) noexcept:
        """To every lane. A full mailbox is one whose lane is just at it."""
        cdef int index
        cdef timespec pause
        pause.tv_sec = 0
        pause.tv_nsec = 50000
        for index in range(self.lanes):
            while not mailbox_post(&self._lane[index].mailbox, message):
                if not self.running:
                    lane_read_mail(self._lane[index])
                    continue
                lane_wake(self._lane[index])
                with nogil:
                    nanosleep(&pause, NULL)
            if self.running:
                lane_wake(self._lane[index])
            else:
                lane_read_mail(self._lane[index])

    cdef void _leave(self, object leaving) noexcept:
        """Keep an object alive until every lane has read all that was mailed so far."""
        positions = [self._lane[index].mailbox.head for index in range(self.lanes)]
        self._leaving.append((positions, leaving))

    cdef bint _gone(self, list positions) noexcept:
        """Whether every lane has read its mail up to there."""
        cdef int index
        for index in range(self.lanes):
            if load64(&self._lane[index].mailbox.tail, ACQUIRE) < <uint64_t>positions[index]:
                return False
        return True
