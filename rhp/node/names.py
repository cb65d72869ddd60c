"""Host names are looked up in threads of their own, because the system's functions wait for servers that may be dead.

Not in asyncio's executor: its threads are waited for at the end, which would take longer than the guard has patience,
and a few dead names would fill it, with the writing of the state and a reload behind them. These threads are daemons,
few at once, and one for each name however often it is asked for; whoever asks waits for so long and no longer.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from threading import Thread

IpAddress = IPv4Address | IPv6Address
Found = list[IpAddress] | OSError

MOST_AT_ONCE = 8
SECONDS = 20.0
"""The system's resolver asks up to three servers, five seconds each, and then all of them once more."""


class Names:
    """Looks up names for one event loop. `look_up` waits, and gives the addresses or raises OSError."""

    def __init__(
        self,
        look_up: Callable[[str], list[IpAddress]] | None = None,
        most: int = MOST_AT_ONCE,
        seconds: float = SECONDS,
    ) -> None:
        self._look_up = look_up or addresses_of
        self._free = most
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._answers: dict[str, asyncio.Future[Found]] = {}
        self._waiting: deque[str] = deque()

    async def resolve(self, host: str) -> list[IpAddress]:
        """The addresses of a host name, in the system's order, each once; OSError when it has none, or none in time."""
        answer = self._answers.get(host)
        if answer is None:
            answer = self._answers[host] = self._loop.create_future()
            self._waiting.append(host)
            self._begin()
        await asyncio.wait([answer], timeout=self._seconds)
        if not answer.done():
            raise OSError(errno.ETIMEDOUT, f"no name server answers within {self._seconds:g} seconds")
        found = answer.result()
        if isinstance(found, OSError):
            raise found
        return found

    def _begin(self) -> None:
        while self._waiting and self._free:
            self._free -= 1
            host = self._waiting.popleft()
            try:
                Thread(target=self._work, args=(host,), name="rhp-name", daemon=True).start()
            except RuntimeError as error:
                self._loop.call_soon(self._ended, host, OSError(errno.EAGAIN, str(error)))

    def _work(self, host: str) -> None:
        try:
            found: Found = self._look_up(host)
        except OSError as error:
            found = error
        except Exception as error:
            # No name that can be asked for, as one with an empty label (UnicodeError).
            found = OSError(errno.EINVAL, str(error))
        # The node may have ended meanwhile.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended, host, found)

    def _ended(self, host: str, found: Found) -> None:
        self._free += 1
        self._answers.pop(host).set_result(found)
        self._begin()


def addresses_of(host: str) -> list[IpAddress]:
    """The addresses of a host name, in the system's order, each once; waits. OSError when it has none."""
    addresses: dict[IpAddress, None] = {}
    for family, _, _, _, address in socket.getaddrinfo(host, 500, type=socket.SOCK_DGRAM):
        text = str(address[0]).partition("%")[0]
        if family == socket.AF_INET:
            addresses.setdefault(IPv4Address(text))
        elif family == socket.AF_INET6:
            addresses.setdefault(IPv6Address(text))
    return list(addresses)
