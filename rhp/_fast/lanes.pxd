"""The lanes as the control thread holds them: their life, their descriptors, their mail."""

cimport cython

from rhp._fast.hub cimport hub_t
from rhp._fast.lane cimport lane_t
from rhp._fast.mailbox cimport message_t
from rhp._fast.neighbour cimport neighbours_t
from rhp._fast.rules cimport rule_t


@cython.no_gc
cdef class Lanes:
    cdef object __weakref__
    cdef readonly int event_fd
    cdef readonly int lanes         # In use.
    cdef readonly int prepared      # Those in use, and those that may be added.
    cdef readonly bint running
    cdef lane_t** _lane
    cdef hub_t* _hub
    cdef neighbours_t* _neighbours
    cdef bint _closed
    cdef int _process
    cdef const rule_t* _rule
    cdef object _tap_mac
    cdef list _leaving              # (positions in the mailboxes, object)

    # RuntimeError when closed, or when running although it should not be.
    cdef int _check(self, bint stopped=*) except -1
    # ValueError when there is no such lane in use, or among all that are prepared.
    cdef int _check_lane(self, int lane, bint prepared=*) except -1
    # Asks the kernel what it had to drop before lane `lane` saw it.
    cdef void _count_missed(self, int lane) noexcept
    cdef int _copy_fd(self, int lane, int fd) except -1
    cdef int _take_socket(self, int lane, int which, int copy, int doors=*) except -1
    cdef void _mail(self, const message_t* message) noexcept
    cdef void _mail_to(self, int lane, const message_t* message) noexcept
    cdef void _leave(self, object leaving) noexcept
    cdef bint _gone(self, list positions) noexcept
    cdef void _let_go(self) noexcept
    cdef void _stop(self) noexcept
    cdef void _tear_down(self) noexcept
