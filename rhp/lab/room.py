"""Room for what a socket has received and nobody has read yet."""

import socket

_SO_RCVBUFFORCE = 33


def make_room(opened: socket.socket, octets: int) -> None:
    """Give a socket so much room, however little this machine allows (net.core.rmem_max); for root."""
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, octets)
