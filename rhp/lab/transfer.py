"""One TCP transfer between two namespaces with its content checked: speed says nothing about what arrived."""

import hashlib
import socket
import threading
from collections.abc import Callable, Sequence

from rhp.lab.errors import LabError
from rhp.lab.namespace import Namespace

CHUNK = 1 << 16


class Transfer:
    """Sends `size` octets made from `seed` from one namespace to an address of another, and compares digests.

    `options` are socket options of the sender: level, name and value; `source` is the address that it sends from.
    """

    def __init__(
        self,
        sender: Namespace,
        receiver: Namespace,
        address: str,
        *,
        timeout: float = 90.0,
        options: Sequence[tuple[int, int, bytes]] = (),
        source: str | None = None,
    ) -> None:
        self._sender = sender
        self._receiver = receiver
        self._address = address
        self._timeout = timeout
        self._options = options
        self._source = source

    def run(self, size: int, seed: bytes = b"rhp", during: Callable[[], None] | None = None) -> bool:
        """True when every octet arrived, in order; `during` is called halfway. Raises `LabError` on a stall."""
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        with self._receiver.socket(family, socket.SOCK_STREAM) as server:
            server.bind((self._address, 0))
            server.listen(1)
            server.settimeout(self._timeout)
            arrived: list[str] = []
            thread = threading.Thread(target=lambda: arrived.append(_receive(server, self._timeout)))
            thread.start()
            with self._sender.socket(family, socket.SOCK_STREAM) as client:
                client.settimeout(self._timeout)
                if self._source is not None:
                    client.bind((self._source, 0))
                for option in self._options:
                    client.setsockopt(*option)
                try:
                    client.connect((self._address, server.getsockname()[1]))
                    sent = _send(client, size, seed, during)
                except OSError as error:
                    raise LabError(f"the transfer to {self._address} stopped: {error}") from error
            thread.join(self._timeout)
        return arrived == [sent]


def _send(client: socket.socket, size: int, seed: bytes, during: Callable[[], None] | None) -> str:
    """Send `size` octets of a reproducible stream; its SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    stream = hashlib.shake_256(seed).digest(CHUNK)
    half = size // 2
    done = 0
    while done < size:
        # The block number at the front makes every block another one, so that a lost or doubled one is noticed.
        block = (done.to_bytes(8, "big") + stream)[: min(CHUNK, size - done)]
        client.sendall(block)
        digest.update(block)
        done += len(block)
        if during is not None and done >= half:
            during()
            during = None
    client.shutdown(socket.SHUT_WR)
    return digest.hexdigest()


def _receive(server: socket.socket, timeout: float) -> str:
    """Accept one connection and read it to its end; the SHA-256 of what came, or why it stopped."""
    digest = hashlib.sha256()
    try:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(timeout)
            while block := connection.recv(CHUNK):
                digest.update(block)
    except OSError as error:
        return f"stopped: {error}"
    return digest.hexdigest()
