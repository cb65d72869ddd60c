"""`python -m rhp.node.process FD`: the node, as the guard starts it; FD is its end of the line to the guard.

It begins with all that it will ever give up: it loads its code, hears from the guard who it is to be and what it
serves, and then drops every privilege before the first packet is read. From there on it asks the guard for whatever
takes a secret or a privilege.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import time
from typing import NoReturn

from rhp.guard import exits, memory
from rhp.guard.channel import Channel, Received
from rhp.guard.kinds import Start
from rhp.guard.messages import LARGEST_ENCLOSED, parse_told
from rhp.guard.remote import RemoteGuard
from rhp.guard.sandbox import node as sandbox
from rhp.node import preload
from rhp.node.daemon import Node
from rhp.node.errors import StartError
from rhp.node.log import EventLog, set_up
from rhp.node.providers import Providers, load_algorithms, load_providers
from rhp.node.share import NodeShare, read_share


def main() -> None:
    """Serve until the guard, a signal or a command ends it; the exit status is one of `rhp.guard.exits`."""
    # Until it serves there is nobody to say farewell to; the guard, which the terminal tells as well, ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Before it serves there is nothing to reload.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=int(sys.argv[1])), os.getppid())
    preload.everything()
    # All that stays: with it the collector would hold up the loop for twice as long, whenever it goes through all.
    gc.freeze()
    first = channel.receive()
    if first is None:
        sys.exit(exits.NOT_STARTED)  # The guard has said why.
    _, start = parse_told(first.octets, first.fds)
    if not isinstance(start, Start):
        raise SystemExit(f"rhp: the guard began with {type(start).__name__}")
    try:
        share = _share(first)
        # Code of other packages, for which the same holds as for ours.
        providers = load_providers(share.settings)
    except StartError as error:
        _fail(str(error))
    set_up(share.settings.log_level, levels=share.settings.log_levels, form=share.settings.log_format)
    try:
        missing = sandbox.enter(start)
    except OSError as error:
        _fail(f"the node cannot give up its privileges: {error.strerror or error}")
    log = EventLog(time.monotonic)
    for detail in missing:
        log.write("sandbox incomplete", detail=detail)
    try:
        preload.check_python()
        gone = asyncio.run(_serve(share, channel, providers))
    except StartError as error:
        _fail(str(error))
    sys.exit(exits.GUARD_DIED if gone else exits.DONE)


def _share(first: Received) -> NodeShare:
    """Our share of the configuration, out of the first of the descriptors. The others live as long as we do.

    Raises `StartError` where the crypto providers, whose algorithms it names, cannot be loaded.
    """
    return read_share(memory.read(first.fds[0], LARGEST_ENCLOSED), load_algorithms)


async def _serve(share: NodeShare, channel: Channel, providers: Providers) -> bool:
    """Whether it ended because the guard is gone. Raises `StartError`."""
    guard = RemoteGuard(channel)
    gone = False

    def lost() -> None:
        nonlocal gone
        gone = True
        node.stop("guard-gone")

    node = Node(share.settings, share.engine, guard, providers)
    guard.stopped, guard.lost = node.stop, lost
    guard.tunnels = lambda: node.tunnels
    guard.reload = node.reload_soon
    loop = asyncio.get_running_loop()
    # Somebody may well send it here, who looks for a process by its name.
    loop.add_signal_handler(signal.SIGHUP, node.reload_soon, "SIGHUP")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.stop, signal.Signals(number).name)
    try:
        await node.serve()
    finally:
        guard.close()
    return gone


def _fail(sentence: str) -> NoReturn:
    print(f"rhp: {sentence}", file=sys.stderr)
    sys.exit(exits.NOT_STARTED)


if __name__ == "__main__":
    main()
