"""Whole nodes with a file of their own, which can be written anew: the real guard, but ports are on the loopback."""

import asyncio
import contextlib
import socket
import typing

from loopback import on_loopback, until

from rhp.config.process import read
from rhp.guard.local import LocalGuard
from rhp.guard.protocol import (
    Descriptors,
    Done,
    NetworkQuestion,
    OpenTap,
    OpenUdp,
)
from rhp.ike.config import EngineConfig
from rhp.node.daemon import Node
from rhp.node.share import complete

SECRET = "0123456789abcdef"


class FileGuard(LocalGuard):
    """The real guard with its real file; but ports are on loopback, the TAP is a socket pair, and no link is touched.

    `answers` has the answer to a kind of question, which may be an exception; `asked` are all that were put.
    """

    def __init__(self, file):
        async def again():
            return await asyncio.to_thread(read, file)

        first = read(file)
        super().__init__(first.guard.policy, again, first)
        self.first = complete(first.node, EngineConfig())
        self.answers = {}
        self.asked = []
        self.cables = []

    async def ask(self, question):
        self.asked.append(question)
        answer = self.answers.get(type(question))
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer
        match question:
            case OpenTap():
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                self.cables.append(theirs)
                return Descriptors((ours.detach(),))
            case OpenUdp(address, port):
                return Descriptors((on_loopback(":" in address, port, question.reuse),))
        return Done() if isinstance(question, typing.get_args(NetworkQuestion)) else await super().ask(question)


@contextlib.asynccontextmanager
async def serving(file):
    """A node with that file, in service."""
    guard = FileGuard(file)
    node = Node(guard.first.settings, guard.first.engine, guard)
    task = asyncio.create_task(node.serve())
    try:
        await until(lambda: node._state == "running" or task.done())
        yield node, guard
    finally:
        node.stop("test")
        await task
        for cable in guard.cables:
            cable.close()


def up(node, *names):
    """Whether these connections are up with a child, and no others."""
    live = {sa.connection for sa in node._engine.status() if sa.established_at is not None and sa.children}
    return live == set(names) and len(node._engine.status()) == len(names)


def both_up(a, b, *names):
    return up(a, *names) and up(b, *names)


def spis(node, name):
    (sa,) = node._engine.status(name)
    return sa.spi_i, sa.spi_r, [(child.spi_in, child.spi_out) for child in sa.children]


@contextlib.asynccontextmanager
async def pair(written, *names):
    async with serving(written("b", *names)) as b, serving(written("a", *names)) as a:
        await until(lambda: up(a[0], *names) and up(b[0], *names))
        yield a[0], a[1], b[0]
