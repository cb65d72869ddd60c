"""The service manager, as systemd speaks with its services (sd_notify(3), sd_listen_fds(3)): datagrams and descriptors.

Told: that the node serves, what it does, that it lives, that it ends. Kept there: queues of the TAP,
so that the interface outlives a restart. Without a manager, nothing of this happens.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress

_FIRST_FD = 3
_MOST_FDS = 253  # As many as one message carries (SCM_MAX_FD).


class Manager:
    """Reads the environment that a service manager gives, and takes it away so that no child inherits it."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        found = os.environ if environment is None else environment
        self._address = _address(found.get("NOTIFY_SOCKET", ""))
        self.watchdog = _watchdog(found)
        self._kept = _listen_fds(found)
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
            os.environ.pop(name, None)

    @property
    def there(self) -> bool:
        """Whether anybody listens."""
        return self._address is not None

    def ready(self, status: str) -> None:
        """The node serves; also, it does so again."""
        self._tell(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """A line for `systemctl status`."""
        self._tell(f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """The end has begun."""
        self._tell(f"STOPPING=1\nSTATUS={status}")

    def alive(self) -> None:
        """Everything is in order; to be said within each `watchdog` seconds."""
        self._tell("WATCHDOG=1")

    def keep(self, name: str, fds: Sequence[int]) -> None:
        """Have copies of these descriptors kept under a name, until `forget` or the end of the service."""
        for start in range(0, len(fds), _MOST_FDS):
            self._tell(f"FDSTORE=1\nFDNAME={name}", fds[start : start + _MOST_FDS])

    def forget(self, name: str) -> None:
        """Have them closed."""
        self._tell(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def take(self, name: str) -> tuple[int, ...]:
        """The descriptors that were kept, or given at the start, under that name; they are the caller's from now on."""
        return self._kept.pop(name, ())

    def names(self) -> tuple[str, ...]:
        """Under which names there are descriptors that nobody has taken yet."""
        return tuple(self._kept)

    def sockets(self) -> tuple[int, ...]:
        """All that was given at the start and is none of a TAP; they are the caller's from now on."""
        names = [name for name in self._kept if not name.startswith("tap-")]
        return tuple(fd for name in names for fd in self._kept.pop(name))

    def close(self) -> None:
        """Close what nobody took."""
        for fds in self._kept.values():
            for fd in fds:
                with suppress(OSError):
                    os.close(fd)
        self._kept = {}

    def _tell(self, text: str, fds: Sequence[int] = ()) -> None:
        if self._address is None:
            return
        notes = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        # A manager that does not listen any more is no reason to end.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendmsg([text.encode()], notes, 0, self._address)


def _address(written: str) -> str | None:
    if written.startswith("@"):
        return "\0" + written[1:]
    return written if written.startswith("/") else None


def _watchdog(found: Mapping[str, str]) -> float | None:
    """Seconds within which we have to say that we live."""
    usec, pid = found.get("WATCHDOG_USEC", ""), found.get("WATCHDOG_PID", "")
    if not usec.isascii() or not usec.isdigit() or pid not in ("", str(os.getpid())):
        return None
    return int(usec) / 1e6 or None


def _listen_fds(found: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    if found.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = found.get("LISTEN_FDS", "")
    names = found.get("LISTEN_FDNAMES", "").split(":")
    kept: dict[str, tuple[int, ...]] = {}
    for place in range(int(count) if count.isascii() and count.isdigit() else 0):
        fd = _FIRST_FD + place
        os.set_inheritable(fd, False)
        name = names[place] if place < len(names) else "unknown"
        kept[name] = (*kept.get(name, ()), fd)
    return kept
