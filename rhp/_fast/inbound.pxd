"""From the wire to the hub: what a datagram is, which SA it belongs to, and whether its inside may pass.

IKE and keep-alives of a batch come first, then ESP: SA by SPI -> replay check, authentication, commit -> next header ->
EtherIP, or inner IP against the selectors -> merged with the packets before it, as long as they continue each other ->
hub. The octets are opened to where they will lie in the super-frame, so that merging copies no payload.
"""

from rhp._fast.lane cimport lane_t
from rhp._fast.sadb cimport sa_lane_t

# Works through `count` messages of the inbox that came from socket `which`.
cdef void inbound_process(lane_t* lane, int which, int count) noexcept nogil
# Sends on what is still being put together. At the end of a batch.
cdef void inbound_finish(lane_t* lane) noexcept nogil
# Sends on what has waited long enough for packets that it has overtaken.
cdef void inbound_overdue(lane_t* lane) noexcept nogil
# The lane's table of inbound SAs.
cdef void spi_insert(lane_t* lane, sa_lane_t* view) noexcept nogil
cdef void spi_remove(lane_t* lane, sa_lane_t* view) noexcept nogil
