"""A TCP transfer that lasts as long as somebody wants, over a path that fails now and then, with every octet accounted.

The connection survives an outage when it can. When nothing moves for a while the sender makes another one; the
receiver tells on it how many octets it has, and the sender goes on from there. What has arrived is therefore always a
beginning of one known stream, and its SHA-256 says whether it is.
"""

import hashlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from rhp.lab.errors import LabError, NotReached
from rhp.lab.namespace import Namespace

BLOCK = 1 << 14
PATIENCE = 4.0
"""Seconds without progress after which the sender tries another connection."""
_BUFFER = 1 << 17
_COUNT = 8


class LastingTransfer:
    """Sends to `address` at about `rate` octets a second, from its making to `stop`."""

    def __init__(self, sender: Namespace, receiver: Namespace, address: str, *, rate: int = 400_000) -> None:
        self._sender = sender
        self._address = address
        self._pause = BLOCK / rate
        self._stream = hashlib.shake_256(address.encode()).digest(BLOCK)
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._received = 0
        self._arrived = hashlib.sha256()
        self._verified = 0
        self._expected = hashlib.sha256()
        self.tries = 0
        """How many connections were tried so far."""
        self.connections = 0
        """How many of them came about."""
        self._failure: BaseException | None = None
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # The address of the tunnel comes and goes, and the listening socket stays.
        self._server = receiver.socket(self._family, socket.SOCK_STREAM)
        self._server.bind(("", 0))
        self._server.listen(4)
        self._server.setblocking(False)
        self.port: int = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._guarded, args=(work,)) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    @property
    def received(self) -> int:
        """Octets that have arrived."""
        return self._received

    def progress(self, octets: int, timeout: float) -> None:
        """Wait until so many more octets have arrived; raises `NotReached`."""
        goal, deadline = self._received + octets, time.monotonic() + timeout
        while self._received < goal:
            if self._failure is not None:
                raise LabError(f"the transfer to {self._address} broke: {self._failure!r}")
            if time.monotonic() > deadline:
                raise NotReached(
                    f"the transfer to {self._address}: {goal - self._received} of {octets} octets are missing after"
                    f" {timeout:g} s, on connection {self.connections}"
                )
            time.sleep(0.02)

    def verify(self) -> int:
        """Compare the SHA-256 of all that has arrived with that of what was to; the octets, or `LabError`."""
        with self._lock:
            received, arrived = self._received, self._arrived.hexdigest()
        while self._verified < received:
            piece = self._piece(self._verified)[: received - self._verified]
            self._expected.update(piece)
            self._verified += len(piece)
        if self._expected.hexdigest() != arrived:
            raise LabError(f"the transfer to {self._address} is damaged within its first {received} octets")
        return received

    def stop(self) -> None:
        """End it. Safe to call twice."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._server.close()

    def _piece(self, offset: int) -> bytes:
        """The stream from `offset` to the end of its block; each block begins with its number, so none is another's."""
        number, skip = divmod(offset, BLOCK)
        return (number.to_bytes(_COUNT, "big") + self._stream[_COUNT:])[skip:]

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._failure = error

    def _send(self) -> None:
        while not self._ending.is_set():
            self.tries += 1
            with suppress(OSError), self._sender.socket(self._family, socket.SOCK_STREAM) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
                client.settimeout(PATIENCE)
                client.connect((self._address, self.port))
                self.connections += 1
                self._send_on(client)
            self._ending.wait(0.2)

    def _send_on(self, client: socket.socket) -> None:
        """Send from where the receiver is until the end; raises `OSError` when nothing moves any more."""
        told = b""
        while len(told) < _COUNT:
            piece = client.recv(_COUNT - len(told))
            if not piece:
                return
            told += piece
        offset = int.from_bytes(told, "big")
        while not self._ending.is_set():
            piece = self._piece(offset)
            client.sendall(piece)
            offset += len(piece)
            self._ending.wait(self._pause)

    def _receive(self) -> None:
        """Read the newest connection; an older one is dropped with what it may still hold."""
        current: socket.socket | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            while not self._ending.is_set():
                for key, _ in selector.select(0.1):
                    if key.fileobj is self._server:
                        current = self._accept(selector, current)
                    elif current is not None and not self._take(current):
                        selector.unregister(current)
                        current.close()
                        current = None
            if current is not None:
                current.close()

    def _accept(self, selector: selectors.BaseSelector, before: socket.socket | None) -> socket.socket | None:
        with suppress(OSError):
            fresh, _ = self._server.accept()
            fresh.setblocking(False)
            if before is not None:
                selector.unregister(before)
                before.close()
            selector.register(fresh, selectors.EVENT_READ)
            with suppress(OSError):
                fresh.send(self._received.to_bytes(_COUNT, "big"))
            return fresh
        return before

    def _take(self, connection: socket.socket) -> bool:
        """Read what is there; False at the connection's end."""
        try:
            data = connection.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        with self._lock:
            self._arrived.update(data)
            self._received += len(data)
        return bool(data)
