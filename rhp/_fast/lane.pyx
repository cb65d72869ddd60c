"""A lane: one native thread that carries packets from its TAP queue to its sockets and back."""

from libc.errno cimport errno
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memset
from posix.time cimport timespec

from atomic cimport ACQUIRE, RELEASE, load64, store64
from linux_system cimport *

from rhp._fast.drops cimport DROP_HELD_RETIRED
from rhp._fast.early cimport early_keep, early_take
from rhp._fast.events cimport ring_nudge, ring_signal
from rhp._fast.forward cimport forward_frame
from rhp._fast.frame cimport frame_is_control, frame_parse, frame_t
from rhp._fast.hub cimport MAX_HUBS, hub_t
from rhp._fast.hub_lane cimport hub_lane_t, hub_view
from rhp._fast.inbound cimport inbound_finish, inbound_overdue, inbound_process, spi_insert, spi_remove
from rhp._fast.mailbox cimport *
from rhp._fast.outer cimport inbox_receive, inbox_reset
from rhp._fast.parcel cimport SUPER_NONE, parcel_t
from rhp._fast.pathmtu cimport path_probe
from rhp._fast.reorder cimport reorder_deadline, reorder_forget
from rhp._fast.routes cimport route_insert, route_remove
from rhp._fast.sadb cimport *
from rhp._fast.seal cimport seal_finish
from rhp._fast.stats cimport TOTAL_WAKEUPS, bump
from rhp._fast.tap cimport tap_read, tap_unwatch, tap_use, tap_watch

cdef enum:
    EPOLL_EVENTS = 32               # Of one turn.
    THREAD_NAME = 16
    TRAINS = 4                      # From one socket, before others have their turn.
    NS_PER_MS = 1000000


# Mail.

cdef void join_ring(lane_t* lane, hub_lane_t* hub, port_lane_t* port) noexcept nogil:
    """The ports of a hub among which frames are flooded."""
    cdef port_lane_t* last
    if hub.first == 0:
        hub.first = port.next = port.previous = <uint16_t>port.port.number
    else:
        last = lane.ports[lane.ports[hub.first].previous]
        port.next = <uint16_t>hub.first
        port.previous = <uint16_t>last.port.number
        lane.ports[hub.first].previous = last.next = <uint16_t>port.port.number
    hub.ethernet_count += 1


cdef void leave_ring(lane_t* lane, hub_lane_t* hub, port_lane_t* port) noexcept nogil:
    lane.ports[port.previous].next = port.next
    lane.ports[port.next].previous = port.previous
    hub.ethernet_count -= 1
    if hub.ethernet_count == 0:
        hub.first = 0
    elif hub.first == port.port.number:
        hub.first = port.next


cdef void add_port(lane_t* lane, port_lane_t* port) noexcept nogil:
    cdef hub_lane_t* hub = lane.hubs[port.hub]
    cdef int index
    lane.ports[port.port.number] = port
    if port.port.kind == PORT_ETHERNET:
        join_ring(lane, hub, port)
        return
    hub.ip_count += 1
    for index in range(port.port.prefixes):
        route_insert(hub.routes, port.routes + index)


cdef void remove_port(lane_t* lane, port_lane_t* port) noexcept nogil:
    cdef hub_lane_t* hub = lane.hubs[port.hub]
    cdef int index
    if port.port.kind == PORT_ETHERNET:
        leave_ring(lane, hub, port)
    else:
        hub.ip_count -= 1
        for index in range(port.port.prefixes):
            route_remove(hub.routes, port.routes + index)
    lane.ports[port.port.number] = NULL


cdef void come_to(lane_t* lane, hub_lane_t* hub) noexcept nogil:
    """Somebody came whom the host may have asked for."""
    if not hub.early.due:
        hub.early.due = True
        hub.due = lane.due
        lane.due = hub


cdef void remove_hub(lane_t* lane, hub_lane_t* hub) noexcept nogil:
    cdef hub_lane_t** place = &lane.due
    tap_unwatch(lane, hub)
    hub.tap = -1
    while place[0] != NULL and place[0] != hub:
        place = &place[0].due
    if place[0] == hub:
        place[0] = hub.due
    lane.hubs[hub.hub.number] = NULL


cdef void install(lane_t* lane, sa_lane_t* view, const message_t* message) noexcept nogil:
    view.port = &view.sa.port.lanes[lane.index]
    sa_set_path(view, message)
    if view.sa.spi_in % lane.lanes == <uint32_t>lane.index:
        spi_insert(lane, view)


cdef void retire(lane_t* lane, sa_lane_t* view) noexcept nogil:
    cdef int held = reorder_forget(&lane.reorder, &view.order)
    bump(&lane.stats.drops[<int>DROP_HELD_RETIRED], held)
    bump(&view.port.drops, held)
    if view.port.outbound == view:
        view.port.outbound = NULL
    spi_remove(lane, view)


cdef void try_trains_again(port_lane_t* port) noexcept nogil:
    """A path that was too narrow for trains may be wide again, or never was: over IPv6 the kernel believes ICMP."""
    if port.outbound != NULL and port.outbound.train_fit:
        port.outbound.train_fit = TRAIN_FIT_ALL


cdef void read_message(lane_t* lane, const message_t* message) noexcept nogil:
    cdef sa_lane_t* view = NULL
    cdef port_lane_t* port = NULL
    cdef hub_lane_t* hub = NULL
    if message.hub != NULL:
        hub = hub_view(<const hub_t*>message.hub, lane.index)
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
        come_to(lane, lane.hubs[port.hub])
    elif message.kind == MAIL_PROBE:
        try_trains_again(view.port)
        if view.sa.spi_in % lane.lanes == <uint32_t>lane.index:
            path_probe(lane, view, message.octets)
    elif message.kind == MAIL_ADD_HUB:
        lane.hubs[hub.hub.number] = hub
    elif message.kind == MAIL_REMOVE_HUB:
        remove_hub(lane, hub)
    elif message.kind == MAIL_TAP:
        tap_use(lane, hub, message.fd, message.offloads, message.turn)
    if message.kind in (MAIL_REMOVE_PORT, MAIL_RETIRE, MAIL_REMOVE_HUB, MAIL_TAP):
        ring_nudge(&lane.ring)


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


cdef void finish(lane_t* lane) noexcept nogil:
    """Sends what was put together and what was sealed."""
    inbound_finish(lane)
    seal_finish(lane)


cdef void serve_socket(lane_t* lane, int which) noexcept nogil:
    """A train at a time, while they follow one another, so that what was cut apart between two becomes one again."""
    cdef queue_t* socket = lane.queues + which
    cdef int count
    for _ in range(TRAINS):
        count = inbox_receive(lane, socket)
        # Before the first packet is looked at, for it may answer what the mail tells of.
        if mailbox_peek(&lane.mailbox) != NULL:
            # Nothing may be put together or wait to be sent of what the mail retires.
            finish(lane)
            lane_read_mail(lane)
        if count == 0:
            break
        inbound_process(lane, which, count)
        inbox_reset(lane, count)
        if not socket.grouped:
            break
    finish(lane)


cdef void serve_held(lane_t* lane) noexcept nogil:
    """What has waited long enough for the packets in front of it; after the sockets, where these may just have come."""
    inbound_overdue(lane)
    finish(lane)


cdef bint goes_first(const parcel_t* parcel) noexcept nogil:
    cdef frame_t frame
    return (
        parcel.kind == SUPER_NONE and frame_parse(parcel.data, parcel.len, &frame) == 0
        and frame_is_control(parcel.data, parcel.len, &frame)
    )


cdef void serve_tap(lane_t* lane, uint32_t number, uint32_t turn, uint32_t polled) noexcept nogil:
    cdef hub_lane_t* hub = lane.hubs[number]
    cdef parcel_t parcels[BATCH]
    cdef int bulk[BATCH]
    cdef int waiting = 0
    cdef int count
    cdef int index
    # Mail that came since epoll spoke may have taken the queue away.
    if hub == NULL or hub.tap < 0 or hub.turn != turn:
        return
    count = tap_read(lane, hub, parcels, polled)
    lane_read_mail(lane)
    if lane.hubs[number] != hub:
        return
    for index in range(count):
        if goes_first(parcels + index):
            if hub.ethernet_count == 0 and hub.ip_count == 0:
                early_keep(&hub.early, parcels + index, lane.now_ms)
            lane.expected = count - index + waiting
            forward_frame(lane, hub, NULL, parcels + index)
        else:
            bulk[waiting] = index
            waiting += 1
    for index in range(waiting):
        lane.expected = waiting - index
        forward_frame(lane, hub, NULL, parcels + bulk[index])
    seal_finish(lane)


cdef void serve_early(lane_t* lane) noexcept nogil:
    """Somebody came: what the host has asked in vain, it asks now."""
    cdef hub_lane_t* hub = lane.due
    cdef parcel_t parcel
    while hub != NULL:
        hub.early.due = False
        while early_take(&hub.early, lane.now_ms, &parcel):
            lane.expected = 1
            forward_frame(lane, hub, NULL, &parcel)
        hub = hub.due
    lane.due = NULL
    seal_finish(lane)


cdef void clear_wake(lane_t* lane) noexcept nogil:
    cdef uint64_t value
    read(lane.wake, &value, sizeof(value))


cdef void heed_wake(lane_t* lane) noexcept nogil:
    """The mail after the wake-up, so that what is posted meanwhile wakes the lane again."""
    clear_wake(lane)
    lane_read_mail(lane)


cdef int patience(const lane_t* lane) noexcept nogil:
    """Milliseconds that the lane may sleep; -1: until something happens."""
    cdef uint64_t deadline
    if lane.reorder.used == 0:
        return -1
    deadline = reorder_deadline(&lane.reorder)
    return <int>((deadline - lane.now + NS_PER_MS - 1) / NS_PER_MS) if deadline > lane.now else 0


cdef void* lane_run(void* argument) noexcept nogil:
    cdef lane_t* lane = <lane_t*>argument
    cdef epoll_event events[EPOLL_EVENTS]
    cdef int count
    cdef int index
    cdef uint32_t what
    while not load64(&lane.stop, ACQUIRE):
        count = epoll_wait(lane.epoll, events, EPOLL_EVENTS, patience(lane))
        bump(&lane.stats.totals[<int>TOTAL_WAKEUPS], 1)
        look_at_clock(lane)
        lane_read_mail(lane)
        for index in range(count):
            what = <uint32_t>events[index].data.u64
            if what < SOCKETS:
                serve_socket(lane, what)
            elif what >= EVENT_TAP:
                serve_tap(lane, what - EVENT_TAP, <uint32_t>(events[index].data.u64 >> 32), events[index].events)
            else:
                heed_wake(lane)
        if lane.due != NULL:
            serve_early(lane)
        if lane.reorder.used:
            serve_held(lane)
        ring_signal(&lane.ring)
        ring_signal(&lane.mirror.ring)
    return NULL


# Starting and stopping, by the control thread.

cdef int watch(lane_t* lane, int fd, uint32_t what) noexcept nogil:
    cdef epoll_event event
    memset(&event, 0, sizeof(event))
    event.events = EPOLLIN
    event.data.u64 = what
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
    for which in range(MAX_HUBS):
        if error == 0 and lane.hubs[which] != NULL:
            error = tap_watch(lane, lane.hubs[which])
    return error


cdef void close_epoll(lane_t* lane) noexcept nogil:
    if lane.epoll >= 0:
        close(lane.epoll)
        lane.epoll = -1


cdef int create_thread(lane_t* lane) noexcept nogil:
    """0 or an errno, as for a processor that is not there."""
    cdef pthread_attr_t attributes
    cdef cpu_set_t cpus
    cdef int error = pthread_attr_init(&attributes)
    if error:
        return error
    if lane.cpu >= 0:
        CPU_ZERO(&cpus)
        CPU_SET(lane.cpu, &cpus)
        error = pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus)
    if error == 0:
        error = pthread_create(&lane.thread, &attributes, lane_run, lane)
    pthread_attr_destroy(&attributes)
    return error


cdef uint64_t lane_cpu_time(const lane_t* lane) noexcept nogil:
    cdef timespec spent
    cdef int clock
    if not lane.running or pthread_getcpuclockid(lane.thread, &clock) != 0 or clock_gettime(clock, &spent) != 0:
        return lane.cpu_ns
    return lane.cpu_ns + <uint64_t>spent.tv_sec * 1000000000 + <uint64_t>spent.tv_nsec


cdef int lane_start(lane_t* lane) noexcept nogil:
    cdef char name[THREAD_NAME]
    cdef sigset_t all_signals
    cdef sigset_t before
    cdef int error = make_epoll(lane)
    if error == 0:
        store64(&lane.stop, 0, RELEASE)
        sigfillset(&all_signals)
        pthread_sigmask(SIG_SETMASK, &all_signals, &before)
        error = create_thread(lane)
        pthread_sigmask(SIG_SETMASK, &before, NULL)
    if error:
        close_epoll(lane)
        return error
    snprintf(name, THREAD_NAME, "rhp-lane-%d", lane.index)
    pthread_setname_np(lane.thread, name)
    lane.running = True
    return 0


cdef void lane_wake(lane_t* lane) noexcept nogil:
    cdef uint64_t one = 1
    write(lane.wake, &one, sizeof(one))


cdef void lane_stop(lane_t* lane) noexcept nogil:
    lane.cpu_ns = lane_cpu_time(lane)
    lane.running = False
    store64(&lane.stop, 1, RELEASE)
    lane_wake(lane)
    pthread_join(lane.thread, NULL)
    close_epoll(lane)
    clear_wake(lane)
