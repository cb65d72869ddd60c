"""The lanes' part of the status: what each has carried and dropped, and what the kernel does for them, or why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rhp.spi.esp import DataPlane

NS_PER_SECOND = 1e9

# TUN_F_* of linux/if_tun.h, whose newest names are in no header of Debian 12.
_TAP = (
    (0x01, "tap-checksums", "the kernel gives frames no header that could say so"),
    (0x02 | 0x04, "tap-tcp-super-frames", "the kernel refused TSO"),
    (0x08, "tap-tcp-super-frames-ecn", "the kernel refused TSO with ECN"),
    (0x20 | 0x40, "tap-udp-super-frames", "kernels before 6.2 have no USO"),
)
_TOO_OLD = "kernels before 5.0 do not"
_RAW = "IP protocol 50 knows no trains"


def lane_details(plane: DataPlane) -> list[dict[str, Any]]:
    """Each lane: its processor, the processor time in seconds, the mean length of its trains, and every counter."""
    return [_lane(plane, number) for number in range(plane.lanes)]


def offloads(plane: DataPlane) -> list[dict[str, Any]]:
    """What the kernel could do for us, whether it does, and how much or why not. Every lane has the same."""
    return list(_offloads(plane.offloads(0), plane.counters()))


def shares(plane: DataPlane, port: int) -> list[dict[str, int]]:
    """What each lane has carried for one hub port."""
    return [{"lane": number, **plane.port_counters(port, number)} for number in range(plane.lanes)]


def _lane(plane: DataPlane, number: int) -> dict[str, Any]:
    cpu, spent = plane.cpu(number)
    counters = plane.lane_counters(number)
    return {
        "lane": number,
        "cpu": cpu,
        "cpu_s": round(spent / NS_PER_SECOND, 3),
        "packets_per_train_in": _mean(counters, "in"),
        "packets_per_train_out": _mean(counters, "out"),
        "counters": counters,
    }


def _mean(counters: Mapping[str, int], way: str) -> float | None:
    trains = counters[f"trains-{way}"]
    return round(counters[f"train-packets-{way}"] / trains, 1) if trains else None


def _offloads(found: Mapping[str, Any], counters: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for bits, name, why in _TAP:
        yield _entry(name, found["tap"] & bits == bits, "", why)
    for socket in ("udp4", "udp6", "esp4", "esp6"):
        if socket not in found:
            continue
        longest, receives = found[socket]
        why = _RAW if socket.startswith("esp") else _TOO_OLD
        told = f"up to {longest} datagrams"
        if refused := counters["trains-refused"]:
            told += f"; {refused} trains were refused on their way and sent one by one"
        yield _entry(f"{socket}-send-trains", longest > 1, told, why)
        yield _entry(f"{socket}-receive-trains", receives, "", why)


def _entry(name: str, in_use: bool, told: str, why: str) -> dict[str, Any]:
    return {"name": name, "in_use": in_use, "detail": told if in_use else why}
