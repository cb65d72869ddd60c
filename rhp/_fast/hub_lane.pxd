"""A hub as one lane sees it: the lane's queue of the hub's TAP, the hub's ports, its shares and its counters.

The control thread makes and frees the views of all lanes together with the hub; a lane learns of its own by mail, and
nobody else writes to it. A port knows its hub by number, so a packet finds its hub with one look into a table of the
lane's, however many there are.
"""

from libc.stdint cimport uint8_t, uint32_t

from rhp._fast.early cimport early_t
from rhp._fast.hub cimport hub_t
from rhp._fast.rate cimport budget_t, rate_t
from rhp._fast.routes cimport routes_t
from rhp._fast.stats cimport stats_t

cdef struct hub_lane_s:
    hub_t* hub
    int tap                         # The control thread's; -1: none, or lost.
    int untold                      # The errno of a loss that the ring had no room to tell of.
    int offloads                    # offload_t of the TAP; 0: frames without a header.
    uint32_t turn                   # Counts the queues, so that an event of an earlier one is known as such.
    # Ports.
    int first                       # The number of an Ethernet port; each knows the next. 0: there is none.
    int ethernet_count
    int ip_count
    routes_t* routes                # IP ports by the ranges they own.
    budget_t floods                 # Copies of the TAP's frames that may still be made.
    rate_t answers                  # To frames that were too long.
    early_t early                   # What the host asked while there was no peer.
    hub_lane_s* due                 # The next hub to which somebody came; of use only while it is in the lane's list.
    stats_t stats                   # What is counted between TAP and ports; the rest is the lane's.
ctypedef hub_lane_s hub_lane_t

cdef enum:
    HUB_LANE_ALIGNMENT = 64         # A cache line, so that lanes do not share any.


cdef inline size_t hub_lane_stride() noexcept nogil:
    return (sizeof(hub_lane_t) + HUB_LANE_ALIGNMENT - 1) & ~<size_t>(HUB_LANE_ALIGNMENT - 1)


cdef inline hub_lane_t* hub_view(const hub_t* hub, int lane) noexcept nogil:
    return <hub_lane_t*>(<uint8_t*>hub.lanes + lane * hub_lane_stride())


# A hub with views for `lanes` lanes and tables for `slots` stations and addresses, a power of two; NULL without memory
# or randomness.
cdef hub_t* hub_make(int number, int lanes, int slots) noexcept nogil
# Frees all of it. The descriptors are not the hub's.
cdef void hub_drop(hub_t* hub, int lanes) noexcept nogil
