"""Errors made on purpose: whoever runs these under a sanitizer and lives has no sanitizer."""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from posix.time cimport timespec

from linux_system cimport nanosleep, pthread_create, pthread_join, pthread_t


def overrun(size: int) -> int:
    """Read the octet behind an allocation."""
    cdef size_t length = size
    cdef uint8_t* octets = <uint8_t*>malloc(length)
    cdef int value
    octets[length - 1] = 1
    value = octets[length]
    free(octets)
    return value


def overflow(value: int) -> int:
    """Add one to an int, also to the largest."""
    cdef int number = value
    return number + 1


cdef uint64_t shared


cdef void* count(void* unused) noexcept nogil:
    global shared
    cdef timespec moment
    moment.tv_sec = 0
    moment.tv_nsec = 10000000
    shared += 1
    nanosleep(&moment, NULL)
    shared += 1
    return NULL


def race() -> int:
    """Let two threads write one word without asking each other."""
    cdef pthread_t threads[2]
    with nogil:
        pthread_create(&threads[0], NULL, count, NULL)
        pthread_create(&threads[1], NULL, count, NULL)
        pthread_join(threads[0], NULL)
        pthread_join(threads[1], NULL)
    return shared


def overrun_bytes(bytes data, int place) -> int:
    """Read an octet of `data`, or one behind it; Python itself keeps a zero at the end."""
    return (<const uint8_t*><const char*>data)[place]
