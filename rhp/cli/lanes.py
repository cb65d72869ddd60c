"""The tables of `rhp status --lanes`: what each lane carried, what it dropped, and what the kernel does for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rhp.cli.table import octets, render, span

KEYS = ("lanes", "steering", "lane_details", "offloads")
"""What of the status is about lanes."""


def lane_lines(picture: Mapping[str, Any], room: int | None) -> Iterator[str]:
    """The lanes' part of the status as text, for `room` columns."""
    details = picture["lane_details"]
    rows = [_lane(lane) for lane in details]
    yield f"{len(details)} lane{'s' if len(details) > 1 else ''}, chosen by {picture['steering']}"
    yield ""
    yield from render(tuple(rows[0]), (tuple(row.values()) for row in rows), room)
    drops = [row for lane in details for row in _drops(lane)]
    if drops:
        yield ""
        yield from render(("LANE", "DROPPED", "WHY"), drops, room)
    shares = list(_shares(picture)) if len(details) > 1 else []
    if shares:
        yield ""
        yield from render(("CHILD", "LANE", "RECEIVED", "SENT", "PACKETS IN", "PACKETS OUT"), shares, room)
    yield ""
    yield from render(("KERNEL", "IN USE", "HOW OR WHY NOT"), map(_offload, picture["offloads"]), room)


def _lane(lane: Mapping[str, Any]) -> dict[str, object]:
    """The columns of a lane, by their heads."""
    counters = lane["counters"]
    return {
        "LANE": lane["lane"],
        "CPU": "any" if lane["cpu"] is None else lane["cpu"],
        "CPU TIME": span(lane["cpu_s"]),
        "FRAMES IN": counters["tap-frames-in"],
        "FRAMES OUT": counters["tap-frames-out"],
        "SUPER IN": counters["tap-super-frames-in"],
        "SUPER OUT": counters["tap-super-frames-out"],
        "OCTETS IN": octets(counters["tap-octets-in"]),
        "OCTETS OUT": octets(counters["tap-octets-out"]),
        "ESP IN": counters["esp-packets-in"],
        "ESP OUT": counters["esp-packets-out"],
        "MERGED": counters["packets-merged"],
        "TRAINS IN": counters["trains-in"],
        "TRAINS OUT": counters["trains-out"],
        "PER TRAIN IN": lane["packets_per_train_in"],
        "PER TRAIN OUT": lane["packets_per_train_out"],
        "RECEIVES": counters["receive-calls"],
        "SENDS": counters["send-calls"],
        "WAKE-UPS": counters["wakeups"],
        "DROPPED": sum(count for name, count in counters.items() if name.startswith("drop-")),
    }


def _drops(lane: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    counted = {name: count for name, count in lane["counters"].items() if name.startswith("drop-") and count}
    for name, count in sorted(counted.items(), key=lambda entry: -entry[1]):
        yield lane["lane"], count, name.removeprefix("drop-")


def _shares(picture: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    for sa in picture["ike_sas"]:
        for child in sa["children"]:
            for share in child["lanes"]:
                name = f"{sa['connection']}/{child['name']}"
                carried = octets(share["bytes_in"]), octets(share["bytes_out"])
                yield name, share["lane"], *carried, share["packets_in"], share["packets_out"]


def _offload(entry: Mapping[str, Any]) -> tuple[object, ...]:
    return entry["name"], "yes" if entry["in_use"] else "no", entry["detail"]
