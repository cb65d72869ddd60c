"""The guard's service with real secrets at the end of a real line; only the node is played, raw or as it is."""

import asyncio
import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from guard_octets import covered, init

from rhp.guard.channel import Channel, pair
from rhp.guard.local import LocalGuard
from rhp.guard.messages import LARGEST, build_question, parse_told
from rhp.guard.policy import GuardPolicy, PpkSecret, PrivateKey, PskSecret
from rhp.guard.service import Service
from rhp.pki import ca

SECRETS = (b"swordfish and chips", b"a post-quantum preshared key of ours")
A, B = (2, b"a.example.org"), (2, b"b.example.org")
OCTETS = covered(init())


def make_policy():
    """A key of each kind, and a little of the network."""
    then = datetime.now(UTC) - timedelta(hours=1)
    made = ca.issue(ca.create_ca("lab", then, key_type="ecdsa-p256", days=2), ["a.example.org"], then, days=2)
    return GuardPolicy(
        psks=(PskSecret("office", "a.example.org", "b.example.org", SECRETS[0]),),
        ppks=(PpkSecret("office", b"one", SECRETS[1]),),
        keys=(PrivateKey("office", pem=made.private_key),),
        interfaces=("rhpt0",),
        addresses=("10.77.0.1/24",),
        ports=(500, 4500),
        reach=("10.88.0.0/16", "10.77.0.0/24", "fd88::/16"),
        queue_lengths=(1000,),
        segments=(),
        lanes=4,
    )


class Lines:
    """A log that remembers."""

    def __init__(self):
        self.written = []

    def write(self, event, **fields):
        self.written.append((event, fields))


class World:
    """The guard's service, and the node's end of the line: raw in `end`, or through `ask`."""

    def __init__(self, policy):
        ours, self.end = pair()
        self.log, self.ends = Lines(), []
        self.service = Service(
            Channel(ours, os.getpid(), bare=True), LocalGuard(policy), policy, self.log, self.ends.append
        )
        self.service.start()
        self.end.setblocking(False)
        self._loop = asyncio.get_running_loop()

    async def send(self, octets):
        if octets:
            await self._loop.sock_sendall(self.end, octets)
        else:
            self.end.send(octets)

    async def hear(self):
        """The next answer, and its octets."""
        octets = await asyncio.wait_for(self._loop.sock_recv(self.end, LARGEST), 60)
        return parse_told(octets, ())[1], octets

    async def ask(self, question):
        await self.send(build_question(7, question))
        return (await self.hear())[0]

    async def until(self, condition):
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def world(policy):
    made = World(policy)
    try:
        yield made
    finally:
        await made.service.close()
        made.end.close()


def story(told):
    """A coroutine as a test."""

    def run(policy, *args, **kwargs):
        async def scene():
            async with world(policy) as made:
                await told(made, *args, **kwargs)

        asyncio.run(scene())

    return run
