"""A lane's queue of a hub's TAP."""

from libc.errno cimport EAGAIN, EBADF, EBADFD, EFAULT, EINTR, EIO, ENOBUFS, ENODEV, ENOMEM, ENXIO, EPIPE, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from linux_system cimport (
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLERR, EPOLLHUP, EPOLLIN, epoll_ctl, epoll_event, read, write,
)

from rhp._fast.drops cimport (
    DROP_EVENT_FULL, DROP_FRAME_OVERSIZED, DROP_FRAME_RUNT, DROP_TAP_DOWN, DROP_TAP_FAILED, DROP_TAP_FULL,
    DROP_TAP_HEADER, DROP_TAP_LOST,
)
from rhp._fast.events cimport EVENT_TAP_LOST, event_t, ring_put
from rhp._fast.hub_lane cimport hub_lane_t
from rhp._fast.lane cimport BATCH, BATCH_OCTETS, EVENT_TAP, HEAD_ROOM, SLOT_ROOM, SLOT_STRIDE, lane_t
from rhp._fast.parcel cimport SUPER_NONE, VNET_HEADER, parcel_from_tap, parcel_plain, parcel_t, parcel_to_tap
from rhp._fast.stats cimport (
    TOTAL_SUPER_IN, TOTAL_SUPER_OUT, TOTAL_TAP_IN, TOTAL_TAP_OCTETS_IN, TOTAL_TAP_OCTETS_OUT, TOTAL_TAP_OUT, bump,
)


cdef bint means_lost(int error) noexcept nogil:
    """The interface was deleted: the descriptor stays open and is good for nothing."""
    return (
        error == EBADFD or error == ENODEV or error == ENXIO or error == EBADF or error == EFAULT or error == EPIPE
    )


cdef int tap_watch(lane_t* lane, hub_lane_t* hub) noexcept nogil:
    cdef epoll_event event
    memset(&event, 0, sizeof(event))
    event.events = EPOLLIN
    event.data.u64 = <uint64_t>hub.turn << 32 | <uint64_t>(EVENT_TAP + hub.hub.number)
    return 0 if hub.tap < 0 or epoll_ctl(lane.epoll, EPOLL_CTL_ADD, hub.tap, &event) == 0 else errno


cdef void tap_unwatch(lane_t* lane, hub_lane_t* hub) noexcept nogil:
    if lane.epoll >= 0 and hub.tap >= 0:
        epoll_ctl(lane.epoll, EPOLL_CTL_DEL, hub.tap, NULL)


cdef void tell_lost(lane_t* lane, hub_lane_t* hub, int error) noexcept nogil:
    cdef event_t event
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_TAP_LOST
    event.number = lane.index
    event.detail = error
    event.hub = hub.hub.number
    hub.untold = 0
    if not ring_put(&lane.ring, &event, NULL, 0):
        bump(&lane.stats.drops[<int>DROP_EVENT_FULL], 1)
        # Nobody else would say it: the next frame for the interface tells it again.
        hub.untold = error


cdef void lose(lane_t* lane, hub_lane_t* hub, int error) noexcept nogil:
    tap_unwatch(lane, hub)
    # The descriptor is closed with the hub, or when the lane has got another one.
    hub.tap = -1
    tell_lost(lane, hub, error)


cdef void tap_use(lane_t* lane, hub_lane_t* hub, int fd, int offloads, uint32_t turn) noexcept nogil:
    cdef int error
    tap_unwatch(lane, hub)
    hub.tap = fd
    hub.untold = 0
    hub.offloads = offloads
    hub.turn = turn
    if lane.epoll >= 0:
        error = tap_watch(lane, hub)
        if error:
            lose(lane, hub, error)


cdef bint describe(hub_lane_t* hub, parcel_t* parcel, uint8_t* data, uint32_t len) noexcept nogil:
    """False when the frame was dropped."""
    bump(&hub.stats.totals[<int>TOTAL_TAP_IN], 1)
    bump(&hub.stats.totals[<int>TOTAL_TAP_OCTETS_IN], len)
    if len >= SLOT_ROOM:
        bump(&hub.stats.drops[<int>DROP_FRAME_OVERSIZED], 1)
        return False
    if hub.offloads == 0:
        parcel_plain(parcel, data, len)
        return True
    if parcel_from_tap(parcel, data, len) < 0:
        bump(&hub.stats.drops[<int>DROP_TAP_HEADER], 1)
        return False
    if parcel.kind != SUPER_NONE:
        bump(&hub.stats.totals[<int>TOTAL_SUPER_IN], 1)
    return True


cdef int tap_read(lane_t* lane, hub_lane_t* hub, parcel_t* parcels, uint32_t polled) noexcept nogil:
    cdef int front = VNET_HEADER if hub.offloads else 0
    cdef int count = 0
    cdef size_t octets = 0
    cdef ssize_t size
    cdef uint8_t* data
    while count < BATCH and octets < BATCH_OCTETS:
        data = lane.frames + count * SLOT_STRIDE + HEAD_ROOM
        size = read(hub.tap, data - front, SLOT_ROOM + front)
        if size > front:
            octets += size
            count += describe(hub, parcels + count, data, <uint32_t>(size - front))
        elif size >= 0:
            # No frame is empty; a queue whose other end is gone reads like that.
            if polled & (EPOLLHUP | EPOLLERR):
                lose(lane, hub, ENODEV)
                break
            bump(&hub.stats.drops[<int>DROP_FRAME_RUNT], 1)
            break
        elif errno != EINTR:
            if means_lost(errno):
                lose(lane, hub, errno)
            elif polled & (EPOLLHUP | EPOLLERR):
                # Nothing to read and still reported: epoll would report it for ever.
                lose(lane, hub, ENODEV)
            break
    return count


cdef void count_written(hub_lane_t* hub, const parcel_t* parcel) noexcept nogil:
    bump(&hub.stats.totals[<int>TOTAL_TAP_OUT], 1)
    bump(&hub.stats.totals[<int>TOTAL_TAP_OCTETS_OUT], parcel.len)
    if parcel.kind != SUPER_NONE:
        bump(&hub.stats.totals[<int>TOTAL_SUPER_OUT], 1)


cdef void tap_write(lane_t* lane, hub_lane_t* hub, const parcel_t* parcel) noexcept nogil:
    cdef int front = VNET_HEADER if hub.offloads else 0
    if hub.tap < 0:
        bump(&hub.stats.drops[<int>DROP_TAP_LOST], 1)
        if hub.untold:
            tell_lost(lane, hub, hub.untold)
        return
    if front:
        parcel_to_tap(parcel)
    if write(hub.tap, parcel.data - front, parcel.len + front) >= 0:
        count_written(hub, parcel)
    elif errno == EAGAIN or errno == ENOBUFS or errno == ENOMEM:
        bump(&hub.stats.drops[<int>DROP_TAP_FULL], 1)
    elif errno == EIO:
        bump(&hub.stats.drops[<int>DROP_TAP_DOWN], 1)
    elif means_lost(errno):
        bump(&hub.stats.drops[<int>DROP_TAP_LOST], 1)
        lose(lane, hub, errno)
    else:
        bump(&hub.stats.drops[<int>DROP_TAP_FAILED], 1)
