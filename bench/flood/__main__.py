"""Flood a gateway with first messages from forged addresses and write bench/out/flood.json.

    python -m bench.flood [--seconds N] [--rate N]

A tunnel carries TCP at a steady 1 Gb/s, first in peace and then through the flood; in the middle of that a peer which
was not there before calls. All of it once on port 500 and once on port 4500, which the tunnel's own packets come to.
"""

import argparse
import sys
import threading
import time
from collections.abc import Sequence

from bench import compare
from rhp.lab.errors import LabError
from rhp.lab.iperf3 import Iperf3
from rhp.lab.lab import Lab
from rhp.lab.siege import Siege, poured

STEADY_GBPS = 1.0
CALM_SECONDS = 8
WARM_SECONDS = 3
SETTLE = 2.0


def steady(lab: Lab, siege: Siege, seconds: int) -> float:
    """TCP that arrives through the tunnel at the gateway, in Gb/s, of what is sent at `STEADY_GBPS`."""
    log = lab.path(f"iperf3-{time.monotonic_ns()}.log")
    with Iperf3(siege.pair.a.namespace, siege.gateway.namespace, siege.inner[1], log) as iperf3:
        return iperf3.tcp(seconds, most_gbps=STEADY_GBPS).gbps


def besiege(lab: Lab, siege: Siege, port: int, rate: float, seconds: int) -> dict[str, float]:
    """One flood; what it did."""
    process = siege.gateway.process
    memory, used = process.resident_bytes(), process.processor_seconds()
    flood = siege.flood(seconds, rate, port=port)
    arrived: list[float] = []
    load = threading.Thread(target=lambda: arrived.append(steady(lab, siege, seconds - 2)))
    load.start()
    time.sleep(seconds / 3)
    came_in = siege.let_in()
    load.join()
    said = poured(flood)
    time.sleep(SETTLE)
    siege.send_away()
    if not arrived:
        raise LabError("the tunnel's traffic broke off")
    return {
        "gbps": arrived[0],
        "kpps": said["sent"] / said["seconds"] / 1e3,
        "in": came_in,
        "mb": (process.resident_bytes() - memory) / 1e6,
        "cores": (process.processor_seconds() - used) / seconds,
        "missed": float(siege.edges()["gate-full"]),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write and print; the exit status is 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.flood", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="how long each flood lasts (default 20)")
    parser.add_argument("--rate", type=float, default=50_000.0, help="messages a second (default 50000)")
    options = parser.parse_args(arguments)
    try:
        with Lab() as lab:
            siege = Siege(lab)
            # What a process keeps ready since its first flood is no growth.
            poured(siege.flood(WARM_SECONDS, options.rate))
            calm = steady(lab, siege, CALM_SECONDS)
            quiet = siege.let_in()
            siege.send_away()
            hit = {port: besiege(lab, siege, port, options.rate, options.seconds) for port in (500, 4500)}
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    columns = {"rhp": hit[500], "rhp-natt-port": hit[4500]}
    figures = {
        "steady_tcp_gbps": {**{name: round(one["gbps"], 3) for name, one in columns.items()}, "calm": round(calm, 3)},
        "late_peer_in_s": {**{name: round(one["in"], 3) for name, one in columns.items()}, "calm": round(quiet, 3)},
        "flood_kpps": {name: round(one["kpps"], 1) for name, one in columns.items()},
        "memory_growth_mb": {name: round(one["mb"], 2) for name, one in columns.items()},
        "gateway_cores": {name: round(one["cores"], 2) for name, one in columns.items()},
        "missed_messages": {name: one["missed"] for name, one in columns.items()},
    }
    compare.show(compare.write("flood", figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
