"""A virtual hub: what all lanes share of it."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from rhp._fast.entry cimport HUB_MAX_PORT, HUB_STATIC, table_share_take
from rhp._fast.frame cimport mac_is_group
from rhp._fast.neighbour cimport neighbours_free, neighbours_new
from rhp._fast.rate cimport rate_t
from atomic cimport ACQUIRE, RELAXED, SEQ_CST, cas64, fence, load64, store64
from linux_system cimport getrandom

cdef enum:
    REFRESH_MS = 1000
    PORT_MASK = 0xffff


cdef hub_t* hub_new(int slots) noexcept nogil:
    cdef hub_t* hub = <hub_t*>calloc(1, sizeof(hub_t))
    if hub == NULL:
        return NULL
    hub.mask = slots - 1
    hub.entries = <hub_entry_t*>calloc(slots + HUB_PROBE, sizeof(hub_entry_t))
    hub.neighbours = neighbours_new(slots)
    if hub.entries == NULL or hub.neighbours == NULL or getrandom(&hub.seed, sizeof(hub.seed), 0) != sizeof(hub.seed):
        hub_free(hub)
        return NULL
    hub.ageing = 600 * 1000
    hub.proxy = 1
    return hub


cdef void hub_free(hub_t* hub) noexcept nogil:
    if hub != NULL:
        free(hub.entries)
        neighbours_free(hub.neighbours)
        free(hub)


cdef hub_entry_t* window(const hub_t* hub, uint64_t mac) noexcept nogil:
    """The first of the HUB_PROBE entries where `mac` may stand."""
    cdef uint64_t mixed = (mac ^ hub.seed) * 0x9e3779b97f4a7c15ULL
    mixed = (mixed ^ (mixed >> 29)) * 0xbf58476d1ce4e5b9ULL
    return hub.entries + ((mixed >> 32) & hub.mask)


cdef bint expired(const hub_t* hub, const hub_entry_t* entry, uint64_t word, uint64_t now) noexcept nogil:
    cdef uint64_t seen = load64(&entry.seen, RELAXED)
    return not word & HUB_STATIC and now > seen and now - seen > load64(&hub.ageing, RELAXED)


cdef int hub_lookup(const hub_t* hub, uint64_t mac, uint64_t now) noexcept nogil:
    cdef const hub_entry_t* entry = window(hub, mac)
    cdef uint64_t word
    cdef int index
    for index in range(HUB_PROBE):
        word = load64(&entry[index].word, RELAXED)
        if word >> 16 == mac and word != 0:
            # A station that came just now must not be seen with the age of who had its place before.
            fence(ACQUIRE)
            return HUB_UNKNOWN if expired(hub, entry + index, word, now) else <int>(word & HUB_MAX_PORT)
    return HUB_UNKNOWN


cdef void drop_duplicate(hub_entry_t* entry, int mine, uint64_t word) noexcept nogil:
    """Two lanes may learn one station into two places: the earlier place, or a static entry, stays."""
    cdef uint64_t other
    cdef uint64_t expected = word
    cdef int index
    for index in range(HUB_PROBE):
        other = load64(&entry[index].word, SEQ_CST)
        if index != mine and other >> 16 == word >> 16 and (index < mine or other & HUB_STATIC):
            cas64(&entry[mine].word, &expected, 0, False, SEQ_CST, RELAXED)
            return


cdef learn_t hub_insert(hub_t* hub, uint64_t mac, int port, uint64_t now) noexcept nogil:
    """Take the first free or expired place of the window."""
    cdef hub_entry_t* entry = window(hub, mac)
    cdef uint64_t wanted = (mac << 16) | <uint64_t>port
    cdef uint64_t word
    cdef int index
    for index in range(HUB_PROBE):
        word = load64(&entry[index].word, ACQUIRE)
        if word != 0 and not expired(hub, entry + index, word, now):
            continue
        # The time goes first: a reader of the new word must not find the old age. Should the swap fail, a foreign
        # entry merely looks fresh.
        store64(&entry[index].seen, now, RELAXED)
        if cas64(&entry[index].word, &word, wanted, False, SEQ_CST, RELAXED):
            drop_duplicate(entry, index, wanted)
            return LEARN_NEW
    return LEARN_FULL


cdef learn_t hub_recognise(hub_t* hub, uint64_t mac, int port, uint64_t now) noexcept nogil:
    cdef hub_entry_t* entry = window(hub, mac)
    cdef uint64_t wanted = (mac << 16) | <uint64_t>port
    cdef uint64_t word
    cdef uint64_t seen
    cdef int index
    if mac == 0 or mac_is_group(mac):
        return LEARN_KEPT
    for index in range(HUB_PROBE):
        word = load64(&entry[index].word, RELAXED)
        if word >> 16 != mac or word == 0:
            continue
        if word & HUB_STATIC:
            return LEARN_KEPT if <int>(word & HUB_MAX_PORT) == port else LEARN_SPOOFED
        seen = load64(&entry[index].seen, RELAXED)
        if now > seen + REFRESH_MS:
            store64(&entry[index].seen, now, RELAXED)
        if word == wanted:
            return LEARN_KEPT
        cas64(&entry[index].word, &word, wanted, False, SEQ_CST, RELAXED)
        return LEARN_MOVED
    return LEARN_UNKNOWN


cdef void clear_if(hub_entry_t* entry, uint64_t word) noexcept nogil:
    cdef uint64_t expected = word
    cas64(&entry.word, &expected, 0, False, SEQ_CST, RELAXED)


cdef int static_place(hub_entry_t* entry, uint64_t mac) noexcept nogil:
    """Where a static entry goes: its own place, a free one, or the learned one that was seen longest ago; or -1."""
    cdef uint64_t oldest = 0
    cdef uint64_t word
    cdef int place = -1
    cdef int index
    for index in range(HUB_PROBE):
        word = load64(&entry[index].word, ACQUIRE)
        if word >> 16 == mac and word != 0:
            return index
    for index in range(HUB_PROBE):
        word = load64(&entry[index].word, ACQUIRE)
        if word == 0:
            return index
        if not word & HUB_STATIC and (place < 0 or load64(&entry[index].seen, RELAXED) < oldest):
            place = index
            oldest = load64(&entry[index].seen, RELAXED)
    return place


cdef int hub_set_static(hub_t* hub, uint64_t mac, int port) noexcept nogil:
    cdef hub_entry_t* entry = window(hub, mac)
    cdef uint64_t wanted = (mac << 16) | HUB_STATIC | <uint64_t>port
    cdef uint64_t word
    cdef int place = static_place(entry, mac)
    cdef int index
    if place < 0:
        return -1
    word = load64(&entry[place].word, ACQUIRE)
    while not cas64(&entry[place].word, &word, wanted, False, SEQ_CST, ACQUIRE):
        pass
    for index in range(HUB_PROBE):
        word = load64(&entry[index].word, SEQ_CST)
        if index != place and word >> 16 == mac and word != 0:
            clear_if(entry + index, word)
    return 0


cdef void hub_remove_static(hub_t* hub, uint64_t mac) noexcept nogil:
    cdef hub_entry_t* entry = window(hub, mac)
    cdef uint64_t word
    cdef int index
    for index in range(HUB_PROBE):
        word = load64(&entry[index].word, ACQUIRE)
        if word >> 16 == mac and word & HUB_STATIC:
            clear_if(entry + index, word)


cdef void hub_forget_port(hub_t* hub, int port) noexcept nogil:
    cdef uint64_t word
    cdef uint64_t index
    for index in range(hub.mask + 1 + HUB_PROBE):
        word = load64(&hub.entries[index].word, ACQUIRE)
        if word != 0 and <int>(word & HUB_MAX_PORT) == port:
            clear_if(hub.entries + index, word)


cdef list hub_list(const hub_t* hub, uint64_t now):
    cdef uint64_t word
    cdef uint64_t seen
    cdef uint64_t index
    found = []
    for index in range(hub.mask + 1 + HUB_PROBE):
        word = load64(&hub.entries[index].word, RELAXED)
        if word == 0 or expired(hub, hub.entries + index, word, now):
            continue
        seen = load64(&hub.entries[index].seen, RELAXED)
        age = 0.0 if word & HUB_STATIC or now < seen else (now - seen) / 1000
        found.append(((word >> 16).to_bytes(6, "big"), word & HUB_MAX_PORT, age))
    return found


cdef class MacTable:
    """One table for tests and tools; the lanes use `hub_t` itself. MACs are integers, times milliseconds."""

    cdef hub_t* hub
    cdef rate_t share

    def __cinit__(self, ageing: int = 600_000) -> None:
        memset(&self.share, 0, sizeof(self.share))
        self.hub = hub_new(HUB_SLOTS)
        if self.hub == NULL:
            raise MemoryError
        self.hub.ageing = ageing

    def __dealloc__(self) -> None:
        hub_free(self.hub)

    def learn(self, mac: int, port: int, now: int) -> str:
        """What came of it: "kept", "new", "moved", "full" or "spoofed"."""
        cdef learn_t result = hub_recognise(self.hub, mac, port, now)
        if result == LEARN_UNKNOWN:
            result = hub_insert(self.hub, mac, port, now)
        return ("kept", "new", "moved", "full", "spoofed")[<int>result]

    def may_learn(self, now: int) -> bool:
        """Whether one peer may make one more station known; all questions are those of the same peer."""
        return table_share_take(&self.share, self.hub.mask, now)

    def lookup(self, mac: int, now: int) -> int | None:
        """The port, or None."""
        cdef int port = hub_lookup(self.hub, mac, now)
        return None if port == HUB_UNKNOWN else port

    def set_static(self, mac: int, port: int) -> bool:
        """False when there is no room."""
        return hub_set_static(self.hub, mac, port) == 0

    def remove_static(self, mac: int) -> None:
        """Take the fixed entry away."""
        hub_remove_static(self.hub, mac)

    def forget_port(self, port: int) -> None:
        """Take all entries of a port away."""
        hub_forget_port(self.hub, port)

    def entries(self, now: int) -> list[tuple[bytes, int, float]]:
        """(mac, port, age in seconds) of everything that has not expired."""
        return hub_list(self.hub, now)
