"""The lanes as the control thread holds them: their life, their descriptors, their mail.

What the control thread takes away from the lanes it keeps in `_leaving` until every lane has read the mail that says
so; only then is the memory freed. While the lanes do not run, the control thread reads their mail in their place.
"""

import atexit
import os
import weakref
from collections.abc import Sequence

from rhp._fast.kernel import spoils_equal_trains

cimport cython
from libc.errno cimport errno
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from posix.time cimport timespec

from atomic cimport ACQUIRE, RELAXED, load64, store64
from linux_socket cimport *
from linux_system cimport *

from rhp._fast.drops cimport DROP_SOCKET_FULL
from rhp._fast.domain cimport Domain, Queue, mac_number
from rhp._fast.hub cimport HUB_SLOTS
from rhp._fast.lane cimport *
from rhp._fast.lane_memory cimport lane_free, lane_give_socket, lane_new
from rhp._fast.mailbox cimport *
from rhp._fast.octets cimport be16
from rhp._fast.rules cimport DOORS, rule_find
from rhp._fast.stats cimport stats_sum

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

    def __cinit__(self, lanes: int = 1, steering: str = "flow", spare: int = 0) -> None:
        cdef int index
        self.event_fd = -1
        self._leaving = []
        self._hubs = {}
        if not 1 <= lanes <= MAX_LANES or not 0 <= spare <= MAX_LANES - lanes:
            raise ValueError(f"{lanes} lanes and {spare} spare ones are not within 1..{MAX_LANES}")
        self._rule = rule_find(steering)
        self._process = getpid()
        self._lane = <lane_t**>calloc(lanes + spare, sizeof(void*))
        self._past = <stats_t*>calloc(lanes + spare, sizeof(stats_t))
        if self._lane == NULL or self._past == NULL:
            raise MemoryError
        self.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self.event_fd < 0:
            raise OSError(errno, os.strerror(errno))
        for index in range(lanes + spare):
            self._lane[index] = lane_new(index, lanes + spare, self.event_fd)
            if self._lane[index] == NULL:
                raise MemoryError
            self.prepared += 1
        self.lanes = lanes
        self._hubs[0] = Domain(self.prepared, 0, HUB_SLOTS)
        self._mail_hub(MAIL_ADD_HUB, self._hubs[0])
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

    cdef int _check_lane(self, int lane, bint prepared=False) except -1:
        self._check()
        if not 0 <= lane < (self.prepared if prepared else self.lanes):
            raise ValueError(f"there is no lane {lane}")
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

    def add_lane(self) -> int:
        cdef int lane = self.lanes
        cdef int error
        self._check()
        if lane == self.prepared:
            raise ValueError(f"all {lane} lanes are in use")
        # It knows every port and SA already: the control thread read its mail for it.
        error = lane_start(self._lane[lane]) if self.running else 0
        if error:
            raise OSError(error, os.strerror(error))
        self.lanes += 1
        return lane

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
        for index in range(self.prepared):
            lane_free(self._lane[index])
            self._lane[index] = NULL
        self.lanes = self.prepared = 0
        free(self._lane)
        self._lane = NULL
        free(self._past)
        self._past = NULL
        self._hubs = {}
        if self.event_fd >= 0:
            close(self.event_fd)
            self.event_fd = -1

    # Descriptors.

    cdef int _copy_fd(self, int lane, int fd) except -1:
        cdef int copy
        self._check_lane(lane, prepared=True)
        if self._lane[lane].running:
            raise RuntimeError(f"lane {lane} is running")
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3)
        if copy < 0:
            raise OSError(errno, os.strerror(errno))
        return copy

    cdef int _take_socket(self, int lane, int which, int copy, int doors=0) except -1:
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
            if self.prepared > 1 or doors:
                error = self._rule.group(copy, self.prepared, doors)
        elif self.prepared > 1:
            error = self._rule.raw(copy, AF_INET6 if six else AF_INET, lane, self.prepared)
        if error == 0 and lane_give_socket(self._lane[lane], which, copy, <uint16_t>port) == 0:
            return 0
        close(copy)
        if error:
            raise OSError(error, os.strerror(error))
        raise MemoryError

    def attach_udp(
        self, lane: int, fd: int, family: int, *, tail: bool | None = None, with_doors: bool = False,
    ) -> None:
        if family != AF_INET and family != AF_INET6:
            raise ValueError(f"address family {family} is neither IPv4 nor IPv6")
        if tail is None:
            tail = spoils_equal_trains(os.uname().release)
        self._take_socket(lane, family == AF_INET6, self._copy_fd(lane, fd), DOORS if with_doors else 0)
        self._lane[lane].queues[family == AF_INET6].tail = bool(tail)

    def attach_raw(self, lane: int, fd: int, family: int) -> None:
        if family != AF_INET and family != AF_INET6:
            raise ValueError(f"address family {family} is neither IPv4 nor IPv6")
        self._take_socket(lane, RAW_SOCKETS + (family == AF_INET6), self._copy_fd(lane, fd))

    def attach_tap(self, lane: int, fd: int, mac: bytes, offloads: int = 0, hub: int = 0) -> None:
        cdef Domain domain = self._domain(hub)
        cdef uint64_t number = mac_number(mac)
        cdef message_t message
        cdef Queue queue
        cdef int copy
        cdef int error
        self._check_lane(lane, prepared=True)
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3)
        if copy < 0:
            raise OSError(errno, os.strerror(errno))
        queue = Queue(copy, offloads)
        error = self._rule.tap(copy) if self.prepared > 1 else 0
        if error:
            raise OSError(error, os.strerror(error))
        fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | O_NONBLOCK)
        domain.set_tap_mac(number)
        memset(&message, 0, sizeof(message))
        message.kind = MAIL_TAP
        message.hub = domain.hub
        message.fd = copy
        message.offloads = offloads
        self._turn += 1
        message.turn = self._turn
        before, domain.queues[lane] = domain.queues[lane], queue
        self._mail_to(lane, &message)
        if before is not None:
            self._leave(before)
            self._collect()

    def pin(self, cpus: Sequence[int]) -> None:
        cdef int index
        self._check(stopped=True)
        if len(cpus) not in (0, self.lanes) or not all(0 <= cpu < CPU_SETSIZE for cpu in cpus):
            raise ValueError(f"{list(cpus)} is not one processor for each of {self.lanes} lanes")
        for index in range(self.lanes):
            self._lane[index].cpu = cpus[index] if cpus else -1

    def cpu(self, lane: int) -> tuple[int | None, int]:
        self._check_lane(lane)
        pinned = self._lane[lane].cpu
        return None if pinned < 0 else pinned, lane_cpu_time(self._lane[lane])

    def offloads(self, lane: int, hub: int = 0) -> dict[str, object]:
        cdef Domain domain = self._domain(hub)
        cdef queue_t* queue
        cdef int which
        found = {}
        self._check_lane(lane)
        tap = domain.queues[lane]
        found["tap"] = 0 if tap is None else tap.offloads
        for which, name in enumerate(("udp4", "udp6", "esp4", "esp6")):
            queue = self._lane[lane].queues + which
            if queue.fd >= 0:
                found[name] = (queue.segments_max, bool(queue.receives_trains))
        return found

    cdef void _count_missed(self, int lane) noexcept:
        cdef lane_t* asked = self._lane[lane]
        cdef uint32_t values[SK_MEMINFO_VARS]
        cdef socklen_t length
        cdef uint64_t missed = 0
        cdef int which
        for which in range(SOCKETS):
            length = sizeof(values)
            if asked.queues[which].fd >= 0 and getsockopt(
                asked.queues[which].fd, SOL_SOCKET, SO_MEMINFO, values, &length
            ) == 0:
                missed += values[<int>SK_MEMINFO_DROPS]
        # The lane itself never writes this one.
        store64(&asked.stats.drops[<int>DROP_SOCKET_FULL], missed, RELAXED)

    cdef void _count(self, int lane, stats_t* total) noexcept:
        cdef Domain domain
        self._count_missed(lane)
        stats_sum(total, &self._lane[lane].stats)
        stats_sum(total, self._past + lane)
        for domain in self._hubs.values():
            domain.count(lane, total)
        for _, leaving in self._leaving:
            if isinstance(leaving, Domain):
                domain = leaving
                domain.count(lane, total)

    cdef Domain _domain(self, object number):
        self._check()
        if number not in self._hubs:
            raise KeyError(f"there is no hub {number}")
        return self._hubs[number]

    # Mail.

    cdef void _mail_hub(self, int kind, Domain domain) noexcept:
        cdef message_t message
        memset(&message, 0, sizeof(message))
        message.kind = <mail_t>kind
        message.hub = domain.hub
        self._mail(&message)

    cdef void _mail(self, const message_t* message) noexcept:
        """To every lane, the spare ones too."""
        cdef int index
        for index in range(self.prepared):
            self._mail_to(index, message)

    cdef void _mail_to(self, int lane, const message_t* message) noexcept:
        """To one lane. A full mailbox is one whose lane is just at it."""
        cdef lane_t* reader = self._lane[lane]
        cdef timespec pause
        pause.tv_sec = 0
        pause.tv_nsec = 50000
        while not mailbox_post(&reader.mailbox, message):
            if not reader.running:
                lane_read_mail(reader)
                continue
            lane_wake(reader)
            with nogil:
                nanosleep(&pause, NULL)
        if reader.running:
            lane_wake(reader)
        else:
            lane_read_mail(reader)

    cdef void _collect(self) noexcept:
        """For the class that knows what is carried: let go of what no lane can know any more."""

    cdef void _leave(self, object leaving) noexcept:
        """Keep an object alive until every lane has read all that was mailed so far."""
        positions = [self._lane[index].mailbox.head for index in range(self.prepared)]
        self._leaving.append((positions, leaving))

    cdef bint _gone(self, list positions) noexcept:
        """Whether every lane has read its mail up to there."""
        cdef int index
        for index in range(self.prepared):
            if load64(&self._lane[index].mailbox.tail, ACQUIRE) < <uint64_t>positions[index]:
                return False
        return True
