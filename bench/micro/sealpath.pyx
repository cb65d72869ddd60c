"""A timed loop over the way out, without the GIL and without a system call: cut, EtherIP, ESP, into the train.

What is called is `seal_frame`, the very function that a lane calls once the hub has decided. Around it stands a lane
without thread or descriptors, whose queue is emptied before it would be sent.
"""

from cpython.bytes cimport PyBytes_AsString
from libc.stdint cimport UINT64_MAX, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from rhp._fast.esp cimport esp_ctx_new
from rhp._fast.etherip cimport ETHERIP_HEADER
from rhp._fast.lane cimport BATCH, HEAD_ROOM, SLOT_STRIDE, lane_t, train_t
from rhp._fast.parcel cimport SUPER_TCP4, parcel_t
from rhp._fast.sa cimport esp_key_fill, esp_sequence_init
from rhp._fast.sadb cimport TRAIN_FIT_ALL, port_free, port_lane_t, port_new, port_t, sa_free, sa_lane_t, sa_new, sa_t
from rhp._fast.seal cimport seal_frame

from bench.micro.clock cimport now

cdef enum:
    ETHERNET = 14
    IP = 20
    HEADERS = ETHERNET + IP + 32    # TCP with timestamps.
    SEGMENTS = 45                   # Fill one train with packets of 1400 octets.

# IPv4 from 10.77.0.1 to 10.77.0.2 that must not be fragmented; TCP with ACK. The lengths are filled in.
IP_HEADER = bytes.fromhex("450000000000400040060000 0a4d0001 0a4d0002")
TCP_HEADER = bytes.fromhex("13881389 00000000 00000000 80100400 00000000 0101080a 00000000 00000000")


cdef class SealPath:
    cdef lane_t* lane
    cdef port_t* port
    cdef sa_t* sa
    cdef uint8_t* frame
    cdef parcel_t parcel

    def __cinit__(self, encr_id, bytes encr_key, integ_id, bytes integ_key, size):
        cdef sa_lane_t* view
        self.lane = <lane_t*>calloc(1, sizeof(lane_t))
        self.port, self.sa = port_new(1), sa_new(1)
        self.frame = <uint8_t*>calloc(1, SLOT_STRIDE)
        if self.lane == NULL or self.port == NULL or self.sa == NULL or self.frame == NULL:
            raise MemoryError
        self.lane.queues[0].trains = <train_t*>calloc(BATCH, sizeof(train_t))
        self.lane.queues[0].slots = <uint8_t*>calloc(2, SLOT_STRIDE)
        self.lane.queues[0].segments_max = SEGMENTS
        if esp_key_fill(
            &self.sa.key_out, encr_id, <const uint8_t*>PyBytes_AsString(encr_key), len(encr_key),
            integ_id, <const uint8_t*>PyBytes_AsString(integ_key), len(integ_key), 0x1234, False, 1024,
        ):
            raise ValueError("this suite is not offered")
        esp_sequence_init(&self.sa.sequence, False)
        self.sa.warn_at = UINT64_MAX
        view = self.sa.lanes
        view.sa = self.sa
        view.port = self.port.lanes
        view.train_fit = TRAIN_FIT_ALL
        view.sealer = esp_ctx_new(&self.sa.key_out, False)
        self.port.lanes.port = self.port
        self.port.lanes.outbound = view
        self.make_frame(size - ETHERIP_HEADER - HEADERS)

    cdef make_frame(self, segment):
        """The super-frame as a TAP hands it over: its TCP checksum is not yet there."""
        cdef uint8_t* data = self.frame + HEAD_ROOM
        cdef bytes headers = bytes(12) + b"\x08\x00" + IP_HEADER + TCP_HEADER
        memcpy(data, PyBytes_AsString(headers), HEADERS)
        self.parcel.data = data
        self.parcel.len = HEADERS + SEGMENTS * segment
        self.parcel.network = ETHERNET
        self.parcel.kind = SUPER_TCP4
        self.parcel.segment_size = segment
        self.parcel.checksum_start = ETHERNET + IP
        self.parcel.checksum_offset = 16
        self.parcel.unfinished = True
        data[ETHERNET + 2], data[ETHERNET + 3] = divmod(self.parcel.len - ETHERNET, 256)

    def __dealloc__(self):
        if self.sa != NULL:
            sa_free(self.sa, 1)
        if self.port != NULL:
            port_free(self.port, 1)
        if self.lane != NULL:
            free(self.lane.queues[0].trains)
            free(self.lane.queues[0].slots)
        free(self.lane)
        free(self.frame)

    def seal(self, int super_frames):
        cdef port_lane_t* port = self.port.lanes
        cdef double begin
        cdef double total = 0
        cdef int _
        with nogil:
            for _ in range(super_frames):
                begin = now()
                seal_frame(self.lane, port, &self.parcel)
                total += now() - begin
                # One train, full and closed: what a lane would give to sendmmsg now.
                self.lane.queues[0].count = 0
        if port.packets_out % SEGMENTS or port.drops:
            raise RuntimeError("a packet failed while it was timed")
        return total / (<double>super_frames * SEGMENTS)
