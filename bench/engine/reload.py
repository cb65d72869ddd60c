"""A reload of a file with a thousand peers, one of which has changed: how long it takes, and how long the loop stands.

All that takes part in a node is at work: the process that reads the file, the guard's comparison of secrets and parts,
the node's of settings, the engine. The file lies in a temporary folder, with a key file for each peer. While a reload
runs, a ticker notes the longest pause of the event loop, in which no datagram would be answered; `idle` is the longest
pause in as long a time without a reload, which is the machine's own.
"""

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

from rhp.guard.brief import Shares
from rhp.guard.local import LocalGuard
from rhp.guard.reading import read_again, read_configuration
from rhp.ike.config import EngineConfig
from rhp.ike.engine import Engine
from rhp.node.changes import Changes
from rhp.node.journal import Journal
from rhp.node.log import EventLog
from rhp.node.reload import Reloader
from rhp.node.settings import NodeSettings
from rhp.node.share import complete

PEERS = 1000
ROUNDS = 7
TICK = 0.001


def write_file(folder: Path, peers: int) -> Path:
    """A gateway's configuration with a key file for each peer."""
    tables = []
    for number in range(peers):
        key = folder / f"peer{number}.psk"
        key.write_text(f"0x{number:064x}\n")
        key.chmod(0o600)
        tables.append(_table(number, 90))
    file = folder / "rhp.toml"
    file.write_text("".join(tables))
    file.chmod(0o600)
    return file


def change_one(file: Path, number: int, value: int) -> None:
    """Give one peer another `dpd_delay`."""
    parts = file.read_text().split("\n\n")
    parts[number] = _table(number, value).removesuffix("\n\n")
    file.write_text("\n\n".join(parts))


def _table(number: int, delay: int) -> str:
    high, low = divmod(number, 250)
    return (
        f"[connections.peer{number}]\n"
        f'remote_addrs = ["10.{high}.{low}.1"]\nstart = "wait"\ndpd_delay = {delay}\n'
        f'psk_file = "peer{number}.psk"\n'
        f'local.id = "gate.example.org"\nremote.id = "peer{number}.example.org"\n'
        f"[connections.peer{number}.children.net]\n"
        f'mode = "tunnel"\nlocal_ts = ["10.99.0.0/16"]\nremote_ts = ["172.16.{high}.{low}/32"]\n\n'
    )


class Ticker:
    """Notes the longest time in which the loop did nothing else, in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        """Tick until it is cancelled."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK)
            self.longest = max(self.longest, time.perf_counter() - before - TICK)


def _reloader(file: Path) -> Reloader:
    first = read_configuration(file)
    if not isinstance(first, Shares):
        raise RuntimeError(first.text)
    guard = LocalGuard(first.guard.policy, partial(read_again, file), first)
    loaded = complete(first.node, EngineConfig())
    spis = count(256)
    engine = Engine(loaded.engine, allocate_spi=lambda lane: next(spis), wall_clock=lambda: datetime.now(UTC))
    loop = asyncio.get_running_loop()
    journal = Journal(EventLog(loop.time), lambda: datetime.now(UTC), lambda event: None, {})

    async def follow(settings: NodeSettings, config: EngineConfig, changes: Changes) -> list[str]:
        engine.reconfigure(config, {change.name: change for change in changes.changed}, loop.time())
        return []

    made = Reloader(
        guard,
        journal,
        loaded.settings,
        loaded.engine,
        key=lambda: bytes(32),
        follow=follow,
        obstacle=lambda settings: "",
    )
    made.begin(loaded.engine)
    return made


async def _rounds(file: Path) -> tuple[list[float], list[float], list[float]]:
    """Seconds that each reload took, the longest pause in each, and the longest in as long a time without one."""
    took, pauses, idle = [], [], []
    reloader = _reloader(file)
    for number in range(ROUNDS):
        change_one(file, number * 101 % PEERS, 100 + number)
        ticker = Ticker()
        ticking = asyncio.create_task(ticker.run())
        await asyncio.sleep(5 * TICK)
        ticker.longest = 0.0
        began = time.perf_counter()
        told = await reloader.reload("bench")
        took.append(time.perf_counter() - began)
        pauses.append(ticker.longest)
        ticker.longest = 0.0
        await asyncio.sleep(took[-1])
        idle.append(ticker.longest)
        ticking.cancel()
        if not told["applied"] or len(told["changed"]) != 1:
            raise RuntimeError(f"the reload did something else: {told}")
    return took, pauses, idle


def measure() -> dict[str, dict[str, float]]:
    """Milliseconds, medians."""
    with tempfile.TemporaryDirectory() as name:
        file = write_file(Path(name), PEERS)
        took, pauses, idle = asyncio.run(_rounds(file))
    return {
        f"reload_of_{PEERS}_one_changed_ms": {"rhp": median(took) * 1e3},
        "reload_longest_pause_ms": {"rhp": median(pauses) * 1e3, "idle": median(idle) * 1e3},
    }
