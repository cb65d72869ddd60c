"""Which MAC an inner IP address has."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from atomic cimport ACQUIRE, RELAXED, RELEASE, SEQ_CST, cas64, fence, load64, store64
from linux_system cimport getrandom, sched_yield

from rhp._fast.entry cimport HUB_MAX_PORT, HUB_STATIC, table_share_take
from rhp._fast.rate cimport rate_t

cdef enum:
    REFRESH_MS = 1000
    READ_TRIES = 4


cdef neighbours_t* neighbours_new(int slots) noexcept nogil:
    cdef neighbours_t* table = <neighbours_t*>calloc(1, sizeof(neighbours_t))
    if table == NULL:
        return NULL
    table.mask = slots - 1
    table.entries = <neighbour_t*>calloc(slots + NEIGHBOUR_PROBE, sizeof(neighbour_t))
    if table.entries == NULL or getrandom(&table.seed, sizeof(table.seed), 0) != sizeof(table.seed):
        neighbours_free(table)
        return NULL
    return table


cdef void neighbours_free(neighbours_t* table) noexcept nogil:
    if table != NULL:
        free(table.entries)
        free(table)


cdef neighbour_t* window(const neighbours_t* table, address_t address) noexcept nogil:
    cdef uint64_t mixed = (address.low ^ table.seed) * 0x9e3779b97f4a7c15ULL
    mixed = (mixed ^ (mixed >> 31) ^ address.high) * 0xbf58476d1ce4e5b9ULL
    mixed = (mixed ^ (mixed >> 29)) * 0x94d049bb133111ebULL
    return table.entries + ((mixed >> 32) & table.mask)


cdef bint read_entry(const neighbour_t* entry, neighbour_t* copy) noexcept nogil:
    """A consistent copy, or False when writers kept coming."""
    for _ in range(READ_TRIES):
        copy.turn = load64(&entry.turn, ACQUIRE)
        copy.high = load64(&entry.high, RELAXED)
        copy.low = load64(&entry.low, RELAXED)
        copy.word = load64(&entry.word, RELAXED)
        copy.seen = load64(&entry.seen, RELAXED)
        fence(ACQUIRE)
        if not copy.turn & 1 and load64(&entry.turn, RELAXED) == copy.turn:
            return True
    return False


cdef void read_patiently(const neighbour_t* entry, neighbour_t* copy) noexcept nogil:
    """A consistent copy, for the control thread."""
    while not read_entry(entry, copy):
        sched_yield()


cdef bint write_entry(neighbour_t* entry, const neighbour_t* before, const neighbour_t* wanted) noexcept nogil:
    """Replace the entry unless it changed since `before` was read."""
    cdef uint64_t turn = before.turn
    if not cas64(&entry.turn, &turn, turn + 1, False, ACQUIRE, RELAXED):
        return False
    # Nobody may see a new field without the odd turn.
    fence(RELEASE)
    store64(&entry.high, wanted.high, RELAXED)
    store64(&entry.low, wanted.low, RELAXED)
    store64(&entry.word, wanted.word, RELAXED)
    store64(&entry.seen, wanted.seen, RELAXED)
    store64(&entry.turn, turn + 2, RELEASE)
    return True


cdef bint expired(const neighbour_t* copy, uint64_t now, uint64_t ageing) noexcept nogil:
    return not copy.word & HUB_STATIC and now > copy.seen and now - copy.seen > ageing


cdef bint holds(const neighbour_t* copy, address_t address) noexcept nogil:
    return copy.word != 0 and copy.low == address.low and copy.high == address.high


cdef bint neighbour_find(
    const neighbours_t* table, address_t address, uint64_t now, uint64_t ageing, found_t* found,
) noexcept nogil:
    cdef const neighbour_t* entry = window(table, address)
    cdef neighbour_t copy
    cdef int index
    for index in range(NEIGHBOUR_PROBE):
        if read_entry(entry + index, &copy) and holds(&copy, address):
            if expired(&copy, now, ageing):
                return False
            found.mac = copy.word >> 16
            found.port = <int>(copy.word & HUB_MAX_PORT)
            found.fixed = (copy.word & HUB_STATIC) != 0
            return True
    return False


cdef void make_way(neighbour_t* entry, int mine, address_t address) noexcept nogil:
    """The control thread may have set the address while a lane learned it somewhere else: the static entry stays."""
    cdef neighbour_t copy
    cdef neighbour_t nothing
    cdef int index
    # Against the one in `neighbour_set`: each has written before it looks, so one of them at least sees the other.
    fence(SEQ_CST)
    for index in range(NEIGHBOUR_PROBE):
        if index != mine and read_entry(entry + index, &copy) and holds(&copy, address) and copy.word & HUB_STATIC:
            break
    else:
        return
    if read_entry(entry + mine, &copy) and holds(&copy, address) and not copy.word & HUB_STATIC:
        memset(&nothing, 0, sizeof(nothing))
        write_entry(entry + mine, &copy, &nothing)


cdef void neighbour_learn(
    neighbours_t* table, address_t address, uint64_t mac, int port, uint64_t now, uint64_t ageing, rate_t* allowance,
) noexcept nogil:
    cdef neighbour_t* entry = window(table, address)
    cdef neighbour_t copy
    cdef neighbour_t old
    cdef neighbour_t wanted
    cdef int place = -1
    cdef int index
    wanted.high = address.high
    wanted.low = address.low
    wanted.word = (mac << 16) | <uint64_t>port
    wanted.seen = now
    for index in range(NEIGHBOUR_PROBE):
        if not read_entry(entry + index, &copy):
            continue
        if holds(&copy, address):
            if copy.word & HUB_STATIC or (copy.word == wanted.word and now <= copy.seen + REFRESH_MS):
                return
            write_entry(entry + index, &copy, &wanted)
            return
        if place < 0 and (copy.word == 0 or expired(&copy, now, ageing)):
            place = index
            old = copy
    if place >= 0 and (allowance == NULL or table_share_take(allowance, table.mask, now)):
        if write_entry(entry + place, &old, &wanted):
            make_way(entry, place, address)


cdef void overwrite(neighbour_t* entry, const neighbour_t* wanted) noexcept nogil:
    """Write whatever stands there; the control thread waits for a lane that is at it."""
    cdef neighbour_t copy
    while not (read_entry(entry, &copy) and write_entry(entry, &copy, wanted)):
        sched_yield()


cdef void erase(neighbour_t* entry) noexcept nogil:
    cdef neighbour_t nothing
    memset(&nothing, 0, sizeof(nothing))
    overwrite(entry, &nothing)


cdef int static_place(const neighbour_t* entry, address_t address) noexcept nogil:
    """The address's own place, a free one, or the learned one seen longest ago; or -1."""
    cdef uint64_t oldest = 0
    cdef int place = -1
    cdef int empty = -1
    cdef int index
    cdef neighbour_t copy
    for index in range(NEIGHBOUR_PROBE):
        read_patiently(entry + index, &copy)
        if holds(&copy, address):
            return index
        if copy.word == 0 and empty < 0:
            empty = index
        elif not copy.word & HUB_STATIC and (place < 0 or copy.seen < oldest):
            place = index
            oldest = copy.seen
    return empty if empty >= 0 else place


cdef int neighbour_set(neighbours_t* table, address_t address, uint64_t mac, int port) noexcept nogil:
    cdef neighbour_t* entry = window(table, address)
    cdef neighbour_t wanted
    cdef neighbour_t copy
    cdef int place = static_place(entry, address)
    cdef int index
    if place < 0:
        return -1
    wanted.high = address.high
    wanted.low = address.low
    wanted.word = (mac << 16) | HUB_STATIC | <uint64_t>port
    wanted.seen = 0
    overwrite(entry + place, &wanted)
    fence(SEQ_CST)
    for index in range(NEIGHBOUR_PROBE):
        read_patiently(entry + index, &copy)
        if index != place and holds(&copy, address):
            erase(entry + index)
    return 0


cdef bint neighbour_remove(neighbours_t* table, address_t address) noexcept nogil:
    cdef neighbour_t* entry = window(table, address)
    cdef neighbour_t copy
    cdef bint removed = False
    cdef int index
    for index in range(NEIGHBOUR_PROBE):
        read_patiently(entry + index, &copy)
        if holds(&copy, address):
            erase(entry + index)
            removed = True
    return removed


cdef void neighbours_forget_port(neighbours_t* table, int port) noexcept nogil:
    cdef neighbour_t copy
    cdef uint64_t index
    for index in range(table.mask + 1 + NEIGHBOUR_PROBE):
        if load64(&table.entries[index].word, RELAXED) == 0:
            continue
        read_patiently(table.entries + index, &copy)
        if copy.word != 0 and <int>(copy.word & HUB_MAX_PORT) == port:
            erase(table.entries + index)
