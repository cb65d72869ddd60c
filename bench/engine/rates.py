"""Complete handshakes per second of processor time: the responder's alone, with both engines in this process."""

import gc
from dataclasses import dataclass
from statistics import median
from time import process_time

from bench.engine.pair import IKE, Kind, Pair
from rhp.crypto import keyexchange

X25519 = 31
PAIRS = 400
"""Key exchanges in a round of the base."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of handshake, and how many make a round; `returning` when each client was there just before."""

    name: str
    kind: Kind
    handshakes: int
    returning: bool = False


ROWS = (
    Row("psk_handshakes_per_core_s", Kind(), 400),
    Row("ecdsa_p256_handshakes_per_core_s", Kind(key_type="ecdsa-p256"), 200),
    Row("ecdsa_p256_returning_handshakes_per_core_s", Kind(key_type="ecdsa-p256"), 200, returning=True),
    Row("rsa_2048_handshakes_per_core_s", Kind(key_type="rsa-2048"), 40),
    Row("psk_mlkem768_handshakes_per_core_s", Kind(f"{IKE}-ke1_mlkem768"), 200),
)


def handshakes_per_second(row: Row) -> tuple[float, float]:
    """One round on fresh engines: by the responder's time, and by that of both ends."""
    pair = Pair(row.handshakes, row.kind)
    if row.returning:
        for number in range(row.handshakes):
            pair.handshake(number, 0.0)
        pair.leave(0.0)
    pair.handshake(0, 0.0)
    gc.collect()
    pair.responder.spent = 0
    began = process_time()
    for number in range(1, row.handshakes):
        pair.handshake(number, number / 1000.0)
    both = process_time() - began
    pair.check(row.handshakes)
    return (row.handshakes - 1) / pair.responder.spent * 1e9, (row.handshakes - 1) / both


def exchanges_per_second() -> float:
    """One side's key pair and shared secret, and nothing else."""
    other = keyexchange.start(X25519)
    began = process_time()
    for _ in range(PAIRS):
        keyexchange.start(X25519).agree(other.public)
    return PAIRS / (process_time() - began)


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """The medians of interleaved rounds, each row beside what its key exchange alone would allow."""
    seen: dict[str, list[tuple[float, float]]] = {row.name: [] for row in ROWS}
    base = []
    for _ in range(rounds):
        for row in ROWS:
            seen[row.name].append(handshakes_per_second(row))
        base.append(exchanges_per_second())
    found = {}
    for name, values in seen.items():
        ours, both = (median(column) for column in zip(*values, strict=True))
        found[name] = {"rhp": round(ours, 1), "rhp-both-ends": round(both, 1), "x25519-alone": round(median(base), 1)}
    return found
