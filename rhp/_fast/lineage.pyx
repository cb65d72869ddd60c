"""The control thread's side of ports and SAs."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset

from atomic cimport RELAXED, load64

from rhp._fast.address cimport endpoint_parse
from rhp._fast.hub cimport HUB_MAX_PORT
from rhp._fast.octets cimport load_mac
from rhp._fast.sa cimport esp_key_fill, esp_sequence_init
from rhp._fast.sadb cimport *
from rhp._fast.selector cimport selector_is_all, selector_is_host, selectors_fill

KINDS = {"ethernet": <int>PORT_ETHERNET, "ip": <int>PORT_IP}
MODES = {"ethernet": <int>PORT_ETHERNET, "tunnel": <int>PORT_IP}
ENCAPSULATIONS = {"udp": <int>ENCAPSULATION_UDP, "esp": <int>ENCAPSULATION_ESP}


cdef unsigned long mac_number(object mac) except? 0:
    cdef bytes octets = bytes(mac)
    cdef uint64_t number
    if len(octets) != 6:
        raise ValueError(f"a MAC has six octets, not {len(octets)}")
    number = load_mac(<const uint8_t*><const char*>octets)
    if number == 0 or octets[0] & 1:
        raise ValueError(f"{octets.hex(':')} is no station's MAC")
    return number


cdef object choice(dict table, object value, object what):
    if value not in table:
        raise ValueError(f"{what} {value!r} is none of {', '.join(table)}")
    return table[value]


cdef class HubPort:
    """One hub port. ValueError for what cannot be."""

    def __cinit__(
        self, lanes: int, number: int, kind: str, pseudo_mac: object, isolate_group: int, mss: int, local_ts: object,
        remote_ts: object,
    ) -> None:
        cdef int index
        self.lanes = lanes
        self.pairs = []
        self.port = port_new(lanes)
        if self.port == NULL:
            raise MemoryError
        if not 0 < number <= HUB_MAX_PORT or not 0 <= mss <= 65535 or not 0 <= isolate_group < 1 << 32:
            raise ValueError("port number, MSS or isolate group is out of range")
        self.port.number = number
        self.port.kind = choice(KINDS, kind, "port kind")
        self.port.mss = mss
        self.port.isolate_group = isolate_group
        if self.port.kind == PORT_IP:
            if pseudo_mac is None:
                raise ValueError("an IP port needs a pseudo-MAC")
            self.port.pseudo_mac = mac_number(pseudo_mac)
        selectors_fill(&self.port.local, local_ts)
        selectors_fill(&self.port.remote, remote_ts)
        for index in range(self.port.remote.count):
            if not selector_is_all(self.port.remote.items + index):
                self.port.owns_ranges |= not selector_is_host(self.port.remote.items + index)

    def __dealloc__(self) -> None:
        port_free(self.port)

    cdef SaPair newest_active(self):
        for pair in reversed(self.pairs):
            if pair.active:
                return pair
        return None


cdef class SaPair:
    """A pair of SAs. ValueError for a suite, key or address that does not fit."""

    def __cinit__(self, HubPort port, lanes: int, params: object) -> None:
        self.lanes = lanes
        self.port = port
        self.active = params.outbound_active
        self.sa = sa_new(lanes)
        if self.sa == NULL:
            raise MemoryError
        if not (256 <= params.spi_in < 1 << 32 and 256 <= params.spi_out < 1 << 32):
            raise ValueError("an SPI is not within 256..2^32-1")
        if choice(MODES, params.mode, "mode") != port.port.kind:
            raise ValueError(f"an SA of mode {params.mode} does not fit this kind of port")
        self.sa.port = port.port
        self.sa.spi_in = params.spi_in
        self.sa.tunnel = port.port.kind == PORT_IP
        self.fill_keys(params)
        self.set_limit(params)
        self.set_path(
            (params.local_ip, params.local_port), (params.remote_ip, params.remote_port), params.encapsulation,
        )

    def __dealloc__(self) -> None:
        sa_free(self.sa, self.lanes)

    cdef int fill_keys(self, object params) except -1:
        cdef bytes key = params.encryption_key_in
        cdef bytes integrity_key = params.integrity_key_in
        cdef int result
        result = esp_key_fill(
            &self.sa.key_in, params.encryption, <const uint8_t*><const char*>key, len(key), params.integrity,
            <const uint8_t*><const char*>integrity_key, len(integrity_key), params.spi_in, params.esn,
            params.replay_window,
        )
        key = params.encryption_key_out
        integrity_key = params.integrity_key_out
        if result == 0:
            result = esp_key_fill(
                &self.sa.key_out, params.encryption, <const uint8_t*><const char*>key, len(key), params.integrity,
                <const uint8_t*><const char*>integrity_key, len(integrity_key), params.spi_out, params.esn,
                params.replay_window,
            )
        if result < 0:
            raise ValueError("the suite is unknown, or a key or the replay window does not fit it")
        return 0

    cdef int set_limit(self, object params) except -1:
        cdef uint64_t limit = params.packet_limit
        esp_sequence_init(&self.sa.sequence, params.esn)
        if 0 < limit < self.sa.sequence.last:
            self.sa.sequence.last = limit
        # An eighth is left for the rekey: minutes even at a million packets a second.
        self.sa.warn_at = self.sa.sequence.last - self.sa.sequence.last / 8
        return 0

    cdef int set_path(self, object local, object remote, object encapsulation) except -1:
        cdef message_t where
        memset(&where, 0, sizeof(where))
        where.encapsulation = choice(ENCAPSULATIONS, encapsulation, "encapsulation")
        endpoint_parse(local[0], local[1], &where.local)
        endpoint_parse(remote[0], remote[1], &where.remote)
        if where.local.version != where.remote.version:
            raise ValueError("the two ends of a path are of different IP versions")
        where.sa = self.sa
        where.port = self.port.port
        self.where = where
        return 0

    cdef dict counters(self):
        cdef uint64_t packets_in = 0, bytes_in = 0, packets_out = 0, bytes_out = 0
        cdef uint64_t last_in = 0, last_out = 0, replays = 0, failures = 0
        cdef sa_lane_t* view
        cdef int lane
        for lane in range(self.lanes):
            view = self.sa.lanes + lane
            packets_in += load64(&view.packets_in, RELAXED)
            bytes_in += load64(&view.bytes_in, RELAXED)
            packets_out += load64(&view.packets_out, RELAXED)
            bytes_out += load64(&view.bytes_out, RELAXED)
            replays += load64(&view.replay_drops, RELAXED)
            failures += load64(&view.auth_drops, RELAXED)
            last_in = max(last_in, load64(&view.last_in, RELAXED))
            last_out = max(last_out, load64(&view.last_out, RELAXED))
        return {
            "packets_in": packets_in, "bytes_in": bytes_in, "packets_out": packets_out, "bytes_out": bytes_out,
            "last_in_ns": last_in, "last_out_ns": last_out, "replay_drops": replays, "auth_drops": failures,
            "sequence": load64(&self.sa.sequence.next, RELAXED) - 1,
        }
