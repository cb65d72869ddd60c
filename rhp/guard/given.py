"""UDP sockets that the service manager has bound already (sd_listen_fds(3)), used where address and port fit.

Such a socket becomes one of a SO_REUSEPORT group, whose members have to be of one user: it is given to the guard's
while the guard is still root. What does not fit the configuration is closed, and told.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

from rhp.guard.sockets import prepare


class GivenSockets:
    """The sockets by address and port; `unfit` has a sentence for each that cannot be used."""

    def __init__(self, fds: Iterable[int]) -> None:
        self._sockets: dict[tuple[str, int], socket.socket] = {}
        self.unfit: list[str] = []
        for fd in fds:
            self._sort(fd)

    def _sort(self, fd: int) -> None:
        try:
            given = socket.socket(fileno=fd)
        except OSError:
            os.close(fd)
            self.unfit.append(f"descriptor {fd} is no socket")
            return
        if given.family not in (socket.AF_INET, socket.AF_INET6) or given.type != socket.SOCK_DGRAM:
            self._refuse(given, "it is not of UDP; write ListenDatagram=")
            return
        if given.family == socket.AF_INET6 and not given.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
            self._refuse(given, "it takes IPv4 as well; write BindIPv6Only=ipv6-only")
            return
        place = given.getsockname()[:2]
        if place in self._sockets:
            self._refuse(given, "there is another one for that address and port")
            return
        self._sockets[place] = given

    def _refuse(self, given: socket.socket, why: str) -> None:
        self.unfit.append(f"the socket at {given.getsockname()}: {why}")
        given.close()

    def belong(self, user: int, ports: Iterable[int] | None) -> None:
        """Give those that fit to a user; needs CAP_CHOWN. The others are closed and noted in `unfit`."""
        for (address, port), given in list(self._sockets.items()):
            if address not in ("0.0.0.0", "::"):  # noqa: S104
                self._drop(address, port, "a node listens at all addresses; write the port alone")
            elif ports is not None and port not in ports:
                self._drop(address, port, "no port of the configuration")
            else:
                os.fchown(given.fileno(), user, -1)

    def _drop(self, address: str, port: int, why: str) -> None:
        self._refuse(self._sockets.pop((address, port)), why)

    def take(self, address: str, port: int) -> int | None:
        """The socket at that address and port, ready as those of `open_udp` with `reuse`; None for none."""
        given = self._sockets.pop((address, port), None)
        if given is None:
            return None
        given.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        prepare(given)
        return given.detach()

    def close(self) -> None:
        """Close what nobody took."""
        while self._sockets:
            self._sockets.popitem()[1].close()
