"""A lane: one native thread that carries packets from its TAP queue to its sockets and back."""

from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memset
from posix.time cimport timespec

from atomic cimport ACQUIRE, RELEASE, load64, store64
from linux_system cimport *

from rhp._fast.events cimport ring_signal
from rhp._fast.forward cimport forward_frame
from rhp._fast.frame cimport frame_is_control, frame_parse, frame_t
from rhp._fast.inbound cimport inbound_process, spi_insert, spi_remove
from rhp._fast.mailbox cimport *
from rhp._fast.outer cimport inbox_receive, inbox_reset
from rhp._fast.sadb cimport *
from rhp._fast.seal cimport seal_finish
from rhp._fast.stats cimport TOTAL_WAKEUPS, bump
from rhp._fast.tap cimport tap_read

cdef enum:
    # What epoll reports: the index of a socket, or one of these.
    EVENT_TAP = SOCKETS
    EVENT_WAKE = SOCKETS + 1
    EPOLL_EVENTS = SOCKETS + 2
    THREAD_NAME = 16
    NS_PER_MS = 1000000


# Mail.

cdef void join_list(port_lane_t** items, int* count, port_lane_t* port) noexcept nogil:
    port.place = count[0]
    items[count[0]] = port
    count[0] += 1


cdef void leave_list(port_lane_t** items, int* count, port_lane_t* port) noexcept nogil:
    count[0] -= 1
    items[port.place] = items[count[0]]
    items[port.place].place = port.place


cdef void add_port(lane_t* lane, port_lane_t* port) noexcept nogil:
    lane.ports[port.port.number] = port
    if port.port.kind == PORT_ETHERNET:
        join_list(lane.ethernet, &lane.ethernet_count, port)
        return
    lane.ip_count += 1
    if port.port.owns_ranges:
        join_list(lane.routed, &lane.routed_count, port)


cdef void remove_port(lane_t* lane, port_lane_t* port) noexcept nogil:
    lane.ports[port.port.number] = NULL
    if port.port.kind == PORT_ETHERNET:
        leave_list(lane.ethernet, &lane.ethernet_count, port)
        return
    lane.ip_count -= 1
    if port.port.owns_ranges:
        leave_list(lane.routed, &lane.routed_count, port)


cdef void install(lane_t* lane, sa_lane_t* view, const message_t* message) noexcept nogil:
    view.port = &view.sa.port.lanes[lane.index]
    sa_set_path(view, message)
    if view.sa.spi_in % lane.lanes == <uint32_t>lane.index:
        spi_insert(lane, view)


cdef void retire(lane_t* lane, sa_lane_t* view) noexcept nogil:
    if view.port.outbound == view:
        view.port.outbound = NULL
    spi_remove(lane, view)


cdef void read_message(lane_t* lane, const message_t* message) noexcept nogil:
    cdef sa_lane_t* view = NULL
    cdef port_lane_t* port = NULL
    if message.sa != NULL:
        view = &(<sa_t*>message.sa).lanes[lane.index]
    if message.port != NULL:
        port = &(<port_t*>message.port).lanes[lane.index]
    if message.kind == MAIL_ADD_PORT:
        add_port(lane, port)
    elif message.kind == MAIL_REMOVE_PORT:
        remove_port(lane, port)
    elif message.kind == MAIL_INSTALL:
        install(lane, view, message)
    elif message.kind == MAIL_RETIRE:
        retire(lane, view)
    elif message.kind == MAIL_MIGRATE:
        sa_set_path(view, message)
    elif message.kind == MAIL_OUTBOUND:
        port.outbound = view


cdef void lane_read_mail(lane_t* lane) noexcept nogil:
    cdef const message_t* message = mailbox_peek(&lane.mailbox)
    while message != NULL:
        read_message(lane, message)
        mailbox_done(&lane.mailbox)
        message = mailbox_peek(&lane.mailbox)


# The loop.

cdef void look_at_clock(lane_t* lane) noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    lane.now = <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec
    lane.now_ms = lane.now / NS_PER_MS


cdef void serve_socket(lane_t* lane, int which) noexcept nogil:
    cdef int count = inbox_receive(lane, lane.queues + which)
    lane_read_mail(lane)
    if count:
        inbound_process(lane, which, count)
        seal_finish(lane)
        inbox_reset(lane, count)


cdef void send_frame(lane_t* lane, int slot, uint32_t length, unsigned int left) noexcept nogil:
    lane.expected = left
    forward_frame(lane, NULL, lane.frames + slot * SLOT_STRIDE + HEAD_ROOM, length)


cdef void serve_tap(lane_t* lane, uint32_t polled) noexcept nogil:
    cdef uint32_t lengths[BATCH]
    cdef int bulk[BATCH]
    cdef int waiting = 0
    cdef int count
    cdef int index
    cdef frame_t frame
    cdef const uint8_t* data
    if lane.tap < 0:
        return
    count = tap_read(lane, lengths, polled)
    lane_read_mail(lane)
    for index in range(count):
        data = lane.frames + index * SLOT_STRIDE + HEAD_ROOM
        if frame_parse(data, lengths[index], &frame) == 0 and frame_is_control(data, lengths[index], &frame):
            send_frame(lane, index, lengths[index], count - index + waiting)
        else:
            bulk[waiting] = index
            waiting += 1
    for index in range(waiting):
        send_frame(lane, bulk[index], lengths[bulk[index]], waiting - index)
    seal_finish(lane)


cdef void clear_wake(lane_t* lane) noexcept nogil:
    cdef uint64_t value
    read(lane.wake, &value, sizeof(value))


cdef void* lane_run(void* argument) noexcept nogil:
    cdef lane_t* lane = <lane_t*>argument
    cdef epoll_event events[EPOLL_EVENTS]
    cdef int count
    cdef int index
    cdef uint32_t what
    while not load64(&lane.stop, ACQUIRE):
        count = epoll_wait(lane.epoll, events, EPOLL_EVENTS, -1)
        bump(&lane.stats.totals[<int>TOTAL_WAKEUPS], 1)
        look_at_clock(lane)
        lane_read_mail(lane)
        for index in range(count):
            what = events[index].data.u32
            if what < SOCKETS:
                serve_socket(lane, what)
            elif what == EVENT_TAP:
                serve_tap(lane, events[index].events)
            else:
                clear_wake(lane)
        ring_signal(&lane.ring)
    return NULL


# Starting and stopping, by the control thread.

cdef int watch(lane_t* lane, int fd, uint32_t what) noexcept nogil:
    cdef epoll_event event
    memset(&event, 0, sizeof(event))
    event.events = EPOLLIN
    event.data.u32 = what
    return 0 if fd < 0 or epoll_ctl(lane.epoll, EPOLL_CTL_ADD, fd, &event) == 0 else errno


cdef int make_epoll(lane_t* lane) noexcept nogil:
    """0 or an errno."""
    cdef int error
    cdef int which
    lane.epoll = epoll_create1(EPOLL_CLOEXEC)
    if lane.epoll < 0:
        return errno
    error = watch(lane, lane.wake, EVENT_WAKE)
    for which in range(SOCKETS):
        if error == 0:
            error = watch(lane, lane.queues[which].fd, which)
    return error if error else watch(lane, lane.tap, EVENT_TAP)


cdef void close_epoll(lane_t* lane) noexcept nogil:
    if lane.epoll >= 0:
        close(lane.epoll)
        lane.epoll = -1


cdef int lane_start(lane_t* lane) noexcept nogil:
    cdef char name[THREAD_NAME]
    cdef sigset_t all_signals
    cdef sigset_t before
    cdef int error = make_epoll(lane)
    if error == 0:
        store64(&lane.stop, 0, RELEASE)
        sigfillset(&all_signals)
        pthread_sigmask(SIG_SETMASK, &all_signals, &before)
        error = pthread_create(&lane.thread, NULL, lane_run, lane)
        pthread_sigmask(SIG_SETMASK, &before, NULL)
    if error:
        close_epoll(lane)
        return error
    snprintf(name, THREAD_NAME, "rhp-lane-%d", lane.index)
    pthread_setname_np(lane.thread, name)
    return 0


cdef void lane_wake(lane_t* lane) noexcept nogil:
    cdef uint64_t one = 1
    write(lane.wake, &one, sizeof(one))


cdef void lane_stop(lane_t* lane) noexcept nogil:
    store64(&lane.stop, 1, RELEASE)
    lane_wake(lane)
    pthread_join(lane.thread, NULL)
    close_epoll(lane)
    clear_wake(lane)
