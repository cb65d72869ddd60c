"""Which lane gets a packet: the rules are programs in the kernel, and here they are chosen and set.

Inbound, an SPI that we allocate is congruent to its lane's index modulo the number of lanes, and a classic BPF program
reads that. Sockets of one SO_REUSEPORT group are numbered in the order they were bound. Raw sockets each get a copy of
every packet, so each filters for its own. Outbound, the queue of the TAP is the lane. A rule is a row of functions,
each of which gives 0 or an errno.
    flow     a flow keeps its lane, by the kernel's own choice, which follows the lane that the flow's replies came from
    station  all frames to one station keep their lane, and so their order, whatever flows they belong to
"""

cdef enum:
    DOORS = 2                       # Sockets for IKE: of SAs that there are, and of such as are to be.

ctypedef struct rule_t:
    const char* name
    # A UDP socket of the group. With `doors` (0 or DOORS) that many sockets, bound before the lanes', take the IKE
    # behind the non-ESP marker; else that has the "SPI" 0 and goes, like anything too short, to lane 0.
    int (*group)(int fd, int lanes, int doors) noexcept nogil
    # A raw socket of protocol 50: IPv4 packets start with their IP header, IPv6 packets do not.
    int (*raw)(int fd, int family, int lane, int lanes) noexcept nogil
    # A queue of the TAP; the setting is the device's.
    int (*tap)(int fd) noexcept nogil

# A UDP socket of a group that has DOORS sockets and hears nothing but IKE.
cdef int group_ike(int fd) noexcept nogil
# ValueError for a name that no rule has.
cdef const rule_t* rule_find(str name) except NULL
