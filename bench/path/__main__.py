"""`python -m bench.path`: the packet path alone, with one peer, with a thousand, on two lanes, and beside 500 hubs.

Rates are wall time, nanoseconds are processor time of the lanes for each packet; medians of interleaved rounds. Sealing
is from the TAP's queue to the socket, opening from the socket to the TAP, system calls and loopback included.
"""

import ctypes
import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import compare, flavour
from bench.path.rig import Rig, Run
from bench.path.traffic import Traffic, opposite, tcp, udp
from rhp._fast.evp import openssl_version

ROUNDS = 9
SUPER_FRAMES = 1000
DATAGRAMS = 40_000
MEMORY_PEERS = 1000


@dataclass(frozen=True, slots=True)
class Setup:
    """What is installed, and with how many peers of each lane traffic is exchanged; `hub` others rest meanwhile."""

    name: str
    lanes: int
    peers: int
    active: int
    hub: int = 0


SETUPS = (
    Setup("one-peer", 1, 1, 1),
    Setup("thousand-peers", 1, 1000, 10),
    Setup("two-lanes", 2, 2, 1),
    Setup("500-hubs", 1, 1, 1, hub=500),
)

Samples = dict[str, dict[str, list[float]]]


def rates(rounds: int) -> Samples:
    """Every measure of every set-up."""
    samples: Samples = {}
    rigs = {setup: Rig(setup.lanes, setup.peers, setup.hub) for setup in SETUPS}
    try:
        for number in range(rounds + 1):
            for setup, rig in rigs.items():
                for kind, traffic in _traffic(setup, rig).items():
                    runs = rig.run(traffic)
                    if number == 0:
                        # Contexts are made and pages touched in the first round.
                        continue
                    for what, run in zip(("seal", "open"), runs, strict=True):
                        for name, value in _figures(run, traffic).items():
                            samples.setdefault(f"{what}_{kind}_{name}", {}).setdefault(setup.name, []).append(value)
    finally:
        for rig in rigs.values():
            rig.close()
    return samples


def _traffic(setup: Setup, rig: Rig) -> dict[str, list[Traffic]]:
    """The same amount for every set-up, shared out to its lanes."""
    active = [macs[: setup.active] for macs in rig.macs]
    return {
        "tcp": [tcp(macs, SUPER_FRAMES // setup.lanes) for macs in active],
        "udp_64b": [udp(macs, DATAGRAMS // setup.lanes) for macs in active],
    }


def _figures(run: Run, traffic: list[Traffic]) -> dict[str, float]:
    packets = sum(one.packets for one in traffic)
    return {"kpps": packets / run.seconds / 1e3, "ns": run.cpu_seconds / packets * 1e9}


def memory() -> dict[str, float]:
    """Kilobytes: of one more peer in one lane, before and after it has carried traffic, and of a lane's growth at work.

    Both planes are in this process, so each peer counts twice.
    """
    with Rig(1, 1) as rig:
        _work(rig, 3)
        start = _resident()
        _work(rig, 10)
        worked = _resident()
        rig.add_peers(MEMORY_PEERS)
        installed = _resident()
        _work(rig, 1)
        active = _resident()
    return {
        "idle_peer_and_lane_kb": (installed - worked) / MEMORY_PEERS / 2 / 1024,
        "active_peer_and_lane_kb": (active - worked) / MEMORY_PEERS / 2 / 1024,
        "load_growth_kb": (worked - start) / 1024,
    }


def _work(rig: Rig, times: int) -> None:
    """Datagrams with every peer, both ways."""
    for _ in range(times):
        rig.run([udp(rig.macs[0], DATAGRAMS // 10)])
        rig.run([udp([opposite(mac) for mac in rig.macs[0]], DATAGRAMS // 10)], back=True)


def _resident() -> int:
    """The memory of this process in octets, without what was freed and only kept."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measure, write bench/out/path.json (of the wheel: path-wheel.json) and print it."""
    found = {name: {"rhp": round(value, 3)} for name, value in memory().items()}
    for measure, setups in rates(ROUNDS).items():
        found[measure] = {name: round(median(values), 3) for name, values in setups.items()}
    compare.show(compare.write(flavour.file("path"), found))
    print(openssl_version(), file=sys.stderr)


if __name__ == "__main__":
    main()
