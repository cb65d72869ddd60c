from typing import Self

Arrival = tuple[bytes, str, int, str, int]
"""A datagram without the non-ESP marker, our address and port, the peer's address and port."""

IKE_DOORS: int
"""How many sockets of a port's group are the gate's: the first one bound hears of IKE SAs that exist, the second of
such as are to be."""

def steer(fd: int) -> None:
    """Have the kernel share out the IKE of a SO_REUSEPORT group between its two sockets. OSError."""

class Gate:
    """Reads IKE from sockets and lets in what the engine's rule allows; see `rhp._fast.admission`.

    Until a rule is set nothing enters. For one thread.
    """

    def __new__(cls) -> Self: ...
    def set_rule(self, always: bool, number: int, newest: bytes, before: bytes | None, mark: bytes, rate: int) -> None:
        """What `rhp.ike.admission.Admission` says; the secrets are 32 octets each. ValueError."""
    def read(self, fd: int, port: int, natt: bool) -> list[Arrival]:
        """Read a bounded number of datagrams, and answer those that have to bring a cookie first.

        The socket tells where each was sent to; `port` is its own. Never waits, nor raises for what came in.
        """
    def join(self, fd: int) -> None:
        """Let the kernel join datagrams for this socket, as it does for the others of its group (UDP_GRO)."""
    def missed(self, fd: int) -> int:
        """How many datagrams found the socket full."""
    def counters(self) -> dict[str, int]:
        """What became of the datagrams, by kebab-case name."""
