"""The service manager, as systemd speaks with its services (sd_notify(3), sd_listen_fds(3)): datagrams and descriptors.

Told: that the node serves, what it does, that it lives, that it ends. Kept there: queues of the TAP,
so that the interface outlives a restart. Without a manager, nothing of this happens.

Nothing waits for a manager that does not read, for the guard has handshakes to serve: what finds no room in its socket
is said later, before the next thing that is said.
"""

from __future__ import annotations

import array
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

_FIRST_FD = 3
_MOST_FDS = 253  # As many as one message carries (SCM_MAX_FD).
_MOST_LATE = 256
"""Messages that may wait for room; more than the interfaces of any node need."""


@dataclass(frozen=True, slots=True)
class _Message:
    """What is said, about which descriptors and whose name they have."""

    text: str
    name: str = ""
    fds: tuple[int, ...] = ()

    def close(self) -> None:
        """Close the descriptors."""
        for fd in self.fds:
            with suppress(OSError):
                os.close(fd)


class Manager:
    """Reads the environment that a service manager gives, and takes it away so that no child inherits it."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        found = os.environ if environment is None else environment
        self._address = _address(found.get("NOTIFY_SOCKET", ""))
        self.watchdog = _watchdog(found)
        self._kept = _listen_fds(found)
        self._late: deque[_Message] = deque()
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
            os.environ.pop(name, None)

    @property
    def there(self) -> bool:
        """Whether anybody listens."""
        return self._address is not None

    def ready(self, status: str) -> None:
        """The node serves; also, it does so again."""
        self._tell(_Message(f"READY=1\nSTATUS={status}"))

    def status(self, status: str) -> None:
        """A line for `systemctl status`."""
        self._leave_unsaid(lambda one: one.text.startswith("STATUS="))
        self._tell(_Message(f"STATUS={status}"))

    def stopping(self, status: str) -> None:
        """The end has begun."""
        self._tell(_Message(f"STOPPING=1\nSTATUS={status}"))

    def alive(self) -> None:
        """Everything is in order; to be said within each `watchdog` seconds. One that finds no room is not kept."""
        if self._caught_up():
            self._said(_Message("WATCHDOG=1"))

    def keep(self, name: str, fds: Sequence[int]) -> None:
        """Have copies of these descriptors kept under a name, until `forget` or the end of the service."""
        for start in range(0, len(fds), _MOST_FDS):
            self._tell(_Message(f"FDSTORE=1\nFDNAME={name}", name, tuple(fds[start : start + _MOST_FDS])))

    def forget(self, name: str) -> None:
        """Have them closed."""
        self._leave_unsaid(lambda one: one.name == name)
        self._tell(_Message(f"FDSTOREREMOVE=1\nFDNAME={name}", name))

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
        """Close what nobody took, and what could not be said."""
        self._leave_unsaid(lambda _: True)
        for fds in self._kept.values():
            for fd in fds:
                with suppress(OSError):
                    os.close(fd)
        self._kept = {}

    def _tell(self, message: _Message) -> None:
        """Say it, or say it later; the descriptors stay the caller's."""
        if self._address is None or (self._caught_up() and self._said(message)):
            return
        if len(self._late) < _MOST_LATE:
            # By then the caller may have closed them.
            with suppress(OSError):
                self._late.append(_Message(message.text, message.name, tuple(os.dup(fd) for fd in message.fds)))

    def _caught_up(self) -> bool:
        """Whether nothing waits any more, after another attempt at what did, in its order."""
        while self._late and self._said(self._late[0]):
            self._late.popleft().close()
        return not self._late

    def _said(self, message: _Message) -> bool:
        """Whether it is out of the way: said, or without anybody to say it to, which is no reason to end."""
        if self._address is None:
            return True
        notes = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", message.fds))] if message.fds else []
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.sendmsg([message.text.encode()], notes, socket.MSG_DONTWAIT, self._address)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _leave_unsaid(self, pointless: Callable[[_Message], bool]) -> None:
        """Drop what waits and has no point any more."""
        for message in [one for one in self._late if pointless(one)]:
            self._late.remove(message)
            message.close()


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
