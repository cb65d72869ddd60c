"""The clock of the timed loops."""

cdef extern from "<time.h>" nogil:
    ctypedef struct timespec_t "struct timespec":
        long tv_sec
        long tv_nsec
    int CLOCK_THREAD_CPUTIME_ID
    int clock_gettime(int clock, timespec_t* time)

# Nanoseconds of the thread's own time: what other programs take from this core is not counted.
cdef inline double now() noexcept nogil:
    cdef timespec_t time
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1e9 + time.tv_nsec
