"""What whole nodes in one process stand on: sockets and free ports on the loopback, and patience."""

import asyncio
import contextlib
import random
import socket
from pathlib import Path


def on_loopback(six, port, reuse):
    opened = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, reuse)
    if six:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, 8, 1)
    opened.bind(("::1" if six else "127.0.0.1", port))
    return opened.detach()


def four_ports():
    """UDP ports that are free, below those of which the kernel gives anybody one who asks for any.

    Where it gives the lowest ones, they are above them, and where it gives all, among them.
    """
    lowest, highest = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ranges = range(max(1024, lowest - 20_000), lowest), range(highest + 1, 65_536), range(lowest, highest + 1)
    candidates = [port for ports in ranges for port in random.sample(ports, min(1000, len(ports)))]
    found = []
    with contextlib.ExitStack() as held:
        for port in candidates:
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == 4:
                return found
    raise AssertionError("no four ports are free")


async def until(condition, seconds=60.0):
    end = asyncio.get_running_loop().time() + seconds
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < end, "that did not come"
        await asyncio.sleep(0.005)
    return found
