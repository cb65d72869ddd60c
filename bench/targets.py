"""What is wanted, held against what was measured: `python -m bench.targets` prints one table of every line.

Each of the two columns is one rhp: the tree's with the system's OpenSSL, and the wheel's with its own, newer one.
Both ran in the same rounds as the programs that they are compared with.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench import compare

Figures = Mapping[str, Mapping[str, float]]
Files = Mapping[str, Figures]

MARK = "wireguard-go"


@dataclass(frozen=True, slots=True)
class Column:
    """One rhp: its name in netns.json, and the ending of the files that it has for itself."""

    title: str
    program: str
    ending: str


COLUMNS = (Column("system OpenSSL", "rhp", ""), Column("wheel", "rhp-wheel", "-wheel"))


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is wanted; `figure` gives it of a column, or raises KeyError where it was not measured.

    `targets` are the two columns'; a figure meets its target from above, or with `most` from below.
    """

    what: str
    figure: Callable[[Files, Column], float]
    targets: tuple[float, float]
    unit: str = "x"
    most: bool = False

    def met(self, value: float, target: float) -> bool:
        """Whether the figure is good enough."""
        return value <= target if self.most else value >= target


def against(measure: str, other: str = MARK) -> Callable[[Files, Column], float]:
    """rhp's figure of a netns measure over another program's."""
    return lambda files, column: files["netns"][measure][column.program] / files["netns"][measure][other]


def share(measure: str) -> Callable[[Files, Column], float]:
    """The share of bare EVP, in percent."""

    def figure(files: Files, column: Column) -> float:
        row = files[f"micro{column.ending}"][measure]
        return 100 * row["rhp"] / row["evp"]

    return figure


def path(measure: str, setup: str, percent: float = 1.0) -> Callable[[Files, Column], float]:
    """One set-up's figure of a path measure over that of one peer on one lane."""

    def figure(files: Files, column: Column) -> float:
        row = files[f"path{column.ending}"][measure]
        return percent * row[setup] / row["one-peer"]

    return figure


def memory(measure: str) -> Callable[[Files, Column], float]:
    """A figure of the path's memory as it is."""
    return lambda files, column: files[f"path{column.ending}"][measure]["rhp"]


def taken(part: str, measure: str, program: str = "rhp") -> Callable[[Files, Column], float]:
    """A figure of a part that runs with the tree's rhp alone."""
    return lambda files, column: files[f"{part}{column.ending}"][measure][program]


def held(port: str) -> Callable[[Files, Column], float]:
    """The share of its traffic that a tunnel keeps in a flood, in percent."""

    def figure(files: Files, column: Column) -> float:
        row = files[f"flood{column.ending}"]["steady_tcp_gbps"]
        return 100 * row[port] / row["calm"]

    return figure


def flood_lines() -> list[Line]:
    """What a flood may do, on each port."""
    lines = []
    for port, program in (("500", "rhp"), ("4500", "rhp-natt-port")):
        lines += [
            Line(f"flood on port {port}: rate", taken("flood", "flood_kpps", program), (49, 49), "k/s"),
            Line(f"flood on port {port}: kept of 1 Gb/s", held(program), (90, 90), "%"),
            Line(f"flood on port {port}: a peer is in", taken("flood", "late_peer_in_s", program), (2, 2), "s", True),
            Line(f"flood on port {port}: memory", taken("flood", "memory_growth_mb", program), (1, 1), "MB", True),
        ]
    return lines


def tcp_lines(wire: str, words: str, targets: tuple[float, float]) -> list[Line]:
    """One and four streams, each direction."""
    return [
        Line(f"TCP, {streams}{way}{words}", against(f"tcp_{measure}{reverse}{wire}_gbps"), targets)
        for streams, measure in (("1 stream", "1_stream"), ("4 streams", "4_streams"))
        for way, reverse in ((" there", ""), (" back", "_reverse"))
    ]


LINES = [
    *tcp_lines("", "", (2.2, 3.3)),
    *tcp_lines("_wire", ", wire", (2.2, 3.0)),
    Line("UDP, 64 octets, without loss", against("udp_64b_lossless_kpps"), (3.0, 3.0)),
    Line("ping, idle", against("ping_idle_ms"), (1.0, 1.0), most=True),
    Line("ping beside a TCP stream", against("ping_loaded_ms"), (0.5, 0.5), most=True),
    Line("seal and frame, 1400 octets, of bare EVP", share("path_aes128gcm16_1400b_gbps"), (75, 70), "%"),
    Line("1,000 peers, 10 at work: sealing time", path("seal_tcp_ns", "thousand-peers"), (1.1, 1.1), most=True),
    Line("1,000 peers, 10 at work: opening time", path("open_tcp_ns", "thousand-peers"), (1.1, 1.1), most=True),
    Line("two lanes: sealing rate", path("seal_tcp_kpps", "two-lanes"), (1.8, 1.8)),
    Line("two lanes: opening rate", path("open_tcp_kpps", "two-lanes"), (1.8, 1.8)),
    Line("memory of a peer in a lane, installed", memory("idle_peer_and_lane_kb"), (4, 4), "kB", most=True),
    Line("memory of a peer in a lane, at work", memory("active_peer_and_lane_kb"), (4, 4), "kB", most=True),
    Line("handshakes, PSK", taken("engine", "psk_handshakes_per_core_s"), (1500, 1500), "/s"),
    Line("handshakes, ECDSA P-256", taken("engine", "ecdsa_p256_handshakes_per_core_s"), (1000, 1000), "/s"),
    Line("memory of an IKE SA with its child", taken("engine", "ike_sa_kilobytes"), (20, 20), "kB", most=True),
    Line("ten thousand come back at once", taken("engine", "restart_storm_s"), (60, 60), "s", most=True),
    Line("rhp status, 1,000 peers", taken("engine", "status_1000_peers_s"), (0.2, 0.2), "s", most=True),
    Line("reload of 1,000 peers", taken("engine", "reload_of_1000_one_changed_ms"), (1000, 1000), "ms", most=True),
    Line("guard and node, 1,000 tunnels", taken("engine", "memory_1000_tunnels_mb"), (300, 300), "MB", most=True),
    Line("start to first ping", taken("engine", "first_ping_ms"), (50, 50), "ms", most=True),
    Line("the guard's share in a handshake", taken("engine", "guard_hop_ms"), (0.3, 0.3), "ms", most=True),
    *flood_lines(),
]


def table(files: Files) -> Table:
    """Every line with target, figure and verdict for each column."""
    made = Table(title="targets", title_justify="left", title_style="bold", pad_edge=False)
    made.add_column("what")
    for column in COLUMNS:
        made.add_column(f"{column.title}: wanted", justify="right")
        made.add_column("measured", justify="right")
        made.add_column("")
    for line in LINES:
        cells = [cell for number, column in enumerate(COLUMNS) for cell in _cells(line, files, column, number)]
        made.add_row(line.what, *cells)
    return made


def _cells(line: Line, files: Files, column: Column, number: int) -> tuple[str, str, str]:
    target = line.targets[number]
    wanted = f"{'<=' if line.most else '>='} {target:g} {line.unit}"
    try:
        value = line.figure(files, column)
    except KeyError:
        return wanted, "-", "not measured"
    return wanted, f"{value:.3g} {line.unit}", "met" if line.met(value, target) else "[bold]missed[/bold]"


def main() -> int:
    """Print the table from what is in bench/out; the exit status is 1 when there is nothing."""
    files: dict[str, Figures] = {file.stem: json.loads(file.read_text()) for file in compare.OUT.glob("*.json")}
    if not files:
        print("Nothing has been measured yet: run make bench.", file=sys.stderr)
        return 1
    Console(width=None if sys.stdout.isatty() else 160).print(table(files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
