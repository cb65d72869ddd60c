"""Interfaces that outlive their node: the queues of a TAP lie with the service manager while the service restarts.

A TAP is there as long as a descriptor of one of its queues is. A manager that keeps copies (sd_pid_notify_with_fds(3))
gives them back to the next start, which goes on with the same interface, its index and its place in a bridge; when the
service is stopped for good the manager closes them, and the interface goes.
"""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Collection

from rhp.guard.channel import close_all
from rhp.guard.manager import Manager
from rhp.guard.tapowner import keep_to_ourselves
from rhp.guard.taps import VNET_HDR, OpenedTap, add_queue, set_offloads

_PREFIX = "tap-"
_TUNGETIFF = 0x800454D2
_IFREQ = struct.Struct("=16sH22x")


class KeptTaps:
    """The queues that a manager has, by the name of their interface; of others than `interfaces` it is to let go."""

    def __init__(self, manager: Manager, interfaces: Collection[str]) -> None:
        self._manager = manager
        wanted = set(map(_label, interfaces))
        for label in manager.names():
            if label.startswith(_PREFIX) and label not in wanted:
                self.forget(label.removeprefix(_PREFIX))

    @property
    def there(self) -> bool:
        """Whether anybody keeps anything."""
        return self._manager.there

    def adopt(self, name: str, queues: int, *, offload: bool) -> OpenedTap | None:
        """The queues of an interface that is still there, as many as are wanted; None where there is none that fits.

        All descriptors are the caller's, as those of `open_tap`. Raises OSError where a queue cannot be added.
        """
        fds = self._manager.take(_label(name))
        facts = [_facts(fd) for fd in fds]
        if not fds or any(found is None or found[0] != name for found in facts):
            close_all(fds)
            return None
        header = bool(facts[0] and facts[0][1] & VNET_HDR)
        offloads = set_offloads(fds[0]) if header else 0
        if offload != header or header != bool(offloads):
            close_all(fds)
            return None
        try:
            # The guard of before may have been another user.
            keep_to_ourselves(name, fds[0], len(fds))
        except OSError:
            close_all(fds)
            raise
        close_all(fds[queues:])
        ours = list(fds[:queues])
        try:
            ours += [add_queue(name, header=header) for _ in range(queues - len(ours))]
        except OSError:
            close_all(ours)
            raise
        return OpenedTap(tuple(ours), offloads)

    def forget(self, name: str) -> None:
        """Have none of them kept any more: the interface goes with the last one that is open elsewhere."""
        close_all(self._manager.take(_label(name)))
        self._manager.forget(_label(name))

    def keep(self, name: str, queues: tuple[int, ...]) -> None:
        """Have exactly these kept; with a queue that nobody reads, the kernel would give it frames nevertheless."""
        self._manager.forget(_label(name))
        self._manager.keep(_label(name), queues)

    def keep_also(self, name: str, queue: int) -> None:
        """Have one more kept."""
        self._manager.keep(_label(name), (queue,))


def _label(name: str) -> str:
    return f"{_PREFIX}{name}"


def _facts(fd: int) -> tuple[str, int] | None:
    """The name of its interface and its flags; None where it has none any more."""
    try:
        found = fcntl.ioctl(fd, _TUNGETIFF, bytes(_IFREQ.size))
    except OSError:
        return None
    name, flags = _IFREQ.unpack(found)
    return name.rstrip(b"\0").decode("ascii", "replace"), flags
