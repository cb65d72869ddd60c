"""Which tunnel-mode peer has an address: the ranges of the peers' traffic selectors, found by prefix.

Each range is cut into prefixes when its port is made. A lane keeps the prefixes of all ports of a hub in a hash table
and asks for one length after the other, the longest first, of which only those in use are tried. So the cost follows
the number of different lengths, which is small, and not the number of peers. The newest of equal prefixes comes first.
"""

from libc.stdint cimport uint8_t, uint64_t

from rhp._fast.packet cimport address_t

cdef enum:
    ROUTE_BUCKETS = 8192            # Of hub 0, and the most.
    ROUTE_LENGTHS = 129             # 0..128; IPv4's are 96 longer than they are written.
    ROUTE_PREFIXES_MAX = 4096       # Of one port; a range that begins and ends anywhere may need 254.
    ROUTE_CANDIDATES = 64           # That are looked at for one address.

cdef struct route_s:
    address_t prefix
    void* owner                     # The lane's view of the port.
    route_s* next
    uint8_t length
ctypedef route_s route_t

ctypedef struct routes_t:
    uint64_t seed                   # Secret, so that nobody can fill one bucket.
    uint64_t mask                   # Of an index of `buckets`: their number is a power of two.
    route_t** buckets
    int counts[ROUTE_LENGTHS]
    uint64_t used[3]                # A bit for each length that counts above zero.

# Where a search stands.
ctypedef struct route_search_t:
    address_t address
    const route_t* at
    int length
    int left

cdef routes_t* routes_new(int buckets) noexcept nogil
cdef void routes_free(routes_t* routes) noexcept nogil
cdef void route_insert(routes_t* routes, route_t* route) noexcept nogil
cdef void route_remove(routes_t* routes, route_t* route) noexcept nogil
cdef void route_search(route_search_t* search, address_t address) noexcept nogil
# The owner of the next prefix that holds the address, or NULL.
cdef void* route_next(const routes_t* routes, route_search_t* search) noexcept nogil
# (prefix, length) pairs of a range, both as integers of 128 bits. Needs the GIL.
cdef list range_prefixes(object start, object end)
