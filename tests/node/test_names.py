"""Host names: looked up beside the node, which ends in time although they hang."""

import asyncio
import threading
import time
from ipaddress import ip_address

import pytest

from rhp.node.names import Names, addresses_of

HERE = [ip_address("192.0.2.1")]


class Servers:
    """Name servers that are dead until they are let go; who asked for what."""

    def __init__(self):
        self.alive = threading.Event()
        self.asked = []

    def look_up(self, host):
        self.asked.append(host)
        if host.startswith("dead"):
            self.alive.wait(60)
        if host == "none":
            raise OSError(-2, "Name or service not known")
        if host == "..":
            raise UnicodeError("label empty or too long")
        return HERE


@pytest.fixture
def servers():
    made = Servers()
    yield made
    made.alive.set()


def test_each_address_once():
    found = addresses_of("localhost")
    assert ip_address("127.0.0.1") in found
    assert len(found) == len(set(found))


def test_names_are_found_or_not(run, servers):
    async def body():
        names = Names(servers.look_up)
        assert await names.resolve("here") == HERE
        with pytest.raises(OSError, match="not known"):
            await names.resolve("none")
        with pytest.raises(OSError, match="label empty"):
            await names.resolve("..")
        assert await names.resolve("here") == HERE

    run(body())
    # What was known may be another address by now.
    assert servers.asked == ["here", "none", "..", "here"]


def test_dead_name_servers_hold_up_neither_the_end_nor_the_state(servers):
    async def body():
        names = Names(servers.look_up)
        tasks = [asyncio.create_task(names.resolve(f"dead{number}")) for number in range(60)]
        await asyncio.sleep(0)
        # As the state is written at the end, and a reload is read.
        await asyncio.wait_for(asyncio.to_thread(time.monotonic), 10)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    began = time.monotonic()
    asyncio.run(body())
    assert time.monotonic() - began < 10
    assert len(servers.asked) == 8


def test_a_name_is_given_up_after_its_time_and_asked_for_once(run, servers):
    async def body():
        names = Names(servers.look_up, most=2, seconds=0.05)
        for _ in range(3):
            with pytest.raises(OSError, match="no name server answers within"):
                await names.resolve("dead")
        assert await names.resolve("here") == HERE
        assert servers.asked == ["dead", "here"]
        # They come back; so does the name, in the end.
        servers.alive.set()
        names._seconds = 30
        assert await names.resolve("dead") == HERE

    run(body())


def test_more_names_than_may_be_looked_up_at_once_wait_for_their_turn(run, servers):
    async def body():
        names = Names(servers.look_up, most=1)
        first = asyncio.create_task(names.resolve("dead"))
        second = asyncio.create_task(names.resolve("here"))
        again = asyncio.create_task(names.resolve("here"))
        await asyncio.sleep(0.05)
        assert servers.asked == ["dead"]
        # Who asked first has lost interest; nobody else loses by it.
        second.cancel()
        servers.alive.set()
        assert await first == await again == HERE
        assert servers.asked == ["dead", "here"]

    run(body())


def test_without_a_thread_there_is_no_address(run, servers, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    async def body():
        names = Names(servers.look_up, most=1)
        monkeypatch.setattr("rhp.node.names.Thread.start", start)
        for _ in range(2):
            with pytest.raises(OSError, match="new thread"):
                await names.resolve("here")

    run(body())
