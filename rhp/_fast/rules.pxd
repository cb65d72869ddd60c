"""Which lane gets an inbound packet: classic BPF programs in the kernel that read the lane from the SPI.

An SPI that we allocate is congruent to its lane's index modulo the number of lanes. Sockets of one SO_REUSEPORT group
are numbered in the order they were bound. Raw sockets each get a copy of every packet, so each filters for its own.
"""

# 0 or an errno. IKE behind the non-ESP marker has the "SPI" 0 and goes, like anything too short, to lane 0.
cdef int rules_for_group(int fd, int lanes) noexcept nogil
# A raw socket of protocol 50: IPv4 packets start with their IP header, IPv6 packets do not.
cdef int rules_for_raw(int fd, int family, int lane, int lanes) noexcept nogil
