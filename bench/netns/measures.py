"""What is measured of one contender, each as a plain number in the unit that its name ends in."""

import contextlib
import json
import threading
import time
from collections.abc import Callable

from bench.netns.contender import Contender
from bench.netns.datagrams import Datagrams, highest_carried
from rhp.lab.errors import LabError
from rhp.lab.iperf3 import Iperf3
from rhp.lab.lab import Lab
from rhp.lab.ping import ping

# The kernel's own default. A machine may be set to BBR, which paces what it sends and so leaves processors idle.
CONGESTION = "cubic"

Measure = Callable[[Lab, Contender, int], float]
Single = Callable[[Contender], float | None]

_PINGS_PER_SECOND = 20


def _server(lab: Lab, contender: Contender) -> Iperf3:
    log = lab.path(f"iperf3-{contender.name}-{time.monotonic_ns()}.log")
    return Iperf3(contender.client, contender.server, contender.address, log)


def _tcp(streams: int, *, reverse: bool = False, wire: bool = False) -> Measure:
    """TCP that arrives, in Gb/s; over `wire` the cable behaves as network cards do."""

    def measure(lab: Lab, contender: Contender, seconds: int) -> float:
        with contender.wire() if wire else contextlib.nullcontext(), _server(lab, contender) as iperf3:
            return iperf3.tcp(seconds, streams=streams, reverse=reverse, congestion=CONGESTION).gbps

    return measure


def _tcp_measures() -> dict[str, Measure]:
    """One and four streams, each direction, over the plain cable and over the wire."""
    return {
        f"tcp_{count}_{'_reverse' if reverse else ''}{'_wire' if wire else ''}_gbps".replace("__", "_"): _tcp(
            streams, reverse=reverse, wire=wire
        )
        for wire in (False, True)
        for streams, count in ((1, "1_stream"), (4, "4_streams"))
        for reverse in (False, True)
    }


def udp_64b_kpps(lab: Lab, contender: Contender, seconds: int) -> float:
    """UDP datagrams of 64 octets that arrive, out of as many as iperf3 can send."""
    with _server(lab, contender) as iperf3:
        return iperf3.udp(seconds, size=64).kpps


def udp_64b_lossless_kpps(lab: Lab, contender: Contender, seconds: int) -> float:
    """The highest rate of datagrams of 64 octets at which next to none gets lost; see `datagrams`."""
    with Datagrams(contender.client, contender.server, contender.address) as datagrams:
        return highest_carried(lambda rate: datagrams.burst(rate, seconds / 4))


def ping_idle_ms(lab: Lab, contender: Contender, seconds: int) -> float:
    """Median round trip with nothing else under way."""
    return _ping(contender, seconds)


def ping_loaded_ms(lab: Lab, contender: Contender, seconds: int) -> float:
    """Median round trip beside one TCP connection that takes all it can."""
    with _server(lab, contender) as iperf3:
        failed: list[LabError] = []

        def load() -> None:
            try:
                iperf3.tcp(seconds + 1, congestion=CONGESTION)
            except LabError as error:
                failed.append(error)

        thread = threading.Thread(target=load)
        thread.start()
        time.sleep(0.5)
        try:
            return _ping(contender, seconds)
        finally:
            thread.join()
            if failed:
                raise failed[0]


def _ping(contender: Contender, seconds: int) -> float:
    result = ping(contender.client, contender.address, count=seconds * _PINGS_PER_SECOND, interval=0.05)
    if result.median_ms is None:
        raise LabError(f"{contender.name} answered no ping")
    return result.median_ms


def node_rss_mb(contender: Contender) -> float | None:
    """The larger end's memory in RAM, in megabytes; None for what has no process."""
    resident = [process.resident_bytes() for process in contender.processes]
    return max(resident) / 1e6 if resident else None


def status_s(contender: Contender) -> float | None:
    """Seconds that `rhp status -o json` takes from start to end, process included; None for other programs."""
    if not contender.nodes:
        return None
    begin = time.monotonic()
    report = json.loads(contender.nodes[0].command("status", "-o", "json"))
    taken = time.monotonic() - begin
    return taken if report["connections"] else None


REPEATED: dict[str, Measure] = {
    **_tcp_measures(),
    **{measure.__name__: measure for measure in (udp_64b_kpps, udp_64b_lossless_kpps, ping_idle_ms, ping_loaded_ms)},
}
FIRST: dict[str, Single] = {measure.__name__: measure for measure in (node_rss_mb, status_s)}
LAST: dict[str, Single] = {"node_rss_loaded_mb": node_rss_mb}
"""Taken when all the load is over."""
OF_SUITES = ("tcp_1_stream_gbps",)
"""What is measured of rhp's other ciphers."""
