"""GCC's and Clang's atomic built-ins, under one name for each operand type. Declarations only."""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from * nogil:
    enum:
        RELAXED "__ATOMIC_RELAXED"
        ACQUIRE "__ATOMIC_ACQUIRE"
        RELEASE "__ATOMIC_RELEASE"
        ACQ_REL "__ATOMIC_ACQ_REL"
        SEQ_CST "__ATOMIC_SEQ_CST"

    uint64_t load64 "__atomic_load_n" (const uint64_t* place, int order)
    void store64 "__atomic_store_n" (uint64_t* place, uint64_t value, int order)
    uint64_t add64 "__atomic_fetch_add" (uint64_t* place, uint64_t value, int order)
    bint cas64 "__atomic_compare_exchange_n" (
        uint64_t* place, uint64_t* expected, uint64_t wanted, bint weak, int success, int failure,
    )
    uint32_t load32 "__atomic_load_n" (const uint32_t* place, int order)
    void store32 "__atomic_store_n" (uint32_t* place, uint32_t value, int order)
    void fence "__atomic_thread_fence" (int order)
    # For plain branches that are nearly never taken.
    bint unlikely "__builtin_expect" (bint condition, long expected)
