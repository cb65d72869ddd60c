"""A lane's counters."""

from libc.stdint cimport uint64_t

from atomic cimport RELAXED, load64

from rhp._fast.drops cimport DROP_COUNT, DROP_NONE, drop_name

TOTALS = (
    "tap-frames-in",
    "tap-frames-out",
    "esp-packets-in",
    "esp-packets-out",
    "ike-datagrams-in",
    "keepalives-in",
    "frames-flooded",
    "frames-peer-to-peer",
    "arp-answered",
    "nd-answered",
    "mss-clamped",
    "macs-learned",
    "macs-moved",
    "mac-table-full",
    "send-calls",
    "receive-calls",
    "receive-errors",
    "wakeups",
    "tap-super-frames-in",
    "tap-super-frames-out",
    "tap-octets-in",
    "tap-octets-out",
    "packets-merged",
    "trains-in",
    "trains-out",
    "trains-refused",
    "frames-oversized",
    "too-big-answered",
    "path-probes",
    "path-answers",
    "train-packets-in",
    "train-packets-out",
    "esp-packets-held",
)


cdef list counter_names():
    names = list(TOTALS)
    if len(names) != TOTAL_COUNT:
        raise SystemError("a total has no name")
    for index in range(<int>DROP_NONE + 1, <int>DROP_COUNT):
        names.append("drop-" + drop_name(index).decode("ascii"))
    return names


NAMES = tuple(counter_names())


cdef void stats_sum(stats_t* total, const stats_t* more) noexcept nogil:
    cdef int index
    for index in range(TOTAL_COUNT):
        total.totals[index] += load64(&more.totals[index], RELAXED)
    for index in range(DROP_COUNT):
        total.drops[index] += load64(&more.drops[index], RELAXED)


cdef int stats_add(const stats_t* stats, dict values) except -1:
    cdef int index
    cdef uint64_t value
    for index, name in enumerate(NAMES):
        if index < <int>TOTAL_COUNT:
            value = load64(&stats.totals[index], RELAXED)
        else:
            value = load64(&stats.drops[index - <int>TOTAL_COUNT + 1], RELAXED)
        values[name] = values.get(name, 0) + value
    return 0
