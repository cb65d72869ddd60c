"""Whether the node's UDP ports are free, and who has them where they are not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rhp.diagnosis.finding import Finding, fine, note, problem

SUBJECT = "ports"
_PROC = Path("/proc")
_ANY = ((socket.AF_INET, "0.0.0.0", "IPv4"), (socket.AF_INET6, "::", "IPv6"))  # noqa: S104 (bound and let go at once)


def look(ports: tuple[int, ...], *, running: bool) -> Iterator[Finding]:
    """Judge each port; with `running` the node itself is to have them."""
    for port in ports:
        refused = {words: error for family, address, words in _ANY if (error := _try(family, address, port))}
        yield _verdict(port, refused, running=running)


def _try(family: int, address: str, port: int) -> OSError | None:
    """Why the port cannot be had, or None."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as error:
        return error
    return None


def _verdict(port: int, refused: dict[str, OSError], *, running: bool) -> Finding:
    taken = [words for words, error in refused.items() if error.errno == errno.EADDRINUSE]
    if running and taken:
        return fine(SUBJECT, f"UDP port {port} is the running node's")
    if running:
        return problem(SUBJECT, f"the running node does not hold UDP port {port}", "restart it, and look at rhp log")
    if taken:
        who = holder(port)
        said = f"UDP port {port} is taken{f' by {who}' if who else ''} ({' and '.join(taken)})"
        return problem(SUBJECT, said, "end that program, or write other ports into node.port and node.natt_port")
    if any(error.errno in (errno.EACCES, errno.EPERM) for error in refused.values()):
        return note(SUBJECT, f"this user may not open UDP port {port}", "ask again as root")
    if "IPv4" in refused:
        return problem(
            SUBJECT, f"UDP port {port} cannot be opened: {refused['IPv4'].strerror}", "give this machine IPv4"
        )
    if "IPv6" in refused:
        return note(SUBJECT, f"UDP port {port} is free for IPv4; there is no IPv6: {refused['IPv6'].strerror}")
    return fine(SUBJECT, f"UDP port {port} is free")


def holder(port: int, proc: Path = _PROC) -> str | None:
    """The program that has the port, as "charon, process 42"; None where that cannot be seen."""
    inodes = {inode for name in ("udp", "udp6") for inode in _inodes(proc / "net" / name, port)}
    for process in proc.iterdir() if inodes else ():
        if process.name.isdecimal() and _has(process, inodes):
            with suppress(OSError):
                return f"{(process / 'comm').read_text().strip()}, process {process.name}"
    return None


def _inodes(table: Path, port: int) -> Iterator[str]:
    """The sockets of that local port in a table of proc(5)."""
    with suppress(OSError):
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"


def _has(process: Path, inodes: set[str]) -> bool:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return False
    for descriptor in descriptors:
        with suppress(OSError):
            if str(descriptor.readlink()) in inodes:
                return True
    return False
