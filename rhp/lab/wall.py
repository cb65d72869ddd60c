"""No UDP comes in any more at some hosts, and then it does again: what happens on both sides meanwhile crosses.

What a host sends is lost on its way and not refused, as when a cable is cut further away.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rhp.lab.namespace import Namespace
from rhp.lab.programs import find

_UP = (
    "add table inet wall ;"
    " add chain inet wall in { type filter hook input priority 0 ; } ;"
    " add rule inet wall in %s drop"
)
_DOWN = "delete table inet wall"


class Wall:
    """A context manager: inside, nothing that `match` (in nft's words) matches arrives at any of the hosts."""

    def __init__(self, hosts: Sequence[Namespace], match: str = "meta l4proto udp") -> None:
        self._hosts = hosts
        self._match = match

    def __enter__(self) -> Self:
        for host in self._hosts:
            host.run([find("nft"), *(_UP % self._match).split()])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in self._hosts:
            host.run([find("nft"), *_DOWN.split()])
