"""Whole nodes in this process with a state folder each: what the next one knows, and who is refused."""

import asyncio
import contextlib
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from rhp.ike.config import EngineConfig
from rhp.ike.engine import Engine
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused
from rhp.node.state.commands import StateCommands
from rhp.node.state.store import Store
from rhp.pki.identity import parse_identity
from rhp.realm.pool import PoolConfig, Span

POOL = PoolConfig("staff", (Span(ip_address("10.88.0.2"), ip_address("10.88.0.9")),), 24)
ANNA = parse_identity("anna@example.org")


class Book:
    """A journal that keeps what is written."""

    def __init__(self):
        self.lines = []

    def write(self, words, **fields):
        self.lines.append((words, fields))


class NoChildren:
    on_end = None

    def __iter__(self):
        return iter(())


class World:
    """An engine and its store."""

    def __init__(self, folder, retry_seconds=0.01):
        self.book, self.children = Book(), NoChildren()
        self.engine = Engine(
            EngineConfig((), pools=(POOL,)), allocate_spi=lambda lane: 256, wall_clock=lambda: datetime.now(UTC)
        )
        clock = lambda: datetime.now(UTC)  # noqa: E731
        self.store = Store(folder, clock, self.book, self.engine, None, self.children, retry_seconds)
        self.commands = StateCommands(self.store, self.engine)

    @property
    def pools(self):
        return self.engine._ctx.pools

    def take(self, identity=ANNA):
        return self.pools.take(("staff",), identity, 4)

    def ask(self, command, **fields):
        return self.commands.handle(Request(command, fields))

    async def told(self, words):
        async with asyncio.timeout(60):
            while not (found := [fields for said, fields in self.book.lines if said == words]):
                await asyncio.sleep(0.005)
        return found


@contextlib.asynccontextmanager
async def serving(folder, **more):
    world = World(folder, **more)
    world.store.open()
    try:
        yield world
    finally:
        await world.store.close()


def test_the_next_node_lends_as_the_last_one_did(tmp_path, run):
    async def body():
        async with serving(tmp_path) as first:
            for number in range(3):
                first.take(parse_identity(f"client{number}@example.org"))
            first.engine._ctx.spent.add(b"ticket", 1 << 40, 0)
        async with serving(tmp_path) as second:
            assert [str(second.take(parse_identity(f"client{n}@example.org")).address)[-1] for n in (2, 0, 1)] == list(
                "423"
            )
            assert b"ticket" in second.engine._ctx.spent
            assert second.book.lines == first.book.lines == []

    run(body())


def test_leases_are_listed_and_released(tmp_path, run):
    async def body():
        async with serving(tmp_path) as world:
            assert world.ask("leases") == {"schema_version": 1, "leases": []}
            lease = world.take()
            (shown,) = world.ask("leases")["leases"]
            assert (shown["address"], shown["identity"], shown["state"]) == ("10.88.0.2", "anna@example.org", "in use")
            with pytest.raises(CommandRefused, match=r"10\.88\.0\.2 is in use by anna@example\.org; end that"):
                world.ask("release-lease", address="10.88.0.2")
            with pytest.raises(CommandRefused, match=r"nobody has 10\.88\.0\.3; rhp leases lists"):
                world.ask("release-lease", address="10.88.0.3")
            with pytest.raises(CommandRefused, match='"anna" is not an IP address'):
                world.ask("release-lease", address="anna")
            world.pools.release(lease)
            assert world.ask("leases")["leases"][0]["state"] == "kept"
            assert world.ask("release-lease", address="10.88.0.2") == {"released": ["anna@example.org"]}
            assert world.ask("leases")["leases"] == []
            assert world.ask("totals") == {"schema_version": 1, "totals": []}
            assert world.ask("status") is None
            assert json.dumps(world.ask("leases"))
            # The control socket has the audit's line of it, as of every command; one is enough.
            assert world.book.lines == []
        async with serving(tmp_path) as world:
            assert world.ask("leases")["leases"] == []

    run(body())


def test_a_lease_of_a_pool_that_has_gone_is_forgotten(tmp_path, run):
    async def body():
        async with serving(tmp_path) as world:
            world.take()
        async with serving(tmp_path) as world:
            world.engine.set_config(EngineConfig(()))
            assert world.ask("leases")["leases"] == []
        async with serving(tmp_path) as world:
            assert world.ask("leases")["leases"] == []

    run(body())


def test_a_damaged_file_is_told_with_its_place_and_the_node_goes_on(tmp_path, run):
    async def body():
        (tmp_path / "state.db").write_bytes(b"this was a database once" * 400)
        async with serving(tmp_path) as world:
            ((fields),) = await world.told("state set aside")
            assert Path(fields["place"]).read_bytes().startswith(b"this was")
            world.take()
        async with serving(tmp_path) as world:
            assert len(world.ask("leases")["leases"]) == 1
            assert world.book.lines == []

    run(body())


def test_all_that_is_known_goes_into_the_file_that_replaces_a_damaged_one(tmp_path, run):
    async def body():
        async with serving(tmp_path) as world:
            world.take()
            world.engine._ctx.spent.add(b"ticket", 1 << 40, 0)
            writer = world.store._writer
            assert await asyncio.to_thread(writer.flush, 60)
            writer._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            writer._connection.execute("PRAGMA shrink_memory")
            (tmp_path / "state.db").write_bytes(b"\xff" * (tmp_path / "state.db").stat().st_size)
            world.take(parse_identity("bert@example.org"))
            await world.told("state set aside")
        async with serving(tmp_path) as world:
            assert [one["identity"] for one in world.ask("leases")["leases"]] == [
                "anna@example.org",
                "bert@example.org",
            ]
            assert b"ticket" in world.engine._ctx.spent

    run(body())


def test_a_folder_that_cannot_be_used_is_one_sentence_and_no_reason_not_to_serve(tmp_path, run):
    async def body():
        async with serving(tmp_path / "none") as world:
            (fields,) = await world.told("state unwritten")
            assert fields["detail"].endswith("make room there, or write a node.state_dir that the node can write to")
            world.take()
            assert len(world.ask("leases")["leases"]) == 1
            (tmp_path / "none").mkdir()
            await world.told("state written")
            assert world.store.counters["state-write-failed"] >= 1
        async with serving(tmp_path / "none") as world:
            assert len(world.ask("leases")["leases"]) == 1

    run(body())


READ_ONLY = """
import subprocess, sys
from pathlib import Path
from rhp.node.state.writer import Writer, datetime

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], check=True)
nothing = lambda *_: None
one = Writer(folder / "state.db", datetime.now, failed=print, recovered=nothing, renewed=nothing)
assert one.open() is None
"""


@pytest.mark.netns
def test_a_read_only_folder_is_told_at_the_start(tmp_path):
    script = [sys.executable, "-c", READ_ONLY, str(tmp_path)]
    ran = subprocess.run(["unshare", "-m", *script], capture_output=True, text=True, timeout=120)
    assert ran.stderr == ""
    assert ran.stdout.startswith(f"{tmp_path}/state.db: Read-only file system; make room there, or write a node.state")


def test_pools_of_the_configuration_decide(tmp_path, run):
    """A pool that shrank meanwhile: what no longer lies in it is forgotten, the rest is there."""

    async def body():
        async with serving(tmp_path) as world:
            for number in range(4):
                world.take(parse_identity(f"client{number}@example.org"))
        other = World(tmp_path)
        other.engine.set_config(
            EngineConfig((), pools=(replace(POOL, spans=(Span(ip_address("10.88.0.4"), ip_address("10.88.0.9")),)),))
        )
        other.store.open()
        assert [one["address"] for one in other.ask("leases")["leases"]] == ["10.88.0.4", "10.88.0.5"]
        await other.store.close()

    run(body())
