"""What is measured of one contender, each as a plain number in the unit that its name ends in."""

import json
import threading
import time
from collections.abc import Callable

from bench.netns.contenders import Contender
from rhp.lab.errors import LabError
from rhp.lab.iperf3 import Iperf3
from rhp.lab.lab import Lab
from rhp.lab.ping import ping

Measure = Callable[[Lab, Contender, int], float]

_PINGS_PER_SECOND = 20


def _server(lab: Lab, contender: Contender) -> Iperf3:
    log = lab.path(f"iperf3-{contender.name}-{time.monotonic_ns()}.log")
    return Iperf3(contender.client, contender.server, contender.address, log)


def tcp_1_stream_gbps(lab: Lab, contender: Contender, seconds: int) -> float:
    """TCP from client to server on one connection."""
    with _server(lab, contender) as iperf3:
        return iperf3.tcp(seconds, streams=1).gbps


def tcp_4_streams_gbps(lab: Lab, contender: Contender, seconds: int) -> float:
    """TCP from client to server on four connections."""
    with _server(lab, contender) as iperf3:
        return iperf3.tcp(seconds, streams=4).gbps


def udp_64b_kpps(lab: Lab, contender: Contender, seconds: int) -> float:
    """UDP datagrams of 64 octets that arrive, out of as many as iperf3 can send."""
    with _server(lab, contender) as iperf3:
        return iperf3.udp(seconds, size=64).kpps


def ping_idle_ms(lab: Lab, contender: Contender, seconds: int) -> float:
    """Median round trip with nothing else under way."""
    return _ping(contender, seconds)


def ping_loaded_ms(lab: Lab, contender: Contender, seconds: int) -> float:
    """Median round trip beside one TCP connection that takes all it can."""
    with _server(lab, contender) as iperf3:
        failed: list[LabError] = []

        def load() -> None:
            try:
                iperf3.tcp(seconds + 1)
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
    measure.__name__: measure
    for measure in (tcp_1_stream_gbps, tcp_4_streams_gbps, udp_64b_kpps, ping_idle_ms, ping_loaded_ms)
}
SINGLE: dict[str, Callable[[Contender], float | None]] = {
    measure.__name__: measure for measure in (node_rss_mb, status_s)
}
