"""Whole nodes without a file: a guard that opens sockets on the loopback, and what the tests of nodes do with it."""

import asyncio
import contextlib
import socket

from loopback import on_loopback, until

from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import AddTapQueue, Descriptors, Done, OpenTap, OpenUdp, Refused
from rhp.guard.secrets import SecretStore
from rhp.node.control.client import ask
from rhp.node.control.protocol import Request
from rhp.node.daemon import Node

FRAME = bytes.fromhex("ffffffffffff 020000000001 88b5".replace(" ", "")) + b"a broadcast frame of an experiment" * 2


class LoopbackGuard:
    """Opens ports on loopback and half of a socket pair as each queue of a TAP.

    `refuse` names a question to refuse; `held` has, by the name of a question, what its answer waits for.
    """

    def __init__(self, psks, refuse=None):
        self.secrets = SecretStore(GuardPolicy(psks=psks))
        self.refuse = refuse
        self.held = {}
        self.asked = []
        self.cables = []

    def questions(self, *kinds):
        """Those of some kinds that were asked."""
        return [one for one in self.asked if isinstance(one, kinds)]

    async def ask(self, question):
        self.asked.append(question)
        name = type(question).__name__
        if name in self.held:
            await self.held[name].wait()
        if name == self.refuse:
            return Refused(f"{name} is refused here")
        match question:
            case OpenTap():
                return Descriptors(tuple(self._queue() for _ in range(question.queues)))
            case AddTapQueue():
                return Descriptors((self._queue(),))
            case OpenUdp(address, port):
                return Descriptors((on_loopback(":" in address, port, question.reuse),))
        if name == "ProvePsk":
            return self.secrets.prove(question)
        if name == "CheckPsk":
            return self.secrets.check(question)
        if name == "FingerprintSecrets":
            return self.secrets.fingerprint(question)
        return Done()

    def _queue(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setblocking(False)
        self.cables.append(theirs)
        return ours.detach()

    def close(self):
        for cable in self.cables:
            cable.close()


def received(cable):
    try:
        return cable.recv(2000)
    except BlockingIOError:
        return None


async def picture(settings):
    return await asyncio.to_thread(ask, settings.control_socket, Request("status"))


@contextlib.asynccontextmanager
async def serving(settings, config, guard):
    node = Node(settings, config, guard)
    task = asyncio.create_task(node.serve())
    try:
        await until(lambda: node._state == "running" or task.done())
        yield node, task
    finally:
        node.stop("test")
        await asyncio.wait_for(task, 60)
        guard.close()
