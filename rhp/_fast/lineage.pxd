"""The control thread's side of ports and SAs: each Python object owns one C structure and frees it with itself."""

from rhp._fast.domain cimport Domain
from rhp._fast.mailbox cimport message_t
from rhp._fast.sadb cimport port_t, sa_t


cdef class HubPort:
    cdef port_t* port
    cdef int lanes
    cdef readonly Domain domain     # The hub that it is a port of.
    cdef readonly list pairs        # SaPair, oldest first.
    cdef int _make_routes(self) except -1
    # The newest active pair of a lane, or of all lanes (-1); None when there is none.
    cdef SaPair newest_active(self, int lane)
    # What a lane sends on: its own pair, else that of all lanes, else another lane's.
    cdef SaPair outbound_of(self, int lane)
    # Summed over those lanes.
    cdef dict counters(self, object lanes)


cdef class SaPair:
    cdef sa_t* sa
    cdef int lanes
    cdef readonly HubPort port
    cdef public bint active         # May be used outbound.
    cdef readonly int lane          # The only one that sends on it; -1 = every lane that has no pair of its own.
    cdef message_t where            # The path, as a message's fields.
    cdef int fill_keys(self, object params) except -1
    cdef int set_limit(self, object params) except -1
    cdef int set_path(self, object local, object remote, object encapsulation) except -1
    cdef dict counters(self)
