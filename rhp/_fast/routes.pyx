"""Which tunnel-mode peer has an address."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from linux_system cimport getrandom

from rhp._fast.address cimport address_parse
from rhp._fast.packet cimport address_equal, address_t


cdef routes_t* routes_new(int buckets) noexcept nogil:
    cdef routes_t* routes = <routes_t*>calloc(1, sizeof(routes_t))
    if routes == NULL:
        return NULL
    routes.mask = buckets - 1
    routes.buckets = <route_t**>calloc(buckets, sizeof(void*))
    if routes.buckets == NULL or getrandom(&routes.seed, sizeof(routes.seed), 0) != sizeof(routes.seed):
        routes_free(routes)
        return NULL
    return routes


cdef void routes_free(routes_t* routes) noexcept nogil:
    if routes != NULL:
        free(routes.buckets)
        free(routes)


cdef inline address_t masked(address_t address, int length) noexcept nogil:
    """The first `length` bits."""
    if length <= 64:
        address.low = 0
        address.high &= ~<uint64_t>0 << (64 - length) if length else 0
    elif length < 128:
        address.low &= ~<uint64_t>0 << (128 - length)
    return address


cdef inline int bucket(const routes_t* routes, address_t prefix, int length) noexcept nogil:
    cdef uint64_t mixed = (prefix.high ^ routes.seed) * 0x9e3779b97f4a7c15ULL
    mixed = (mixed ^ (mixed >> 29) ^ prefix.low ^ <uint64_t>length << 56) * 0xbf58476d1ce4e5b9ULL
    return <int>((mixed >> 32) & routes.mask)


cdef void route_insert(routes_t* routes, route_t* route) noexcept nogil:
    cdef route_t** first = routes.buckets + bucket(routes, route.prefix, route.length)
    route.next = first[0]
    first[0] = route
    routes.counts[route.length] += 1
    routes.used[route.length >> 6] |= <uint64_t>1 << (route.length & 63)


cdef void route_remove(routes_t* routes, route_t* route) noexcept nogil:
    cdef route_t** place = routes.buckets + bucket(routes, route.prefix, route.length)
    while place[0] != NULL and place[0] != route:
        place = &place[0].next
    if place[0] == NULL:
        return
    place[0] = route.next
    routes.counts[route.length] -= 1
    if routes.counts[route.length] == 0:
        routes.used[route.length >> 6] &= ~(<uint64_t>1 << (route.length & 63))


cdef void route_search(route_search_t* search, address_t address) noexcept nogil:
    search.address = address
    search.at = NULL
    search.length = ROUTE_LENGTHS
    search.left = ROUTE_CANDIDATES


cdef bint shorten(const routes_t* routes, route_search_t* search) noexcept nogil:
    """On to the next shorter length in use; False when there is none."""
    search.length -= 1
    while search.length >= 0:
        if routes.used[search.length >> 6] >> (search.length & 63) & 1:
            search.at = routes.buckets[bucket(routes, masked(search.address, search.length), search.length)]
            return True
        search.length -= 1
    return False


cdef void* route_next(const routes_t* routes, route_search_t* search) noexcept nogil:
    cdef const route_t* route
    while search.left > 0:
        while search.at != NULL:
            route = search.at
            search.at = route.next
            if route.length == search.length and address_equal(route.prefix, masked(search.address, search.length)):
                search.left -= 1
                return route.owner
        if not shorten(routes, search):
            return NULL
    return NULL


cdef list range_prefixes(object start, object end):
    found = []
    while start <= end:
        # As large as its alignment and the rest of the range allow.
        bits = 128 if start == 0 else (start & -start).bit_length() - 1
        bits = min(bits, (end - start + 1).bit_length() - 1)
        found.append((start, 128 - bits))
        start += 1 << bits
    return found


cdef class RouteTable:
    """One table for tests and tools; the lanes use `routes_t` itself. Owners are small integers."""

    cdef routes_t* routes
    cdef list kept

    def __cinit__(self) -> None:
        self.kept = []
        self.routes = routes_new(ROUTE_BUCKETS)
        if self.routes == NULL:
            raise MemoryError

    def __dealloc__(self) -> None:
        routes_free(self.routes)
        for _, address in self.kept or ():
            free(<void*><size_t>address)

    def add(self, start: str, end: str, owner: int) -> int:
        """Insert a range; how many prefixes it took."""
        cdef address_t first
        cdef address_t last
        cdef route_t* route
        address_parse(start, &first)
        address_parse(end, &last)
        prefixes = range_prefixes(whole(first), whole(last))
        for prefix, length in prefixes:
            route = <route_t*>calloc(1, sizeof(route_t))
            if route == NULL:
                raise MemoryError
            route.prefix.high = prefix >> 64
            route.prefix.low = prefix & 0xffffffffffffffff
            route.length = length
            route.owner = <void*><size_t>owner
            self.kept.append((owner, <size_t>route))
            route_insert(self.routes, route)
        return len(prefixes)

    def remove(self, owner: int) -> None:
        """Take all ranges of an owner away."""
        for one, address in self.kept:
            if one == owner:
                route_remove(self.routes, <route_t*><size_t>address)

    def find(self, text: str) -> list[int]:
        """The owners of an address, in the order in which they are asked."""
        cdef address_t address
        cdef route_search_t search
        cdef void* owner
        address_parse(text, &address)
        route_search(&search, address)
        found = []
        owner = route_next(self.routes, &search)
        while owner != NULL:
            found.append(<size_t>owner)
            owner = route_next(self.routes, &search)
        return found


cdef object whole(address_t address):
    return (<object>address.high << 64) | address.low
