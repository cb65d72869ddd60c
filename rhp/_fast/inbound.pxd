"""From the wire to the hub: what a datagram is, which SA it belongs to, and whether its inside may pass.

IKE and keep-alives of a batch come first, then ESP: SA by SPI -> replay check, authentication, commit -> next header ->
EtherIP, or inner IP against the selectors -> hub.
"""

from rhp._fast.lane cimport lane_t
from rhp._fast.sadb cimport sa_lane_t

# Works through `count` messages of the inbox that came from socket `which`.
cdef void inbound_process(lane_t* lane, int which, int count) noexcept nogil
# The lane's table of inbound SAs.
cdef void spi_insert(lane_t* lane, sa_lane_t* view) noexcept nogil
cdef void spi_remove(lane_t* lane, sa_lane_t* view) noexcept nogil
