"""One network namespace: made, given interfaces and addresses, entered, and taken away again.

Every namespace is named after the run it belongs to, so that a later run can tell the leftovers of a dead one.
Interface names need not differ between namespaces: both ends of a veth pair are born where they belong.
"""

import ctypes
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from rhp.lab.errors import LabError
from rhp.lab.process import Background
from rhp.lab.programs import find, run

T = TypeVar("T")

FOLDER = Path("/run/netns")
CLONE_NEWNET = 0x40000000


class Namespace:
    """A network namespace with its loopback up and IPv6 duplicate address detection off (it costs a second)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._deleted = False
        run([find("ip"), "netns", "add", name])
        try:
            self.sysctl("net.ipv6.conf.default.accept_dad", 0)
            self.sysctl("net.ipv6.conf.default.router_solicitations", 0)
            self.ip("link set lo up")
        except BaseException:
            self.delete()
            raise

    def __repr__(self) -> str:
        return f"Namespace({self.name})"

    def delete(self) -> None:
        """Take it away with all that lives in it. Safe to call twice."""
        if not self._deleted:
            self._deleted = True
            run([find("ip"), "netns", "delete", self.name], check=False)

    def ip(self, *commands: str) -> None:
        """Run iproute2 commands (without the leading `ip`) in one go; raises `CommandFailed`."""
        run([find("ip"), "-n", self.name, "-batch", "-"], stdin="\n".join(commands) + "\n")

    def link(self, peer: "Namespace", name: str = "eth0", peer_name: str = "eth0", mtu: int = 1500) -> None:
        """Lay a cable (a veth pair) to `peer` and bring both ends up."""
        ends = f"link add {name} mtu {mtu} type veth peer name {peer_name} mtu {mtu} netns {peer.name}"
        self.ip(ends, f"link set {name} up")
        peer.ip(f"link set {peer_name} up")

    def address(self, interface: str, *addresses: str) -> None:
        """Give an interface addresses, each with its prefix length."""
        self.ip(*(f"address add {address} dev {interface}" for address in addresses))

    def sysctl(self, key: str, value: int | str) -> None:
        """Set a kernel setting of this namespace (`net.ipv4.ip_forward`)."""
        path = Path("/proc/sys") / key.replace(".", "/")
        self.call(lambda: path.write_text(str(value)))

    def command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` inside; `ip netns exec` becomes the command, so the id is its own."""
        return [find("ip"), "netns", "exec", self.name, *command]

    def run(self, command: Sequence[str], *, timeout: float = 60.0, check: bool = True) -> str:
        """Run a command inside to its end and return its output; see `programs.run`."""
        return run(self.command(command), timeout=timeout, check=check)

    def start(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Background:
        """Start a command inside, in the background."""
        return Background(self.command(command), log, environment)

    def call(self, action: Callable[[], T]) -> T:
        """Do `action` inside, in a thread that has entered the namespace; its exception is raised here.

        Sockets opened by `action` stay in the namespace and may be used by anybody afterwards.
        """
        outcome: list[T] = []
        failure: list[BaseException] = []

        def inside() -> None:
            try:
                enter(FOLDER / self.name)
                outcome.append(action())
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=inside, name=f"in-{self.name}")
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return outcome[0]

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Open a socket inside the namespace."""
        return self.call(lambda: socket.socket(family, kind, protocol))

    def interfaces(self) -> list[str]:
        """Names of the interfaces that are there now."""
        return [name for _, name in self.call(socket.if_nameindex)]

    def processes(self) -> list[int]:
        """Ids of the processes that live inside."""
        return [int(line) for line in run([find("ip"), "netns", "pids", self.name], check=False).split()]


def enter(path: Path) -> None:
    """Move the calling thread, and it alone, into the network namespace at `path`; raises `LabError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise LabError(f"cannot enter the namespace {path.name}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)
