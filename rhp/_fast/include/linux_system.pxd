"""Threads, memory and descriptors of POSIX that Cython does not declare itself. Declarations only."""

from libc.stdint cimport uint32_t, uint64_t
from posix.time cimport timespec

cdef extern from "sched.h" nogil:
    enum:
        CPU_SETSIZE
    ctypedef struct cpu_set_t:
        pass
    void CPU_ZERO(cpu_set_t* cpus)
    void CPU_SET(int cpu, cpu_set_t* cpus)
    int sched_yield()

cdef extern from "pthread.h" nogil:
    ctypedef unsigned long pthread_t
    ctypedef struct pthread_attr_t:
        pass
    int pthread_attr_init(pthread_attr_t* attributes)
    int pthread_attr_destroy(pthread_attr_t* attributes)
    int pthread_attr_setaffinity_np(pthread_attr_t* attributes, size_t size, const cpu_set_t* cpus)
    int pthread_getcpuclockid(pthread_t thread, int* clock)
    int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*) noexcept, void* data)
    int pthread_join(pthread_t thread, void** result)
    int pthread_setname_np(pthread_t thread, const char* name)

cdef extern from "signal.h" nogil:
    ctypedef struct sigset_t:
        pass
    enum:
        SIG_SETMASK
    int sigfillset(sigset_t* signals)
    int pthread_sigmask(int how, const sigset_t* wanted, sigset_t* before)

cdef extern from "sys/mman.h" nogil:
    enum:
        PROT_READ
        PROT_WRITE
        MAP_PRIVATE
        MAP_ANONYMOUS
        MAP_NORESERVE
    void* MAP_FAILED
    void* mmap(void* address, size_t length, int protection, int flags, int fd, long offset)
    enum:
        MADV_NOHUGEPAGE
    int madvise(void* address, size_t length, int advice)
    int munmap(void* address, size_t length)

cdef extern from "stdlib.h" nogil:
    void* aligned_alloc(size_t alignment, size_t size)

cdef extern from "time.h" nogil:
    enum:
        CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec* now)
    int nanosleep(const timespec* wanted, timespec* left)

cdef extern from "fcntl.h" nogil:
    enum:
        F_GETFL
        F_SETFL
        F_DUPFD_CLOEXEC
        O_NONBLOCK
    int fcntl(int fd, int command, ...)

cdef extern from "unistd.h" nogil:
    int close(int fd)
    ssize_t read(int fd, void* buffer, size_t size)
    ssize_t write(int fd, const void* buffer, size_t size)
    int getpid()

cdef extern from "sys/random.h" nogil:
    ssize_t getrandom(void* buffer, size_t size, unsigned int flags)

cdef extern from "sys/uio.h" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len

cdef extern from "net/if.h" nogil:
    unsigned int if_nametoindex(const char* name)

cdef extern from "sys/eventfd.h" nogil:
    enum:
        EFD_NONBLOCK
        EFD_CLOEXEC
    int eventfd(unsigned int start, int flags)

cdef extern from "sys/epoll.h" nogil:
    enum:
        EPOLLIN
        EPOLLERR
        EPOLLHUP
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
    ctypedef union epoll_data_t:
        uint32_t u32
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int limit, int milliseconds)
