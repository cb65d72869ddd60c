"""The memory of a lane: slots, tables, rings and queues, all made before its thread starts."""

from libc.stdint cimport uint8_t, uint16_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from linux_socket cimport mmsghdr, sockaddr_in6
from linux_system cimport *

from rhp._fast.events cimport ring_clear, ring_init
from rhp._fast.hub cimport MAX_HUBS
from rhp._fast.hub_lane cimport hub_lane_t
from rhp._fast.lane cimport *
from rhp._fast.mailbox cimport mailbox_clear, mailbox_init
from rhp._fast.merge cimport MERGE_ROOM, merge_init
from rhp._fast.outer cimport inbox_reset, queue_probe
from rhp._fast.reorder cimport REORDER_SLOTS, reorder_init
from rhp._fast.sadb cimport CACHE_LINE, port_lane_t, sa_lane_t


cdef enum:
    OPENED_ROOM = HEAD_ROOM + MERGE_ROOM + TAIL_ROOM


cdef uint8_t* map_pages(size_t size) noexcept nogil:
    """Pages that are only paid for when they are touched, and in small pages, so that a lane stays lean."""
    cdef void* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if memory == MAP_FAILED:
        return NULL
    madvise(memory, size, MADV_NOHUGEPAGE)
    return <uint8_t*>memory


cdef uint8_t* map_slots(int count) noexcept nogil:
    return map_pages(<size_t>count * SLOT_STRIDE)


cdef void unmap_slots(uint8_t* slots, int count) noexcept nogil:
    if slots != NULL:
        munmap(slots, <size_t>count * SLOT_STRIDE)


cdef int make_inbox(lane_t* lane) noexcept nogil:
    cdef int index
    lane.inbox.slots = map_slots(BATCH)
    lane.inbox.messages = <mmsghdr*>calloc(BATCH, sizeof(mmsghdr))
    lane.inbox.vectors = <iovec*>calloc(BATCH, sizeof(iovec))
    lane.inbox.sources = <sockaddr_in6*>calloc(BATCH, sizeof(sockaddr_in6))
    lane.inbox.controls = <uint8_t*>calloc(BATCH, RECEIVE_CONTROL_ROOM)
    if (
        lane.inbox.slots == NULL or lane.inbox.messages == NULL or lane.inbox.vectors == NULL
        or lane.inbox.sources == NULL or lane.inbox.controls == NULL
    ):
        return -1
    for index in range(BATCH):
        lane.inbox.vectors[index].iov_base = lane.inbox.slots + index * SLOT_STRIDE + HEAD_ROOM
        lane.inbox.vectors[index].iov_len = SLOT_ROOM
        lane.inbox.messages[index].msg_hdr.msg_iov = lane.inbox.vectors + index
        lane.inbox.messages[index].msg_hdr.msg_iovlen = 1
        lane.inbox.messages[index].msg_hdr.msg_name = lane.inbox.sources + index
        lane.inbox.messages[index].msg_hdr.msg_control = lane.inbox.controls + index * RECEIVE_CONTROL_ROOM
    inbox_reset(lane, BATCH)
    return 0


cdef int make_memory(lane_t* lane, int event_fd) noexcept nogil:
    if make_inbox(lane) < 0 or mailbox_init(&lane.mailbox) < 0 or ring_init(&lane.ring, event_fd) < 0:
        return -1
    if ring_init(&lane.mirror.ring, event_fd) < 0:
        return -1
    lane.frames = map_slots(BATCH)
    lane.opened = map_pages(OPENED_ROOM)
    lane.held = map_slots(REORDER_SLOTS)
    lane.answer = map_slots(1)
    lane.hubs = <hub_lane_t**>calloc(MAX_HUBS, sizeof(void*))
    lane.ports = <port_lane_t**>calloc(MAX_PORTS, sizeof(void*))
    lane.spis = <sa_lane_t**>calloc(SPI_BUCKETS, sizeof(void*))
    if lane.frames == NULL or lane.opened == NULL or lane.held == NULL or lane.answer == NULL:
        return -1
    if lane.hubs == NULL or lane.ports == NULL or lane.spis == NULL:
        return -1
    merge_init(&lane.merge, lane.opened + HEAD_ROOM)
    reorder_init(&lane.reorder, lane.held, SLOT_STRIDE)
    lane.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
    return 0 if lane.wake >= 0 else -1


cdef lane_t* lane_new(int index, int lanes, int event_fd) noexcept nogil:
    cdef lane_t* lane = <lane_t*>aligned_alloc(CACHE_LINE, (sizeof(lane_t) + CACHE_LINE) & ~<size_t>(CACHE_LINE - 1))
    cdef int which
    if lane == NULL:
        return NULL
    memset(lane, 0, sizeof(lane_t))
    lane.index = index
    lane.lanes = lanes
    lane.cpu = -1
    lane.wake = lane.epoll = -1
    for which in range(SOCKETS):
        lane.queues[which].fd = -1
    if make_memory(lane, event_fd) < 0:
        lane_free(lane)
        return NULL
    return lane


cdef void free_queue(queue_t* queue) noexcept nogil:
    if queue.fd >= 0:
        close(queue.fd)
        queue.fd = -1
    unmap_slots(queue.slots, BATCH)
    free(queue.trains)
    free(queue.messages)
    free(queue.vectors)
    queue.slots = NULL
    queue.trains = NULL
    queue.messages = NULL
    queue.vectors = NULL


cdef void lane_free(lane_t* lane) noexcept nogil:
    cdef int which
    if lane == NULL:
        return
    for which in range(SOCKETS):
        free_queue(lane.queues + which)
    unmap_slots(lane.inbox.slots, BATCH)
    unmap_slots(lane.frames, BATCH)
    if lane.opened != NULL:
        munmap(lane.opened, OPENED_ROOM)
    unmap_slots(lane.held, REORDER_SLOTS)
    unmap_slots(lane.answer, 1)
    free(lane.inbox.messages)
    free(lane.inbox.vectors)
    free(lane.inbox.sources)
    free(lane.inbox.controls)
    free(lane.hubs)
    free(lane.ports)
    free(lane.spis)
    mailbox_clear(&lane.mailbox)
    ring_clear(&lane.ring)
    ring_clear(&lane.mirror.ring)
    if lane.wake >= 0:
        close(lane.wake)
    free(lane)


cdef int lane_give_socket(lane_t* lane, int which, int fd, uint16_t local_port) noexcept nogil:
    cdef queue_t* queue = lane.queues + which
    cdef int index
    free_queue(queue)
    queue.slots = map_slots(BATCH)
    queue.trains = <train_t*>calloc(BATCH, sizeof(train_t))
    queue.messages = <mmsghdr*>calloc(BATCH, sizeof(mmsghdr))
    queue.vectors = <iovec*>calloc(BATCH, sizeof(iovec))
    if queue.slots == NULL or queue.trains == NULL or queue.messages == NULL or queue.vectors == NULL:
        free_queue(queue)
        return -1
    for index in range(BATCH):
        queue.vectors[index].iov_base = queue.slots + index * SLOT_STRIDE
        queue.messages[index].msg_hdr.msg_iov = queue.vectors + index
        queue.messages[index].msg_hdr.msg_iovlen = 1
    queue.fd = fd
    queue.local_port = local_port
    queue.grouped = False
    queue_probe(queue)
    return 0
