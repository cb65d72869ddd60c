"""The lanes as the control thread holds them: their life, their descriptors, their mail."""

cimport cython

from rhp._fast.domain cimport Domain
from rhp._fast.lane cimport lane_t
from rhp._fast.mailbox cimport message_t
from rhp._fast.rules cimport rule_t
from rhp._fast.stats cimport stats_t


@cython.no_gc
cdef class Lanes:
    cdef object __weakref__
    cdef readonly int event_fd
    cdef readonly int lanes         # In use.
    cdef readonly int prepared      # Those in use, and those that may be added.
    cdef readonly bint running
    cdef lane_t** _lane
    cdef dict _hubs                 # number -> Domain
    cdef stats_t* _past             # Of each lane: what hubs that are gone had counted.
    cdef bint _closed
    cdef int _process
    cdef const rule_t* _rule
    cdef unsigned int _turn         # Counts the queues of TAPs that were given.
    cdef list _leaving              # (positions in the mailboxes, object)

    # RuntimeError when closed, or when running although it should not be.
    cdef int _check(self, bint stopped=*) except -1
    # ValueError when there is no such lane in use, or among all that are prepared.
    cdef int _check_lane(self, int lane, bint prepared=*) except -1
    # Asks the kernel what it had to drop before lane `lane` saw it.
    cdef void _count_missed(self, int lane) noexcept
    # KeyError when there is no such hub.
    cdef Domain _domain(self, object number)
    # All that a lane has counted.
    cdef void _count(self, int lane, stats_t* total) noexcept
    cdef int _copy_fd(self, int lane, int fd) except -1
    cdef int _take_socket(self, int lane, int which, int copy, int doors=*) except -1
    cdef void _mail(self, const message_t* message) noexcept
    cdef void _mail_to(self, int lane, const message_t* message) noexcept
    cdef void _mail_hub(self, int kind, Domain domain) noexcept
    cdef void _collect(self) noexcept
    cdef void _leave(self, object leaving) noexcept
    cdef bint _gone(self, list positions) noexcept
    cdef void _let_go(self) noexcept
    cdef void _stop(self) noexcept
    cdef void _tear_down(self) noexcept
