"""What the node knows at this moment, as samples of the metrics of `families`.

One function for each room that is asked. All of them only read counters, so that one reading of a node with a thousand
peers takes a few milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from rhp._fast.evp import openssl_version
from rhp.ike.config import ConnectionConfig
from rhp.node.control.server import ControlServer
from rhp.node.lanes import NS_PER_SECOND
from rhp.node.log import EventLog
from rhp.node.metrics.certificates import CertificateDates, days_left
from rhp.node.metrics.counts import MOST_SERIES, OTHER, Counts
from rhp.node.metrics.families import FAMILIES
from rhp.node.status import Sources, counted, program_version
from rhp.node.traffic import NAMES, NOTHING
from rhp.node.watchedguard import WatchedGuard

Labels = tuple[str, ...]

_WAYS = ("in", "out")
_LANE_TOTALS = frozenset(
    {f"{name}-{way}" for name in ("tap-frames", "tap-octets", "esp-packets") for way in _WAYS} | {"wakeups"}
)
_TRAFFIC = {
    "rhp_received_bytes_total": "bytes_in",
    "rhp_sent_bytes_total": "bytes_out",
    "rhp_received_packets_total": "packets_in",
    "rhp_sent_packets_total": "packets_out",
    "rhp_dropped_packets_total": "drops",
}
_DROP = "drop-"
_EVENT_FULL = "drop-event-full"


@dataclass(frozen=True, slots=True)
class MetricSources:
    """Where samples are read. `rooms` gives the node's rooms as `rhp status` looks at them, `connections` those of the
    configuration; `started` and `wall_clock` are Unix time.
    """

    rooms: Callable[[], Sources]
    connections: Callable[[], tuple[ConnectionConfig, ...]]
    log: EventLog
    control: ControlServer
    guard: WatchedGuard
    counts: Counts
    certificates: CertificateDates
    wall_clock: Callable[[], float]
    started: float


class Samples:
    """The samples of one metric: the values of its labels, and the numbers.

    Two lists instead of one of pairs, because thousands of small objects call for the garbage collector, which keeps
    the loop far longer than all of this does.
    """

    __slots__ = ("labels", "values")

    def __init__(self) -> None:
        self.labels: list[Labels] = []
        self.values: list[float] = []

    def __iter__(self) -> Iterator[tuple[Labels, float]]:
        return zip(self.labels, self.values, strict=True)

    def add(self, labels: Labels, value: float) -> None:
        """One more."""
        self.labels.append(labels)
        self.values.append(value)


class Reading:
    """Samples by the name of their metric; every metric is there, with no sample perhaps."""

    def __init__(self) -> None:
        self.samples: dict[str, Samples] = {name: Samples() for name in FAMILIES}

    def put(self, name: str, value: float, *labels: str) -> None:
        """One sample, with the values of the metric's labels in their order. KeyError for an unknown metric."""
        self.samples[name].add(labels, value)

    def put_all(self, name: str, counts: Mapping[str, float]) -> None:
        """Samples of a metric with one label; the names that are too many are added up as "other"."""
        samples = self.samples[name]
        for index, (label, count) in enumerate(counts.items()):
            if index == MOST_SERIES:
                samples.add((OTHER,), sum(list(counts.values())[MOST_SERIES:]))
                return
            samples.add((label,), count)


def read(sources: MetricSources) -> Reading:
    """Read everything, once."""
    reading = Reading()
    rooms = sources.rooms()
    _sas(sources, rooms, reading)
    for look in (_plane, _lanes, _sinks, _pools, _ike):
        look(rooms, reading)
    for ask in (_node, _counted, _guard, _losses):
        ask(sources, reading)
    return reading


def _node(sources: MetricSources, reading: Reading) -> None:
    reading.put("rhp_build_info", 1, program_version(), openssl_version())
    reading.put("rhp_start_time_seconds", sources.started)
    reading.put("rhp_connections", len(sources.connections()))
    for labels, days in days_left(sources.certificates.ends, sources.wall_clock()):
        reading.put("rhp_certificate_days_left", days, *labels)


def _sas(sources: MetricSources, rooms: Sources, reading: Reading) -> None:
    """The SAs and the traffic of each connection: of those in the configuration, and of those that live on."""
    census = rooms.engine.census()
    pairs: Counter[str] = Counter()
    live: dict[str, Mapping[str, int]] = {}
    for lineage in rooms.children:
        name = lineage.connection
        pairs[name] += len(lineage.spis)
        live[name] = _sum(live.get(name), rooms.plane.port_counters(lineage.port))
    reading.put("rhp_ike_sas_half_open", census.half_open)
    names = dict.fromkeys([*(one.name for one in sources.connections()), *census.established, *live])
    for name in names:
        established, children = census.established[name], pairs[name]
        carried = _sum(rooms.children.traffic.past(name), live.get(name, NOTHING))
        labels = (name,)
        reading.samples["rhp_connection_up"].add(labels, established > 0 and children > 0)
        reading.samples["rhp_ike_sas"].add(labels, established)
        reading.samples["rhp_child_sas"].add(labels, children)
        for metric, counter in _TRAFFIC.items():
            reading.samples[metric].add(labels, carried[counter])


def _sum(one: Mapping[str, int] | None, other: Mapping[str, int]) -> Mapping[str, int]:
    return other if one is None else {name: one[name] + other[name] for name in NAMES}


def _counted(sources: MetricSources, reading: Reading) -> None:
    for name, counter in sources.counts.by_name.items():
        for labels, count in counter.items():
            reading.samples[name].add(labels, count)


def _plane(rooms: Sources, reading: Reading) -> None:
    counters = rooms.plane.counters()
    for way in _WAYS:
        reading.put("rhp_tap_frames_total", counters[f"tap-frames-{way}"], way)
        reading.put("rhp_tap_bytes_total", counters[f"tap-octets-{way}"], way)
        reading.put("rhp_esp_packets_total", counters[f"esp-packets-{way}"], way)
    drops = {name: count for name, count in counters.items() if name.startswith(_DROP)}
    reading.put_all("rhp_drops_total", {name.removeprefix(_DROP): count for name, count in drops.items()})
    rest = {name: count for name, count in counters.items() if name not in drops and name not in _LANE_TOTALS}
    reading.put_all("rhp_dataplane_events_total", rest)
    reading.put("rhp_events_lost_total", counters.get(_EVENT_FULL, 0), "dataplane")


def _lanes(rooms: Sources, reading: Reading) -> None:
    plane = rooms.plane
    reading.put("rhp_lanes", plane.lanes)
    for number in range(plane.lanes):
        lane, counters = str(number), plane.lane_counters(number)
        reading.put("rhp_lane_cpu_seconds_total", plane.cpu(number)[1] / NS_PER_SECOND, lane)
        for way in _WAYS:
            reading.put("rhp_lane_packets_total", counters[f"esp-packets-{way}"], lane, way)
        drops = sum(count for name, count in counters.items() if name.startswith(_DROP))
        reading.put("rhp_lane_drops_total", drops, lane)
        reading.put("rhp_lane_wakeups_total", counters["wakeups"], lane)


def _sinks(rooms: Sources, reading: Reading) -> None:
    for name, dropped in rooms.sinks.dropped().items():
        reading.put("rhp_events_lost_total", dropped, f"sink-{name}")


def _pools(rooms: Sources, reading: Reading) -> None:
    for pool in rooms.engine.pools():
        reading.put("rhp_pool_addresses", pool.size, pool.name)
        reading.put("rhp_pool_leases", pool.online, pool.name, "online")
        reading.put("rhp_pool_leases", pool.resting, pool.name, "resting")


def _guard(sources: MetricSources, reading: Reading) -> None:
    guard = sources.guard
    for question, count in guard.questions.items():
        reading.put("rhp_guard_questions_total", count, question)
        reading.put("rhp_guard_refusals_total", guard.refusals[question], question)
        reading.put("rhp_guard_failures_total", guard.failures[question], question)
        reading.put("rhp_guard_wait_seconds_total", guard.seconds.get(question, 0.0), question)


def _ike(rooms: Sources, reading: Reading) -> None:
    engine, edges = Counter(rooms.engine.counters), Counter(rooms.edges.counters())
    # The gate asks and checks in the engine's place; what passes it is judged again, so either may have counted.
    reading.put("rhp_cookies_total", edges["gate-cookie-asked"] + engine["cookie-asked"], "asked")
    reading.put("rhp_cookies_total", max(edges["gate-admitted-by-cookie"], engine["cookie-accepted"]), "right")
    reading.put("rhp_cookies_total", edges["gate-cookie-wrong"] + engine["cookie-wrong"], "wrong")
    reading.put("rhp_cookies_total", edges["gate-cookies-unsent"], "unsent")
    reading.put_all("rhp_ike_events_total", engine)
    reading.put_all("rhp_edge_events_total", edges)
    reading.put_all("rhp_node_events_total", counted(rooms))


def _losses(sources: MetricSources, reading: Reading) -> None:
    reading.put("rhp_events_lost_total", sources.control.lost_events, "control")
    reading.put("rhp_log_lines_suppressed_total", sources.log.suppressed)
