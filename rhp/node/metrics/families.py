"""Every metric: its name, its kind, its unit, its labels and its meaning. `docs/metrics.md` is the page.

A metric keeps its name, its unit and its labels for good, for dashboards and alarms are written by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `unit` is a word for the page; the name of a counter ends in "_total"."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()


_LISTED = (
    Family("rhp_build_info", "gauge", "always 1", "The versions of rhp and of its OpenSSL.", ("version", "openssl")),
    Family("rhp_start_time_seconds", "gauge", "Unix time", "When the node was started."),
    Family("rhp_connections", "gauge", "connections", "Connections in the configuration."),
    Family(
        "rhp_connection_up",
        "gauge",
        "0 or 1",
        "Whether a connection has an IKE SA and a Child SA that carries traffic.",
        ("connection",),
    ),
    Family("rhp_ike_sas", "gauge", "IKE SAs", "Established IKE SAs, of which a peer has one.", ("connection",)),
    Family("rhp_ike_sas_half_open", "gauge", "IKE SAs", "IKE SAs whose peer has not proved itself yet."),
    Family(
        "rhp_child_sas",
        "gauge",
        "Child SAs",
        "Installed pairs of ESP SAs, one that is being replaced included.",
        ("connection",),
    ),
    Family(
        "rhp_handshakes_total",
        "counter",
        "handshakes",
        "Handshakes that ended with both sides authenticated; resumed says whether by a ticket.",
        ("connection", "role", "resumed"),
    ),
    Family(
        "rhp_handshake_failures_total",
        "counter",
        "handshakes",
        "Handshakes that ended otherwise, by the reason that the log gives; a stranger's has no connection.",
        ("connection", "role", "reason"),
    ),
    Family(
        "rhp_authentication_failures_total",
        "counter",
        "failures",
        "One side could not prove its identity to the other; the handshake is counted as failed as well.",
        ("connection", "role", "reason"),
    ),
    Family(
        "rhp_tunnel_setup_seconds",
        "histogram",
        "seconds",
        "From the first IKE message to the first installed Child SA.",
    ),
    Family(
        "rhp_child_failures_total",
        "counter",
        "failures",
        "Child SAs that could not be made, while their IKE SA lived on.",
        ("connection", "reason"),
    ),
    Family(
        "rhp_rekeys_total",
        "counter",
        "rekeys",
        "SAs that got new keys; kind is ike, child or reauthentication.",
        ("connection", "kind"),
    ),
    Family(
        "rhp_moves_total",
        "counter",
        "moves",
        "Peers whose traffic goes between other addresses from then on.",
        ("connection", "reason"),
    ),
    Family(
        "rhp_ike_closed_total",
        "counter",
        "IKE SAs",
        "Established IKE SAs that ended.",
        ("connection", "reason"),
    ),
    Family("rhp_redirects_total", "counter", "redirects", "Peers that sent us to another gateway.", ("connection",)),
    Family(
        "rhp_received_bytes_total",
        "counter",
        "octets",
        "Inner octets that came from peers, without ESP and outer headers.",
        ("connection",),
    ),
    Family("rhp_sent_bytes_total", "counter", "octets", "The same that went to peers.", ("connection",)),
    Family("rhp_received_packets_total", "counter", "packets", "Inner packets or frames from peers.", ("connection",)),
    Family("rhp_sent_packets_total", "counter", "packets", "Inner packets or frames to peers.", ("connection",)),
    Family(
        "rhp_dropped_packets_total",
        "counter",
        "packets",
        "Packets from and to peers that were dropped, whatever the reason.",
        ("connection",),
    ),
    Family("rhp_drops_total", "counter", "packets", "Packets that the data plane dropped.", ("reason",)),
    Family("rhp_tap_frames_total", "counter", "frames", "Frames read from and written to the TAP.", ("direction",)),
    Family("rhp_tap_bytes_total", "counter", "octets", "Octets of these.", ("direction",)),
    Family("rhp_esp_packets_total", "counter", "packets", "ESP packets received and sent.", ("direction",)),
    Family(
        "rhp_dataplane_events_total",
        "counter",
        "events",
        "Everything else that the lanes count, by the name it has in rhp status -o json.",
        ("event",),
    ),
    Family("rhp_lanes", "gauge", "lanes", "Threads for packets that are at work."),
    Family("rhp_lane_cpu_seconds_total", "counter", "seconds", "Processor time that a lane has used.", ("lane",)),
    Family("rhp_lane_packets_total", "counter", "packets", "ESP packets of a lane.", ("lane", "direction")),
    Family("rhp_lane_drops_total", "counter", "packets", "Packets that a lane dropped.", ("lane",)),
    Family("rhp_lane_wakeups_total", "counter", "wake-ups", "How often a lane was woken.", ("lane",)),
    Family("rhp_pool_addresses", "gauge", "addresses", "Inner addresses that a pool can lend.", ("pool",)),
    Family(
        "rhp_pool_leases",
        "gauge",
        "addresses",
        "Addresses that are lent: online, or resting until their peer comes back.",
        ("pool", "state"),
    ),
    Family(
        "rhp_certificate_days_left",
        "gauge",
        "days",
        "Until the first certificate of a connection ends, below 0 when it has; use is own, our chain, or ca, "
        "the authorities that vouch for peers.",
        ("connection", "use"),
    ),
    Family("rhp_guard_questions_total", "counter", "questions", "What the node asked of the guard.", ("question",)),
    Family("rhp_guard_refusals_total", "counter", "questions", "What the guard refused.", ("question",)),
    Family("rhp_guard_failures_total", "counter", "questions", "What the guard failed to answer.", ("question",)),
    Family("rhp_guard_wait_seconds_total", "counter", "seconds", "How long answers of the guard took.", ("question",)),
    Family(
        "rhp_cookies_total",
        "counter",
        "messages",
        "First messages that met the cookie: asked for one, brought the right or a wrong one, or got no answer "
        "because the socket was full (unsent).",
        ("result",),
    ),
    Family(
        "rhp_ike_events_total",
        "counter",
        "events",
        "Everything that the IKE engine counts, by the name it has in rhp status -o json.",
        ("event",),
    ),
    Family(
        "rhp_edge_events_total",
        "counter",
        "events",
        "What the IKE sockets, the gate behind them and the ICMP sockets count, by name.",
        ("event",),
    ),
    Family(
        "rhp_node_events_total",
        "counter",
        "events",
        "What the node counts beside that, and every event of the log by its words, as in rhp status -o json.",
        ("event",),
    ),
    Family(
        "rhp_events_lost_total",
        "counter",
        "events",
        "Events that were not told because nobody took them in time: control, to a follower of rhp events; "
        "dataplane, from a lane to the engine; sink-NAME, to an event sink.",
        ("stream",),
    ),
    Family("rhp_log_lines_suppressed_total", "counter", "lines", "Lines that were left out, for peers caused them."),
    Family("rhp_scrapes_total", "counter", "requests", "Requests for metrics, by what became of them.", ("result",)),
    Family(
        "rhp_scrape_loop_seconds",
        "gauge",
        "seconds",
        "How long the last reading of these numbers kept the event loop: in all, and longest at a time.",
        ("measure",),
    ),
)

FAMILIES: dict[str, Family] = {family.name: family for family in _LISTED}
"""Every metric by its name, in the order in which they are told."""

SETUP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram's buckets, in seconds."""
