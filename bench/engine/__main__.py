"""`python -m bench.engine`: complete PSK handshakes per second and core, and the memory of an established IKE SA.

One handshake is IKE_SA_INIT and IKE_AUTH with a first Child SA, both ends in this process on one core, with X25519 and
AES-128-GCM. The base is what the key exchanges of a handshake alone would allow. Rates are medians of five rounds.
"""

import gc
import os
from pathlib import Path
from statistics import median
from time import process_time

from bench import compare
from bench.engine.pair import Pair
from rhp.crypto import keyexchange

HANDSHAKES = 400
ROUNDS = 5
X25519 = 31
MEASURED_SAS = 1500


def handshakes_per_second() -> float:
    """One round on fresh engines."""
    pair = Pair(HANDSHAKES)
    pair.handshake(0, 0.0)
    gc.collect()
    began = process_time()
    for number in range(1, HANDSHAKES):
        pair.handshake(number, number / 1000.0)
    spent = process_time() - began
    pair.check(HANDSHAKES)
    return (HANDSHAKES - 1) / spent


def exchanges_per_second() -> float:
    """Both sides' key pairs and shared secrets, and nothing else."""
    began = process_time()
    for _ in range(HANDSHAKES):
        one, other = keyexchange.start(X25519), keyexchange.start(X25519)
        one.agree(other.public)
        other.agree(one.public)
    return HANDSHAKES / (process_time() - began)


def kilobytes_per_sa() -> float:
    """What the process grows by for one established IKE SA with its Child SA, on one side."""
    pair = Pair(MEASURED_SAS + 100)
    for number in range(100):
        pair.handshake(number, 0.0)
    before = resident()
    for number in range(100, MEASURED_SAS + 100):
        pair.handshake(number, 0.0)
    return (resident() - before) / MEASURED_SAS / 2 / 1000.0


def resident() -> int:
    """The memory of this process, in octets."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measure, write bench/out/engine.json and print it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    memory = kilobytes_per_sa()
    rounds = [(handshakes_per_second(), exchanges_per_second()) for _ in range(ROUNDS)]
    ours, base = (median(column) for column in zip(*rounds, strict=True))
    figures = {
        "psk_handshakes_per_core_s": {"rhp": round(ours, 1), "x25519-alone": round(base, 1)},
        "ike_sa_kilobytes": {"rhp": round(memory, 1)},
    }
    compare.show(compare.write("engine", figures))


if __name__ == "__main__":
    main()
