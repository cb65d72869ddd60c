"""The hub's decisions: where a frame goes, who may see it, and which questions are answered on the spot.

A frame comes from a hub's TAP (`source` is NULL) or from a peer's port, and stays in that hub. Its sender is learned;
an ARP or ND question for an address that the neighbour table knows is answered and goes no further; then the
destination decides: one port, or every Ethernet port of the hub and its TAP. Frames never return to the port they came
from, and isolated peers see the TAP only.
"""

from rhp._fast.hub_lane cimport hub_lane_t
from rhp._fast.lane cimport lane_t
from rhp._fast.packet cimport packet_t
from rhp._fast.parcel cimport parcel_t
from rhp._fast.sadb cimport port_lane_t

# Carries a frame of `hub`, which is the port's where there is one, with HEAD_ROOM and TAIL_ROOM around it. It may be
# changed in place (MSS, a checksum).
cdef void forward_frame(lane_t* lane, hub_lane_t* hub, port_lane_t* source, parcel_t* parcel) noexcept nogil
# Carries an IP packet that came to an IP port and matches its selectors; the Ethernet header goes to the room in front.
cdef void forward_packet(lane_t* lane, port_lane_t* source, parcel_t* parcel, const packet_t* packet) noexcept nogil
