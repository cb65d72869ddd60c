"""A hub as one lane sees it."""

from libc.stdlib cimport free
from libc.string cimport memset

from linux_system cimport aligned_alloc

from rhp._fast.hub cimport hub_free, hub_new
from rhp._fast.routes cimport routes_free, routes_new

cdef enum:
    SLOTS_PER_BUCKET = 4


cdef hub_t* hub_make(int number, int lanes, int slots) noexcept nogil:
    cdef hub_t* hub = hub_new(slots)
    cdef hub_lane_t* view
    cdef int lane
    if hub == NULL:
        return NULL
    hub.number = number
    hub.lanes = aligned_alloc(HUB_LANE_ALIGNMENT, lanes * hub_lane_stride())
    if hub.lanes == NULL:
        hub_free(hub)
        return NULL
    memset(hub.lanes, 0, lanes * hub_lane_stride())
    for lane in range(lanes):
        view = hub_view(hub, lane)
        view.hub = hub
        view.tap = -1
        view.routes = routes_new(slots // SLOTS_PER_BUCKET)
        if view.routes == NULL:
            hub_drop(hub, lanes)
            return NULL
    return hub


cdef void hub_drop(hub_t* hub, int lanes) noexcept nogil:
    cdef int lane
    if hub == NULL:
        return
    if hub.lanes != NULL:
        for lane in range(lanes):
            routes_free(hub_view(hub, lane).routes)
    free(hub.lanes)
    hub_free(hub)
