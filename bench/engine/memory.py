"""What a gateway holds in RAM with a thousand tunnels up: guard and node, as `rhp up` runs them.

Rss counts each process by itself, with the pages of files that both have mapped; Pss shares these out.
"""

from pathlib import Path

from bench.engine import gateways
from bench.engine.gateways import KINDS, Start
from rhp.lab.process import Background

TUNNELS = 1000


def held(pid: int) -> dict[str, float]:
    """The kernel's account of one process, in megabytes, by the name of its line."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(size) * 1024 / 1e6 for name, size, _ in map(str.split, lines)}


def total(process: Background, what: str) -> float:
    """What it and its children hold."""
    return sum(held(pid)[what] for pid in (process.pid, *process.children))


def with_tunnels(start: Start) -> dict[str, float]:
    """A gateway before its clients call and when all of them are up."""
    with gateways.gateway(start, KINDS["psk"], TUNNELS) as (process, call):
        resting = total(process, "Rss")
        call()
        return {
            "rss": total(process, "Rss"),
            "pss": total(process, "Pss"),
            "parent": held(process.pid)["Rss"],
            "resting": resting,
        }


def measure() -> dict[str, dict[str, float]]:
    """With a connection for each client, and with one for all of them, as strongSwan has it, too."""
    each = with_tunnels(lambda lab, namespace, kind: gateways.rhp_each(lab, namespace, TUNNELS))
    one, swan = (with_tunnels(start) for start in gateways.PROGRAMS.values())
    found = {
        "rhp": each["rss"],
        "rhp-guard": each["parent"],
        "rhp-node": each["rss"] - each["parent"],
        "rhp-pss": each["pss"],
        "rhp-resting": each["resting"],
        "rhp-one-connection": one["rss"],
        "strongswan-one-connection": swan["rss"],
    }
    return {f"memory_{TUNNELS}_tunnels_mb": {name: round(value, 1) for name, value in found.items()}}
