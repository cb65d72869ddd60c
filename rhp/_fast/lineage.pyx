"""The control thread's side of ports and SAs."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memset

from atomic cimport RELAXED, load64

from rhp._fast.address cimport endpoint_parse
from rhp._fast.domain cimport mac_number
from rhp._fast.entry cimport HUB_MAX_PORT
from rhp._fast.sa cimport esp_key_fill, esp_sequence_init
from rhp._fast.routes cimport ROUTE_PREFIXES_MAX, range_prefixes
from rhp._fast.sadb cimport *
from rhp._fast.selector cimport selector_is_all, selector_is_host, selector_t, selectors_fill

cdef uint64_t NO_LIMIT = <uint64_t>0xffffffffffffffff

KINDS = {"ethernet": <int>PORT_ETHERNET, "ip": <int>PORT_IP}
MODES = {"ethernet": <int>PORT_ETHERNET, "tunnel": <int>PORT_IP}
ENCAPSULATIONS = {"udp": <int>ENCAPSULATION_UDP, "esp": <int>ENCAPSULATION_ESP}


cdef uint64_t limit_of(object wanted) except? 0:
    """A limit as the lanes compare with it."""
    if not 0 <= wanted < NO_LIMIT:
        raise ValueError(f"a limit of {wanted} is out of range")
    return wanted if wanted else NO_LIMIT


cdef object choice(dict table, object value, object what):
    if value not in table:
        raise ValueError(f"{what} {value!r} is none of {', '.join(table)}")
    return table[value]


cdef void fill_routes(port_lane_t* view, list prefixes):
    cdef int index
    for index, (prefix, length) in enumerate(prefixes):
        view.routes[index].owner = view
        view.routes[index].prefix.high = prefix >> 64
        view.routes[index].prefix.low = prefix & 0xffffffffffffffff
        view.routes[index].length = length


cdef class HubPort:
    """One hub port. ValueError for what cannot be."""

    def __cinit__(
        self, Domain domain, number: int, kind: str, pseudo_mac: object, isolate_group: int, mss: int, local_ts: object,
        remote_ts: object,
    ) -> None:
        cdef int lanes = domain.lanes
        cdef int lane
        self.domain = domain
        self.lanes = lanes
        self.pairs = []
        self.port = port_new(lanes)
        if self.port == NULL:
            raise MemoryError
        if not 0 < number <= HUB_MAX_PORT or not 0 <= mss <= 65535 or not 0 <= isolate_group < 1 << 32:
            raise ValueError("port number, MSS or isolate group is out of range")
        self.port.number = number
        for lane in range(lanes):
            self.port.lanes[lane].hub = <uint16_t>domain.number
        self.port.kind = choice(KINDS, kind, "port kind")
        self.port.mss = mss
        self.port.isolate_group = isolate_group
        if self.port.kind == PORT_IP:
            if pseudo_mac is None:
                raise ValueError("an IP port needs a pseudo-MAC")
            self.port.pseudo_mac = mac_number(pseudo_mac)
        selectors_fill(&self.port.local, local_ts)
        selectors_fill(&self.port.remote, remote_ts)
        self._make_routes()

    def __dealloc__(self) -> None:
        port_free(self.port, self.lanes)

    cdef int _make_routes(self) except -1:
        """The remote side's ranges as prefixes: single hosts are neighbours, and "everything" is no range."""
        cdef const selector_t* selector
        cdef int index
        found = []
        for index in range(self.port.remote.count):
            selector = self.port.remote.items + index
            if not selector_is_all(selector) and not selector_is_host(selector):
                found += range_prefixes(
                    (<object>selector.start.high << 64) | selector.start.low,
                    (<object>selector.end.high << 64) | selector.end.low,
                )
        if len(found) > ROUTE_PREFIXES_MAX:
            raise ValueError(f"the remote ranges make {len(found)} prefixes, more than {ROUTE_PREFIXES_MAX}")
        if found and port_make_routes(self.port, self.lanes, len(found)) < 0:
            raise MemoryError
        for index in range(self.lanes if found else 0):
            fill_routes(self.port.lanes + index, found)
        return 0

    cdef SaPair newest_active(self, int lane):
        cdef SaPair pair
        for pair in reversed(self.pairs):
            if pair.active and pair.lane == lane:
                return pair
        return None

    cdef SaPair outbound_of(self, int lane):
        cdef SaPair pair
        cdef int other
        for other in (lane, -1):
            pair = self.newest_active(other)
            if pair is not None:
                return pair
        return next((pair for pair in reversed(self.pairs) if pair.active), None)

    cdef dict counters(self, object lanes):
        cdef port_lane_t* view
        cdef int lane
        values = dict.fromkeys(("packets_in", "bytes_in", "packets_out", "bytes_out", "drops"), 0)
        for lane in lanes:
            view = self.port.lanes + lane
            values["packets_in"] += load64(&view.packets_in, RELAXED)
            values["bytes_in"] += load64(&view.bytes_in, RELAXED)
            values["packets_out"] += load64(&view.packets_out, RELAXED)
            values["bytes_out"] += load64(&view.bytes_out, RELAXED)
            values["drops"] += load64(&view.drops, RELAXED)
        return values


cdef class SaPair:
    """A pair of SAs. ValueError for a suite, key or address that does not fit."""

    def __cinit__(self, HubPort port, lanes: int, params: object) -> None:
        self.lanes = lanes
        self.port = port
        self.active = params.outbound_active
        self.lane = -1 if params.lane is None else params.lane
        self.sa = sa_new(lanes)
        if self.sa == NULL:
            raise MemoryError
        if not (256 <= params.spi_in < 1 << 32 and 256 <= params.spi_out < 1 << 32):
            raise ValueError("an SPI is not within 256..2^32-1")
        if not -1 <= self.lane < lanes:
            raise ValueError(f"there is no lane {self.lane}")
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
        esp_sequence_init(&self.sa.sequence, params.esn)
        self.sa.packet_limit = limit_of(params.packet_limit)
        self.sa.packet_warn = limit_of(params.packet_warn)
        self.sa.octet_limit = limit_of(params.octet_limit)
        self.sa.octet_warn = limit_of(params.octet_warn)
        self.sa.limited = (
            min(self.sa.packet_limit, self.sa.packet_warn, self.sa.octet_limit, self.sa.octet_warn) < NO_LIMIT
        )
        self.sa.sequence.last = min(self.sa.sequence.last, self.sa.packet_limit)
        # An eighth is left for the rekey: minutes even at a million packets a second.
        self.sa.warn_at = min(self.sa.packet_warn, self.sa.sequence.last - self.sa.sequence.last / 8)
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
