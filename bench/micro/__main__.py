"""`python -m bench.micro`: seal and open per packet size and suite, beside bare EVP in the same process.

Figures are gigabits of payload per second on one core, medians of interleaved rounds; the ratio beside "evp" is the
share of bare EVP that is left when headers, padding, sequence numbers, the replay window and every check are done.
`path_` is more than sealing: a TCP super-frame is cut, each segment gets its headers, checksum and EtherIP, and is
sealed into a train. The loops have to be compiled before: `python -m bench.micro.build`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median

import bench.micro
from bench import compare, flavour
from rhp._fast.evp import openssl_version

SUITES = {
    # Name: (encryption, octets of key and salt, integrity, octets of its key), by IANA numbers.
    "aes128gcm16": (20, 20, 0, 0),
    "aes256gcm16": (20, 36, 0, 0),
    "chacha20poly1305": (28, 36, 0, 0),
    "aes128ccm16": (16, 19, 0, 0),
    "aes128-sha256": (12, 16, 12, 32),
    "aes256-sha512": (12, 32, 14, 64),
    "aes128ctr-sha256": (13, 20, 12, 32),
    "3des-sha1": (3, 24, 2, 20),
}
SIZES = (64, 512, 1400, 8900)
ROUNDS = 7
ROUND_NS = 8_000_000
BATCH = 64
TARGET = 0.7
PATH_SUITES = ("aes128gcm16", "aes256gcm16", "chacha20poly1305")
PATH_SIZE = 1400


def batches_for(timed: Callable[[int], float]) -> int:
    """How many batches fill one round, from a warm-up of two."""
    return max(2, round(ROUND_NS / (timed(2) * BATCH)))


def measure(suite: str, size: int) -> dict[str, dict[str, float]]:
    """Two measures, seal and open, each {"rhp": Gb/s, "evp": Gb/s}."""
    # Here and not above, because main() says where the module is.
    from bench.micro.loops import Lane

    encr_id, encr_len, integ_id, integ_len = SUITES[suite]
    lane = Lane(encr_id, os.urandom(encr_len), integ_id, os.urandom(integ_len), size)
    loops = {"seal": (lane.seal, lane.raw_seal), "open": (lane.open, lane.raw_open)}
    figures = {}
    for direction, (ours, bare) in loops.items():
        count = batches_for(bare)
        rounds = [(ours(count), bare(count)) for _ in range(ROUNDS)]
        rhp, evp = (median(column) for column in zip(*rounds, strict=True))
        figures[f"{direction}_{suite}_{size}b_gbps"] = {"rhp": size * 8 / rhp, "evp": size * 8 / evp}
    return figures


def measure_path(suite: str, size: int) -> dict[str, dict[str, float]]:
    """One measure: the whole way out but for the hub and the system calls, beside bare EVP for the same octets."""
    from bench.micro.loops import Lane
    from bench.micro.sealpath import SealPath

    encr_id, encr_len, integ_id, integ_len = SUITES[suite]
    key = encr_id, os.urandom(encr_len), integ_id, os.urandom(integ_len)
    path, bare = SealPath(*key, size), Lane(*key, size)
    count = batches_for(bare.raw_seal)
    rounds = [(path.seal(count), bare.raw_seal(count)) for _ in range(ROUNDS)]
    rhp, evp = (median(column) for column in zip(*rounds, strict=True))
    return {f"path_{suite}_{size}b_gbps": {"rhp": size * 8 / rhp, "evp": size * 8 / evp}}


def main() -> None:
    """Measure everything, write bench/out/micro.json (of the wheel: micro-wheel.json) and print it."""
    bench.micro.__path__.append(str(Path(__file__).parents[2] / flavour.FOLDER / "bench/micro"))
    figures: dict[str, dict[str, float]] = {}
    for suite in PATH_SUITES:
        figures |= measure_path(suite, PATH_SIZE)
    for suite in SUITES:
        for size in SIZES:
            figures |= measure(suite, size)
    compare.show(compare.write(flavour.file("micro"), figures))
    shares = {name: row["rhp"] / row["evp"] for name, row in figures.items() if "_1400b_" in name}
    worst = min(shares, key=lambda name: shares[name])
    print(
        f"{openssl_version()}. Smallest share of bare EVP at 1400 B: {shares[worst]:.0%}, {worst}; wanted {TARGET:.0%}."
    )


if __name__ == "__main__":
    main()
